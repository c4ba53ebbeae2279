#!/usr/bin/env bash
# address_spaces.sh METAL_SIGNATURES FOLDER: every Metal kernel as MLX would hand it to Apple's compiler, through clang for
# arm64-apple-macosx14 in C++14, which is what Metal is made of, with address spaces that clang enforces. Then the same
# texts with planted faults, which must not pass. 77, CTest's sign of a skipped test: there is no clang.
set -euo pipefail
signatures=$1 folder=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
texts=$here/../../src/backend/mlx/kernels
if ! command -v clang++ >/dev/null 2>&1; then
  echo "skipped: clang++ is not installed (Debian: apt-get install clang)"
  exit 77
fi
rm -rf "$folder"
mkdir -p "$folder"
count=$("$signatures" "$folder")
syntax() {
  clang++ -target arm64-apple-macosx14 -fsyntax-only -std=c++14 -nostdinc -nostdinc++ -I"$here/apple_headers" -Wall -Wextra -Werror \
    -Wno-unknown-attributes -Wno-unused-parameter -Wno-unused-local-typedef -fno-exceptions -fno-rtti "$@"
}
for file in "$folder"/*.metal.cc; do
  syntax "$file" || { echo "error: $file does not pass" >&2; exit 1; }
done

# What Metal's language lacks and clang would take.
if grep -nE '\b(new|delete|virtual|throw|try|goto|dynamic_cast|typeid|thread_local|static|double|std::)\b|\[[&=]|\bif constexpr\b' "$texts"/*.metal | grep -vE ':[0-9]+: *//'; then
  echo "error: the texts above use what Metal has not" >&2
  exit 1
fi

# A text that passes with a fault in it would mean that nothing is checked.
refused() { # NAME SED-EXPRESSION FILE
  sed -E "$2" "$3" >"$folder/planted.cc"
  if cmp -s "$3" "$folder/planted.cc"; then
    echo "error: the fault '$1' was not planted" >&2
    exit 1
  fi
  if syntax "$folder/planted.cc" >"$folder/planted.log" 2>&1; then
    echo "error: the fault '$1' passed" >&2
    exit 1
  fi
  grep -qE "$4" "$folder/planted.log" || { cat "$folder/planted.log" >&2; echo "error: '$1' was refused for another reason" >&2; exit 1; }
}
attention=$(find "$folder" -name 'inlay_attention_*.metal.cc' | sort | head -1)
few=$(grep -l 'const constant int32_t\* items' "$folder"/inlay_attention_*.metal.cc | head -1)
refused "a pointer to threadgroup memory as one to device memory" 's/const auto scores = /const device float* scores = /' "$attention" 'address space|cannot initialize'
refused "a pointer to device memory without its address space" 's/const auto text_key = /const T* text_key = /' "$attention" 'address space|cannot initialize'
refused "few items as device memory" 's/const int first_row = items/const device int32_t* them = items; const int first_row = them/' "$few" 'address space|cannot initialize'
refused "a write to an input" 's/^(const int count = .*)/\1 items[0] = 1;/' "$attention" 'const'
refused "C++17" 's/if \(CAUSAL\) key_end/if constexpr (CAUSAL) key_end/' "$attention" 'constexpr if'
echo "$count kernels, 5 planted faults"

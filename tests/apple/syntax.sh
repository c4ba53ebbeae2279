#!/usr/bin/env bash
# syntax.sh SOURCE_FOLDER BUILD_FOLDER [--all]: the files with code for Apple's machines, or all that a Mac compiles, through
# clang for arm64-apple-macosx14 with libc++, macOS's C++ library. The C headers are glibc's with headers/ in front: macOS's
# 64-bit types, what Inlay takes of macOS alone, and errors for Linux's own. Then faults that must not pass.
# No SDK of Apple's is needed, and none of its headers is here: what this misses is what only they say.
# 77, CTest's sign of a skipped test: a tool is missing.
set -euo pipefail
source=$1 build=$2 which=${3-}
here=$source/tests/apple
libcxx=
for folder in /usr/lib/llvm-*/include/c++/v1; do
  [ -d "$folder" ] && libcxx=$folder
done
if ! command -v clang++ >/dev/null 2>&1 || [ -z "$libcxx" ] || [ ! -d /usr/aarch64-linux-gnu/include ]; then
  echo "skipped: clang, libc++ or headers for arm64 are not installed (Debian: apt-get install clang libc++-14-dev libc6-dev-arm64-cross)"
  exit 77
fi
# Beside an MLX of a Python package its room's own files are checked, too.
mlx=()
for folder in "$source"/.venv/*/lib/python3*/site-packages/mlx/include; do
  [ -d "$folder" ] && mlx=(-isystem "$folder")
done
# Clang's words for nullability on Apple's machines are the names of glibc's macros.
command=(clang++ -target arm64-apple-macosx14 -fsyntax-only -std=c++20 -Wall -Wextra -Werror -ffp-contract=off
  -U__nonnull -U__nullable -U__null_unspecified -D_DEFAULT_SOURCE -D_XOPEN_SOURCE=700
  -nostdinc++ -nostdlibinc -isystem "$here/headers" -isystem "$libcxx" -isystem /usr/aarch64-linux-gnu/include -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
  "${mlx[@]}" -I"$source/src" -I"$source/include" -I"$source" -I"$build/generated"
  -DINLAY_PACK_SOURCES='"macos"' -DINLAY_VERSION='"macos"')

cd "$source"
if [ "$which" = --all ]; then
  mapfile -t files < <(find src frontends -name '*.cc' | sort)
else
  mapfile -t files < <(
    { grep -lrE '__APPLE__|__aarch64__' --include='*.cc' src frontends
      find src/backend/mlx src/backend/torch -name '*.cc'
      ls src/base/number.cc src/base/hash.cc; } 2>/dev/null | sort -u)
fi
if [ ${#mlx[@]} -eq 0 ]; then
  mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v '^src/backend/mlx/device/')
fi
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "${INLAY_JOBS:-2}" "${command[@]}"

refused() { # NAME TEXT
  if printf '%s\n' "$2" | "${command[@]}" -x c++ - >/dev/null 2>&1; then
    echo "error: the fault '$1' passed" >&2
    exit 1
  fi
}
printf '#include <thread>\nint main() { std::thread([] {}).join(); }\n' | "${command[@]}" -x c++ -
refused "a thread that macOS's library has not" '#include <thread>
int main() { std::jthread worker([] {}); }'
refused "floating-point from_chars" '#include <charconv>
bool f(const char* a, const char* b, double& x) { return std::from_chars(a, b, x).ec == std::errc(); }'
refused "a header of Linux" '#include <sys/prctl.h>'
refused "long where int64_t is long long" '#include <algorithm>
#include <cstdint>
std::int64_t f(std::int64_t a, long b) { return std::max(a, b); }'
echo "${#files[@]} files, 4 planted faults"

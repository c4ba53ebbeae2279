#!/bin/sh
# Cross-compiles the cpu room with its NEON test for arm64 and runs it under user-mode emulation.
# usage: neon.sh SOURCE_FOLDER BUILD_FOLDER     (77: skipped, with the reason)
set -eu
source=$1
build=$2/neon
compiler=aarch64-linux-gnu-g++
for tool in $compiler qemu-aarch64; do
  if ! command -v $tool >/dev/null 2>&1; then
    echo "skipped: $tool is not installed (Debian: apt-get install g++-aarch64-linux-gnu qemu-user)"
    exit 77
  fi
done
mkdir -p "$build"
flags="-std=c++20 -O2 -Wall -Wextra -Werror -Wno-restrict -ffp-contract=off -pthread
  -I$source/src -I$source/include -I$source/tests -I$2/generated -DINLAY_PACK_SOURCES=\"emulated\""
# All that is not a kernel table is one translation unit: the headers are read once.
joined=$build/joined.cc
for file in "$source"/src/base/threads.cc "$source"/src/base/cpu_features.cc "$source"/src/base/error.cc \
  "$source"/src/base/hash.cc "$source"/src/base/large_memory.cc "$source"/src/base/mapped_file.cc "$source"/src/base/tensor.cc \
  "$source"/src/batch/check_batch.cc "$source"/src/program/*.cc "$source"/src/backend/ref/*.cc "$source"/src/backend/cpu/*.cc; do
  case $file in */isa_neon* | */isa_generic*) continue ;; esac
  echo "#include \"$file\""
done >"$joined.new"
cmp -s "$joined.new" "$joined" || mv "$joined.new" "$joined"
objects=
for file in "$joined" "$source"/src/backend/cpu/isa_neon*.cc "$source"/src/backend/cpu/isa_generic*.cc \
  "$source"/tests/steps/neon_main.cc; do
  object=$build/$(basename "$file").o
  objects="$objects $object"
  # Compiled again when it or any of what it may include is newer.
  if [ -f "$object" ] && [ -z "$(find "$source/src" "$source/include" "$source/tests/unit/cpu" "$file" \
    \( -name '*.h' -o -name '*.hpp' -o -name '*.inl' -o -name '*.cc' \) -newer "$object" | head -1)" ]; then
    continue
  fi
  # shellcheck disable=SC2086
  $compiler $flags -c "$file" -o "$object"
done
# shellcheck disable=SC2086
$compiler -static -pthread $objects -o "$build/neon_test"
exec qemu-aarch64 "$build/neon_test"

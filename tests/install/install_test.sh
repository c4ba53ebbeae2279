#!/usr/bin/env bash
# install_test.sh CMAKE BUILD WORK CXX CC VERSION: see CMakeLists.txt. Each consumer prints the version that it got.
set -euo pipefail
cmake=$1 build=$2 work=$3 cxx=$4 cc=$5 version=$6
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rm -rf "$work/prefix" "$work/moved" "$work/consumer"
expect() { # NAME COMMAND...
  local name=$1 got
  shift
  got=$("$@")
  [ "$got" = "$version" ] || {
    echo "error: $name: expected version $version, got '$got'" >&2
    exit 1
  }
  echo "$name: $got"
}

"$cmake" --install "$build" --prefix "$work/prefix" >/dev/null
mv "$work/prefix" "$work/moved" # nothing installed may remember where it was installed
prefix=$work/moved
if grep -rlI "$build" "$prefix"; then
  echo "error: the files above name the build folder" >&2
  exit 1
fi

"$cmake" -S "$here/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Release >/dev/null
"$cmake" --build "$work/consumer" >/dev/null
expect "find_package, C++" "$work/consumer/consumer_cpp"
expect "find_package, C" "$work/consumer/consumer_c"

config=$(dirname "$(find "$prefix" -name inlay.pc)")
export PKG_CONFIG_PATH=$config
read -r -a flags <<<"$(pkg-config --cflags --libs inlay)"
libdir=$(pkg-config --variable=libdir inlay)
"$cxx" -std=c++20 "$here/consumer/consumer.cc" "${flags[@]}" "-Wl,-rpath,$libdir" -o "$work/consumer/pc_cpp"
"$cc" -std=c99 -pedantic "$here/consumer/consumer.c" "${flags[@]}" "-Wl,-rpath,$libdir" -o "$work/consumer/pc_c"
expect "pkg-config, C++" "$work/consumer/pc_cpp"
expect "pkg-config, C" "$work/consumer/pc_c"

"$prefix/bin/inlay" --version | grep -q "$version" || {
  echo "error: the installed program does not run from where it was installed" >&2
  exit 1
}

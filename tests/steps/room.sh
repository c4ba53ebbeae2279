#!/usr/bin/env bash
# room.sh STEPS_TEST ROOM LEAST FILTER: the step tests of a room that opens a library of others, all in one process, with the
# library that $INLAY_<ROOM>_LIBRARY names or the package in the tests' or the oracles' environment. 77, CTest's sign of a
# skipped test: there is none. LEAST: how many cases there must be; fewer mean that the library cannot be used.
set -euo pipefail
steps=$1 room=$2 least=$3 filter=$4
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case "$room" in
  onnxruntime) package=onnxruntime/capi ;;
  *) package=$room/lib ;;
esac
variable=INLAY_${room^^}_LIBRARY
if [ -z "${!variable-}" ]; then
  for folder in "$root"/.venv/{tests,oracles}/lib/python3*/site-packages/"$package"; do
    [ -d "$folder" ] && export "$variable=$folder" && break
  done
fi
if [ -z "${!variable-}" ]; then
  echo "skipped: no library for the room $room in .venv"
  exit 77
fi
echo "$variable=${!variable}"
cases=$("$steps" --gtest_list_tests --gtest_filter="$filter" | grep -c '^  ') || true
if [ "$cases" -lt "$least" ]; then
  echo "error: expected at least $least cases of the room $room, got $cases of them: the library cannot be used." >&2
  exit 1
fi
"$steps" --gtest_filter="$filter" --gtest_brief=1

#!/usr/bin/env bash
# onnxruntime.sh STEPS_TEST: the step tests of the onnxruntime room, all in one process, with $INLAY_ONNXRUNTIME_LIBRARY or
# the wheel of the tests' or the oracles' environment. 77, CTest's sign of a skipped test: there is none.
set -euo pipefail
steps=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ -z "${INLAY_ONNXRUNTIME_LIBRARY-}" ]; then
  for folder in "$root"/.venv/{tests,oracles}/lib/python3*/site-packages/onnxruntime/capi; do
    [ -d "$folder" ] && INLAY_ONNXRUNTIME_LIBRARY=$folder && break
  done
fi
if [ -z "${INLAY_ONNXRUNTIME_LIBRARY-}" ]; then
  echo "skipped: no ONNX Runtime; ./test installs one into .venv/tests"
  exit 77
fi
export INLAY_ONNXRUNTIME_LIBRARY
echo "ONNX Runtime: $INLAY_ONNXRUNTIME_LIBRARY"
cases=$("$steps" --gtest_list_tests --gtest_filter='*onnxruntime*' | grep -c '^  ') || true
if [ "$cases" -lt 150 ]; then
  echo "error: expected the cases of the room onnxruntime, got $cases of them: the library cannot be used." >&2
  exit 1
fi
"$steps" --gtest_filter='*onnxruntime*' --gtest_brief=1

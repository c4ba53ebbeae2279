#!/usr/bin/env bash
# Makes the virtual environments of the peers that bench/compare.py runs (gigabytes the first time: torch is in the
# oracles' one). A peer whose environment is missing is a row "not run"; `bench/environments.sh openvino` makes only the
# environments named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tools/setup.sh

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(tests oracles fastembed fastembed-0.7 openvino ctranslate2)
for name in "${names[@]}"; do
  case "$name" in
    tests) python_environment .venv/tests tests/requirements.txt ;;
    oracles) python_environment .venv/oracles tests/oracles/requirements.txt ;;
    fastembed-0.7) python_environment .venv/fastembed tests/oracles/fastembed.txt ;;
    fastembed | openvino | ctranslate2) python_environment ".venv/bench-$name" "bench/requirements-$name.txt" ;;
    *) fail "expected tests, oracles, fastembed, fastembed-0.7, openvino or ctranslate2, got '$name'." ;;
  esac
done

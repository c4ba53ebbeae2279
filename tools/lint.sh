#!/usr/bin/env bash
# Everything that is checked without running Inlay: format, layers and forbidden words, shell and Python, clang-tidy.
#   tools/lint.sh          checks, from the repository root
#   tools/lint.sh --fix    formats C++ and Python first
# All checks run; exit 1 when any has a finding.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

bad=0
check() { # NAME REMEDY COMMAND...
  local name=$1 remedy=$2
  shift 2
  if ! "$@" </dev/null >&2; then
    printf 'error: %s has findings (above). %s\n' "$name" "$remedy" >&2
    bad=1
  fi
}

mapfile -t cpp < <(git ls-files --cached --others --exclude-standard -- '*.cc' '*.h' '*.hpp' '*.c' '*.inl' '*.cu' '*.cuh' |
  while read -r file; do [ -f "$file" ] && echo "$file"; done)
mapfile -t python < <(git ls-files --cached --others --exclude-standard -- '*.py' |
  while read -r file; do [ -f "$file" ] && echo "$file"; done)
ruff=.venv/tests/bin/ruff
[ -x "$ruff" ] || ruff=$(command -v ruff || true)
[ -n "$ruff" ] || {
  echo "error: ruff is not here. ./test installs it into .venv/tests." >&2
  exit 1
}
# clang's own flags, and sources joined as in the sanitized builds: the headers of eight are read once.
{ [ -f build-asan/build.ninja ] || cmake --preset asan; } >/dev/null && ninja -C build-asan build.ninja >/dev/null || {
  echo "error: build-asan is not configured. Run: cmake --preset asan" >&2
  exit 1
}

if [ "${1-}" = --fix ]; then
  printf '%s\0' "${cpp[@]}" | xargs -0 clang-format -i
  "$ruff" format --quiet "${python[@]}"
  "$ruff" check --quiet --fix "${python[@]}"
fi

# shellcheck disable=SC2317 # called by name
check_format() { printf '%s\0' "${cpp[@]}" | xargs -0 -n 40 -P "${INLAY_JOBS:-2}" clang-format --dry-run -Werror; }

check "clang-format" "Run: tools/lint.sh --fix" check_format
check "check_layers" "The rules are in src/README.md and CONTRIBUTING.md." python3 tools/check_layers.py
check "ruff format" "Run: tools/lint.sh --fix" "$ruff" format --quiet --check "${python[@]}"
check "ruff" "Run: tools/lint.sh --fix, then mend the rest." "$ruff" check --quiet "${python[@]}"
check "clang-tidy" "Mend the code; a check that is wrong in general leaves .clang-tidy." python3 tools/tidy.py build-asan
exit $bad

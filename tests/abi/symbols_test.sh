#!/usr/bin/env bash
# symbols_test.sh NM LIBRARY LIST: what the library defines for others equals the list. Inline members are left out
# (weak text): whether they are exported is the compiler's choice, and callers have their own copies.
set -euo pipefail
nm=$1 library=$2 list=$3
exported() {
  "$nm" --dynamic --defined-only --demangle "$library" |
    sed -E 's/^[0-9a-f]+ //' | grep -v '^W ' | sed -E 's/^[A-Za-z] //' | LC_ALL=C sort -u
}
if [ "${INLAY_UPDATE_SYMBOLS-}" = 1 ]; then
  exported >"$list"
fi
diff -u --label "$list" --label "$library" "$list" <(exported) || {
  echo "error: the exported symbols differ from the list. A change of the border needs a decision; then run this with" \
    "INLAY_UPDATE_SYMBOLS=1." >&2
  exit 1
}

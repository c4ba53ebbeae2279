#!/usr/bin/env bash
# fuzz.sh PROGRAM CORPUS LIBFUZZER: replays the corpus; when PROGRAM is a libFuzzer program (LIBFUZZER is 1) it then
# looks for new inputs for $INLAY_FUZZ_SECONDS (10). Finds go to a temporary folder and are printed; the corpus is
# changed by hand only.
set -euo pipefail
program=$1 corpus=$2 libfuzzer=$3
seconds=${INLAY_FUZZ_SECONDS:-10}

[ -n "$(find "$corpus" -type f -print -quit 2>/dev/null)" ] || {
  echo "error: $corpus holds no inputs. A fuzz target is committed together with its corpus." >&2
  exit 1
}
if [ "$libfuzzer" != 1 ]; then
  find "$corpus" -type f -print0 | sort -z | xargs -0 "$program"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/new" "$work/finds"
# A run of one input over 10 s is a find: the bar is 1 s on an idle machine without sanitizers.
limits=(-timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 "-artifact_prefix=$work/finds/")
run() {
  "$program" "${limits[@]}" "$@" 2>"$work/log" || {
    tail -n 60 "$work/log"
    for find in "$work"/finds/*; do
      [ -f "$find" ] && printf 'input that failed (base64): %s\n' "$(base64 -w0 "$find" | head -c 20000)"
    done
    exit 1
  }
}
run -runs=0 "$corpus"
[ "$seconds" -eq 0 ] || run "-max_total_time=$seconds" "$work/new" "$corpus"
grep -E 'DONE|Done [0-9]+ runs' "$work/log" | tail -n 2

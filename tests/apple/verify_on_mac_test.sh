#!/usr/bin/env bash
# verify_on_mac_test.sh SOURCE_FOLDER BUILD_FOLDER: the control flow of tools/verify_on_mac.sh on a machine that is no Mac:
# every program that it calls is one of ours, which answers as a Mac's would, fails, crashes or hangs. What it cannot tell is
# what a Mac says.
set -euo pipefail
source=$1 root=$2/verify_on_mac_test
rm -rf "$root"
mkdir -p "$root/repo/tools" "$root/bin"
cp "$source"/tools/{verify_on_mac.sh,mac-requirements.txt} "$root/repo/tools/"
export CALLS=$root/calls.txt

program() { # NAME, text on standard input
  { echo '#!/bin/sh'; echo "echo \"$1 \$*\" >>\"\$CALLS\""; cat; } >"$root/bin/$1"
  chmod +x "$root/bin/$1"
}
program uname <<<'case "$1" in -s) echo "${FAKE_SYSTEM-Darwin}" ;; -m) echo arm64 ;; *) echo "Darwin Kernel Version 25" ;; esac'
program sw_vers <<<'[ "${1-}" = -productVersion ] && echo "${FAKE_VERSION-15.2}" || echo "ProductVersion: 15.2"'
program sysctl <<<'echo "hw.model: Mac15,3"'
program system_profiler <<<'echo "      Chipset Model: Apple M3"'
program xcode-select <<<'echo /Library/Developer/CommandLineTools'
program xcrun <<<'exit 0'
program brew <<<'[ "$3" != "${FAKE_MISSING-}" ]'
program ninja <<<'exit 0'
program pkg-config <<<'exit 0'
program clang++ <<<'echo "Apple clang version 17.0.0"'
program git <<<'echo 0123456789abcdef'
program ctest <<<'case "$*" in *mlx*) [ "${INLAY_MLX_KERNELS-}" = off ] || exit 1 ;; esac; echo "100% tests passed"'
# The build brings a program that answers for each device in its own way.
program cmake <<'PROGRAM'
[ "$1" = --build ] || exit 0
mkdir -p build/tests/metal
cat >build/inlay <<'INLAY'
#!/bin/sh
echo "inlay $* kernels=${INLAY_MLX_KERNELS-on}" >>"$CALLS"
json=
device=
model=
command=$1
while [ $# -gt 0 ]; do
  case "$1" in
    --json) json=${2-} ;;
    --device) device=$2 ;;
    -m) model=$2 ;;
  esac
  shift
done
case "$command $device" in
  "verify onnxruntime:coreml") echo "error: onnxruntime: CoreML is not there, looked in $PWD/build" >&2; exit 69 ;;
  "verify torch:mps") [ "$model" != minilm ] || sleep 98765; echo '{"agrees": true}' ;;
  "bench torch:mps") kill -SEGV $$ ;;
  "verify mlx:cpu") echo "error: they disagree" >&2; echo '{"agrees": false}'; exit 1 ;;
  bench*) echo "a table"; echo '{"bench": "'"$device ${INLAY_MLX_KERNELS-on}"'"}' >"$json" ;;
  status*) echo '{"devices": []}' ;;
  *) echo '{"agrees": true, "kernels": "'"${INLAY_MLX_KERNELS-on}"'"}' ;;
esac
INLAY
printf '#!/bin/sh\ntouch "$1/a.metal.cc"\n' >build/tests/metal/metal_signatures
chmod +x build/inlay build/tests/metal/metal_signatures
PROGRAM
program python3.13 <<PROGRAM
if [ "\$1" = -m ]; then
  mkdir -p .venv/mac/bin .venv/mac/lib/python3.13/site-packages/mlx
  printf '#!/bin/sh\necho "pip \$*" >>"\$CALLS"\n' >.venv/mac/bin/python
  chmod +x .venv/mac/bin/python
  exit 0
fi
exec $(command -v python3) "\$@"
PROGRAM
PATH=$root/bin:/usr/bin:/bin
cd "$root/repo"

fail() { echo "error: $*" >&2; exit 1; }
refused() { # SENTENCE VARIABLE=VALUE
  if env "$2" tools/verify_on_mac.sh >"$root/out.txt" 2>&1; then fail "it ran with $2"; fi
  grep -q "$1" "$root/out.txt" || { cat "$root/out.txt"; fail "with $2 it did not say: $1"; }
  [ ! -e build ] || fail "with $2 it wrote"
}
refused 'this is for a Mac with Apple silicon, got Linux' FAKE_SYSTEM=Linux
refused 'expected macOS 14 or later' FAKE_VERSION=13.6
refused 'brew install snowball' FAKE_MISSING=snowball
tools/verify_on_mac.sh --list >"$root/list.txt" && [ ! -e build ] || fail "--list ran something"

INLAY_VERIFY_SECONDS=3 tools/verify_on_mac.sh -o all.json >"$root/out.txt" 2>"$root/err.txt" || { cat "$root/err.txt"; fail "it ended with an error"; }
INLAY_VERIFY_SECONDS=3 tools/verify_on_mac.sh --quick -o quick.json >/dev/null 2>&1
if pgrep -f "sleep 98765" >/dev/null; then fail "what a step started is still there"; fi
python3 - "$CALLS" "$PWD" <<'PYTHON'
import json
import sys

with open("all.json") as file:
    text = file.read()
everything = json.loads(text)
steps = {step["name"]: step for step in everything["steps"]}
assert len(steps) == len(everything["steps"]) > 60, len(steps)
assert sum(everything["counts"].values()) == len(steps)
assert sys.argv[2] not in text, "a folder of the machine is in the result"


def state(name, expected):
    assert steps[name]["state"] == expected, steps[name]


state("machine", "ok")
assert "Mac15,3" in steps["machine"]["output"]
state("build", "ok")
state("tests-mlx-kernels-off", "ok")
assert steps["metal-compiler"]["result"] == {"compiled": 1}
for model in ("minilm", "prithivida/Splade_PP_en_v1", "BAAI/bge-reranker-base"):
    state(f"verify {model} cpu fp32", "ok")
    state(f"verify {model} torch:mps fp32", "timed out" if model == "minilm" else "ok")
    state(f"verify {model} onnxruntime:coreml fp32", "unavailable")
    assert "looked in ./build" in steps[f"verify {model} onnxruntime:coreml fp32"]["messages"]
    state(f"verify {model} mlx:cpu fp32", "failed")
    assert steps[f"verify {model} mlx:cpu fp32"]["result"] == {"agrees": False}
    for dtype in ("fp32", "fp16", "bf16"):
        assert steps[f"verify {model} mlx:gpu {dtype}"]["result"]["kernels"] == "on"
        assert steps[f"verify {model} mlx:gpu {dtype}, own kernels off"]["result"]["kernels"] == "off"
for dtype in ("fp32", "fp16", "bf16"):
    assert steps[f"bench mlx:gpu {dtype}"]["result"] == {"bench": "mlx:gpu on"}
    assert steps[f"bench mlx:gpu {dtype}, own kernels off"]["result"] == {"bench": "mlx:gpu off"}
assert steps["bench all"]["result"] == {"bench": " on"}
state("bench torch:mps", "failed")
assert steps["bench torch:mps"]["exit"] == 128 + 11
state("disabled coreml", "ok")  # the last one: nothing before it stopped the run

with open("quick.json") as file:
    quick = json.load(file)
assert quick["quick"] and not any("torch" in step["name"] or "Splade" in step["name"] for step in quick["steps"])
with open(sys.argv[1]) as file:
    calls = file.read()
assert "--disable coreml" in calls and "MLComputeUnits=CPUAndGPU,AllowLowPrecisionAccumulationOnGPU=1" in calls
assert "cmake --preset macos -DINLAY_MLX_FOLDER=" in calls
with open("../list.txt") as file:
    listed = [line.split(": ")[0] for line in file if ": " in line and not line.startswith(" ")]
assert len(listed) == len(steps), (len(listed), len(steps))
print(f"{len(steps)} steps, {len(quick['steps'])} of them quick: {everything['counts']}")
PYTHON

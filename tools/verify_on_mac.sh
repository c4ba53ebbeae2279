#!/usr/bin/env bash
# Everything of Inlay that only a Mac can tell, run once on one: builds it, tests it, compiles the Metal kernels with Apple's
# compiler, holds each device against plain loops, measures. Ends in one JSON file to send in.
#   tools/verify_on_mac.sh              all of it: an hour, and some 4 GB of downloads (models, torch, MLX, ONNX Runtime)
#   tools/verify_on_mac.sh --quick      the smallest model alone, no torch, short measurements: a quarter of an hour
#   tools/verify_on_mac.sh --list       the steps, without running any
#   tools/verify_on_mac.sh -o FILE      where the JSON goes (verify_on_mac.json)
# A step that fails, hangs or is refused is a line of the result, and the next one runs. Nothing outside this folder,
# Homebrew and Inlay's own folders of models and caches is written; what is missing of Homebrew is named, not installed.
# The file holds the machine's model, chip, memory and versions, no names of people, hosts or folders of yours.
# $INLAY_VERIFY_SECONDS, when set, is the most that any step may take. Written for bash 3.2, which is what macOS has.
set -u
cd "$(dirname "$0")/.." || exit 1

out=verify_on_mac.json quick=0 list=0 python3=
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=1 ;;
    --list) list=1 ;;
    -o)
      [ $# -gt 1 ] || { echo "error: -o needs a file." >&2; exit 2; }
      out=$2
      shift
      ;;
    -h | --help)
      sed -n '2,12s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "error: expected --quick, --list, -o FILE or nothing, got '$1'." >&2
      exit 2
      ;;
  esac
  shift
done

if [ $list -eq 0 ]; then
  if [ "$(uname -s)" != Darwin ] || [ "$(uname -m)" != arm64 ]; then
    echo "error: this is for a Mac with Apple silicon, got $(uname -s) on $(uname -m). Elsewhere ./test is what to run." >&2
    exit 1
  fi
  major=$(sw_vers -productVersion | cut -d. -f1)
  if [ "$major" -lt 14 ]; then
    echo "error: expected macOS 14 or later, which MLX and ONNX Runtime need, got $(sw_vers -productVersion)." >&2
    exit 1
  fi
  missing=
  for pair in cmake:cmake ninja:ninja pkg-config:pkgconf; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
  done
  for formula in simdjson pcre2 cli11 snowball googletest; do
    brew --prefix --installed "$formula" >/dev/null 2>&1 || missing="$missing $formula"
  done
  for candidate in python3.13 python3.12 python3.11 python3; do
    [ -n "$python3" ] && break
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && python3=$candidate
  done
  [ -n "$python3" ] || missing="$missing python@3.13" # the system's own is older than the wheels
  if ! xcode-select -p >/dev/null 2>&1; then
    echo "error: Apple's compiler is not here. Run: xcode-select --install" >&2
    exit 1
  fi
  if [ -n "$missing" ]; then
    echo "error: missing from Homebrew:$missing. Run: brew install$missing" >&2
    exit 1
  fi
fi

folder=build/verify_on_mac
steps=$folder/steps.tsv
if [ $list -eq 0 ]; then
  rm -rf "$folder"
  mkdir -p "$folder"
  : >"$steps"
fi
number=0

# step NAME SECONDS COMMAND...: runs the command with its output in files of its own, and remembers how it ended. A command
# that writes JSON to standard output or to $JSON has it taken into the result.
step() {
  local name=$1 limit=$2 from rc
  shift 2
  number=$((number + 1))
  if [ $list -eq 1 ]; then
    printf '%s: %s\n' "$name" "$*"
    return 0
  fi
  printf '== %s\n' "$name" >&2
  [ -n "${INLAY_VERIFY_SECONDS-}" ] && [ "$limit" -gt "$INLAY_VERIFY_SECONDS" ] && limit=$INLAY_VERIFY_SECONDS
  from=$(date +%s)
  JSON=$folder/$number.json
  export JSON
  # macOS has no `timeout`. The command gets a group of its own, so that what it started ends with it.
  perl -e 'my ($limit, @command) = @ARGV;
    my $child = fork; die unless defined $child;
    if (!$child) { setpgrp; exec @command or exit 127 }
    $SIG{ALRM} = sub { kill "KILL", -$child; waitpid $child, 0; exit 124 };
    alarm $limit; waitpid $child, 0;
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8)' \
    "$limit" "$@" >"$folder/$number.out" 2>"$folder/$number.err" </dev/null
  rc=$?
  printf '%s\t%s\t%s\t%s\t%s\n' "$number" "$name" "$rc" "$(($(date +%s) - from))" "$(printf '%s' "$*" | tr '\n\t' '  ')" >>"$steps"
  [ $rc -eq 0 ] || printf '   exit %s: %s\n' "$rc" "$(tail -n 1 "$folder/$number.err")" >&2
  return 0
}

inlay=build/inlay
python=.venv/mac/bin/python
packages=mlx-metal
[ $quick -eq 1 ] || packages=all

# --- what this machine is ---
step machine 60 sh -c 'sw_vers; uname -v; sysctl hw.model hw.memsize hw.ncpu hw.perflevel0.physicalcpu hw.perflevel1.physicalcpu machdep.cpu.brand_string;
  system_profiler SPDisplaysDataType 2>/dev/null | grep -E "Chipset|Cores|Metal"; clang++ --version | head -1; xcrun -f metal; git rev-parse HEAD'

# --- build ---
step python 300 "${python3:-python3}" -m venv .venv/mac
if [ "$packages" = all ]; then
  step packages 1800 "$python" -m pip install --quiet --disable-pip-version-check -r tools/mac-requirements.txt
else
  step packages 900 sh -c "grep -v '^torch' tools/mac-requirements.txt | $python -m pip install --quiet --disable-pip-version-check -r /dev/stdin"
fi
step configure 300 sh -c "cmake --preset macos -DINLAY_MLX_FOLDER=\"\$(ls -d \"\$PWD\"/.venv/mac/lib/python3*/site-packages/mlx)\""
step build 3600 cmake --build build
# Libraries that Inlay opens are looked for in the active environment.
VIRTUAL_ENV=$PWD/.venv/mac
export VIRTUAL_ENV

# --- tests ---
step tests 1800 ctest --test-dir build -L 'unit|steps|golden|metal' -j 4 --timeout 300
step tests-mlx-kernels-off 900 env INLAY_MLX_KERNELS=off ctest --test-dir build -R 'mlx' --timeout 300
# The texts of the Metal kernels, as MLX hands them over, by Apple's own compiler (Xcode; not in the command line tools).
step metal-compiler 600 sh -c 'mkdir -p build/metal_apple && build/tests/metal/metal_signatures build/metal_apple >/dev/null && count=0 &&
  for text in build/metal_apple/*.metal.cc; do
    xcrun -sdk macosx metal -std=metal3.1 -x metal -Dfloat16_t=half -Dbfloat16_t=bfloat -c "$text" -o /dev/null || exit 1
    count=$((count + 1))
  done && echo "{\"compiled\": $count}"'

# --- models ---
step model-dense 1200 "$inlay" model get minilm
models=minilm
if [ $quick -eq 0 ]; then
  step model-sparse 1800 "$inlay" model get prithivida/Splade_PP_en_v1
  step model-rerank 1800 "$inlay" model get BAAI/bge-reranker-base
  models="minilm prithivida/Splade_PP_en_v1 BAAI/bge-reranker-base"
fi

# --- what is there, and which device `auto` would take ---
step status 120 "$inlay" status --json --verbose
step status-measure 600 "$inlay" status -m minilm --json --measure all

# --- agreement with plain loops: device by device, precision by precision, model by model ---
for model in $models; do
  for pair in cpu:fp32 cpu:bf16 cpu:int8 onnxruntime=cpu:fp32 onnxruntime=coreml:fp32 mlx=cpu:fp32 mlx=gpu:fp32 mlx=gpu:fp16 mlx=gpu:bf16 mlx=gpu:int8 mlx=gpu:int4; do
    device=$(echo "${pair%%:*}" | tr = :)
    step "verify $model $device ${pair#*:}" 900 "$inlay" verify -m "$model" --device "$device" --dtype "${pair#*:}" --json
  done
  for dtype in fp32 fp16 bf16; do
    step "verify $model mlx:gpu $dtype, own kernels off" 900 env INLAY_MLX_KERNELS=off "$inlay" verify -m "$model" --device mlx:gpu --dtype $dtype --json
  done
  if [ $quick -eq 0 ]; then
    for device in torch:cpu torch:mps; do
      step "verify $model $device fp32" 900 "$inlay" verify -m "$model" --device $device --dtype fp32 --json
    done
  fi
done

# --- CoreML, one preset after the other: partitions, operators left to the CPU, agreement ---
for preset in MLComputeUnits=CPUAndNeuralEngine MLComputeUnits=ALL MLComputeUnits=CPUAndGPU MLComputeUnits=CPUOnly \
  MLComputeUnits=CPUAndGPU,AllowLowPrecisionAccumulationOnGPU=1 SpecializationStrategy=Default RequireStaticInputShapes=1; do
  step "coreml $preset" 900 "$inlay" verify -m minilm --device onnxruntime:coreml --provider-options "$preset" --json
  step "coreml bench $preset" 900 "$inlay" bench -m minilm --device onnxruntime:coreml --provider-options "$preset" --seconds 60 --json "$folder/$((number + 1)).json"
done

# --- figures: all devices in one run, then the kernels on and off, then the switch ---
seconds=60
[ $quick -eq 1 ] && seconds=20
step "bench all" 3600 "$inlay" bench --seconds $seconds --json "$folder/$((number + 1)).json"
for dtype in fp32 fp16 bf16; do
  step "bench mlx:gpu $dtype" 900 "$inlay" bench --device mlx:gpu --dtype $dtype --seconds $seconds --json "$folder/$((number + 1)).json"
  step "bench mlx:gpu $dtype, own kernels off" 900 env INLAY_MLX_KERNELS=off "$inlay" bench --device mlx:gpu --dtype $dtype --seconds $seconds --json "$folder/$((number + 1)).json"
done
if [ $quick -eq 0 ]; then
  step "bench cpu grid" 2400 "$inlay" bench --device cpu --grid --seconds $seconds --json "$folder/$((number + 1)).json"
  step "bench torch:mps" 900 "$inlay" bench --device torch:mps --seconds $seconds --json "$folder/$((number + 1)).json"
fi
step "disabled coreml" 120 "$inlay" status --json --disable coreml
[ $list -eq 1 ] && exit 0

"$python3" - "$folder" "$out" "$quick" <<'PYTHON'
import json
import os
import sys

folder, out, quick = sys.argv[1:]
home = os.path.expanduser("~")
here = os.getcwd()


def clean(text):
    """Without the folders of this machine and its user."""
    for path, name in ((here, "."), (home, "~")):
        if len(path) > 1:
            text = text.replace(path, name)
    return text


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return clean(file.read())
    except OSError:
        return ""


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


steps = []
for line in read(os.path.join(folder, "steps.tsv")).splitlines():
    number, name, code, seconds, command = line.split("\t", 4)
    base = os.path.join(folder, number)
    printed = read(base + ".out")
    result = parsed(read(base + ".json"))
    if result is None:
        result = parsed(printed)
    code = int(code)
    step = {"name": name, "exit": code, "seconds": int(seconds), "command": command}
    step["state"] = {0: "ok", 124: "timed out", 69: "unavailable"}.get(code, "failed")
    if result is not None:
        step["result"] = result
    else:
        step["output"] = printed[-6000:]
    if code != 0 or result is None:
        step["messages"] = read(base + ".err")[-3000:]
    steps.append(step)

counts = {}
for step in steps:
    counts[step["state"]] = counts.get(step["state"], 0) + 1
with open(out, "w", encoding="utf-8") as file:
    json.dump({"format": "inlay verify_on_mac 1", "quick": quick == "1", "counts": counts, "steps": steps}, file, indent=1)
    file.write("\n")
print(f"{len(steps)} steps: " + ", ".join(f"{counts[state]} {state}" for state in sorted(counts)))
PYTHON
rc=$?
[ $rc -eq 0 ] && echo "Please read $out, then attach it to an issue: it fills in the rows of docs/acceleration.md that say \"not yet run\"."
exit $rc

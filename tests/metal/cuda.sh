#!/usr/bin/env bash
# cuda.sh SOURCE_FOLDER BUILD_FOLDER: compiles the Metal kernels' texts as CUDA with the nvcc that is here and, where a GPU
# is, or with INLAY_METAL_CUDA=build for one elsewhere, makes BUILD_FOLDER/metal_cuda/metal_cuda and runs it. 77, CTest's
# sign of a skipped test, with the reason, when nvcc or the GPU is missing. $INLAY_METAL_CUDA_ARCHITECTURE (80) is compiled
# to machine code, and to intermediate code for newer ones.
set -euo pipefail
source=$1 build=$2/metal_cuda
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [ -z "$nvcc" ]; then
  echo "skipped: nvcc is not installed"
  exit 77
fi
architecture=${INLAY_METAL_CUDA_ARCHITECTURE:-80}
mkdir -p "$build"
includes=(-I"$source/src" -I"$source/include" -I"$source/tests" -I"$2/generated")
# Compiled again when any text or source is newer.
stale() { [ ! -f "$1" ] || [ -n "$(find "$source/tests/metal" "$source/src/backend/mlx/kernels" "$source/src/backend/ref" \
  "$source/src/program" -type f -newer "$1" | head -1)" ]; }
run=no
{ [ -e /dev/nvidia0 ] || [ "${INLAY_METAL_CUDA-}" = build ]; } && run=yes
[ "$run" = no ] || [ "$(cat "$build/run" 2>/dev/null)" = yes ] || rm -f "$build/engine.o"
echo "$run" >"$build/run"
if stale "$build/engine.o"; then
  optimised=(-O1)
  [ "$run" = yes ] || optimised=(-Xcicc -O0 -Xptxas -O0) # sooner, and nobody runs it
  "$nvcc" -std=c++20 "${optimised[@]}" -gencode "arch=compute_$architecture,code=[compute_$architecture,sm_$architecture]" --expt-relaxed-constexpr -Werror=all-warnings \
    "${includes[@]}" -c "$source/tests/metal/cuda_engine.cu" -o "$build/engine.o"
fi
if [ "$run" = no ]; then
  echo "skipped: compiled, but no NVIDIA GPU is at hand"
  exit 77
fi
if stale "$build/metal_cuda"; then
  cuda=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
  g++ -std=c++20 -O2 -Wall -Wextra -Werror -Wno-restrict "${includes[@]}" "$source"/tests/metal/{cuda_main,cases}.cc \
    "$source"/src/backend/mlx/kernels/kernels.cc "$build/engine.o" "$2"/src/backend/ref/libinlay_ref.a "$2"/src/program/libinlay_program.a \
    "$2"/src/files/libinlay_files.a "$2"/src/base/libinlay_base.a -L"$cuda/lib64" -lcudart_static -lsimdjson -lcurl -ldl -lrt -lpthread -o "$build/metal_cuda"
fi
exec "$build/metal_cuda"

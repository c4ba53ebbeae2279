#!/usr/bin/env bash
# mlx_signatures.sh SOURCE_FOLDER BUILD_FOLDER: the signatures that signatures.cc writes beside those that MLX itself generates.
# 77, CTest's sign of a skipped test: no MLX for this machine in $INLAY_MLX_FOLDER or a Python environment here.
set -euo pipefail
source=$1 build=$2/metal_mlx
mlx=${INLAY_MLX_FOLDER-}
for folder in "$source"/.venv/*/lib/python3*/site-packages/mlx; do
  [ -z "$mlx" ] && [ -f "$folder/lib/libmlx.so" ] && mlx=$folder
done
if [ -z "$mlx" ]; then
  echo "skipped: no MLX (mlx-cpu) is at hand"
  exit 77
fi
mkdir -p "$build"
program=$build/metal_signatures
if [ ! -f "$program" ] || [ -n "$(find "$source/tests/metal/signatures.cc" "$source/src/backend/mlx/kernels" -newer "$program" | head -1)" ]; then
  g++ -std=c++20 -O0 -DINLAY_WITH_MLX -isystem "$mlx/include" -I"$source/src" -I"$source/include" -I"$2/generated" "$source/tests/metal/signatures.cc" \
    "$source/src/backend/mlx/kernels/kernels.cc" "$2/src/base/libinlay_base.a" -L"$mlx/lib" -lmlx -Wl,-rpath,"$mlx/lib" -o "$program"
fi
echo "$("$program" "$build") signatures are MLX's"

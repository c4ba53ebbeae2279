#!/usr/bin/env bash
# mutants.sh SOURCE_FOLDER BUILD_FOLDER [TEXT]: faults planted in the texts of the Metal kernels, one at a time, each of which the
# emulator's odd shapes must find. Barriers are not among them: emulated_test.cc drops each at run time. Some seconds of a
# compiler each; for ./test --nightly and for whoever changes a text. Needs BUILD_FOLDER's metal_test.
set -euo pipefail
source=$1 build=$2 work=$2/metal_mutants
objects=$build/tests/metal/CMakeFiles
rm -rf "$work"
mkdir -p "$work/backend/mlx/kernels"
alive=0 count=0
only=${3-}
mutant() { # FILE SED-EXPRESSION
  [ -z "$only" ] || [ "$only" = "$1" ] || return 0
  count=$((count + 1))
  cp "$source"/src/backend/mlx/kernels/*.{metal,h} "$work/backend/mlx/kernels/"
  sed -i -E "$2" "$work/backend/mlx/kernels/$1.metal"
  if cmp -s "$source/src/backend/mlx/kernels/$1.metal" "$work/backend/mlx/kernels/$1.metal"; then
    echo "error: '$2' changes nothing in $1.metal" >&2
    exit 1
  fi
  g++ -std=c++20 -O1 -w -I"$work" -I"$source/tests" -I"$source/src" -I"$source/include" -c "$source/tests/metal/emulated.cc" -o "$work/emulated.o"
  g++ "$work/emulated.o" "$objects"/metal_test.dir/{emulated_test,emulator}.cc.o "$objects"/metal_cases.dir/cases.cc.o \
    "$build"/src/backend/mlx/kernels/libinlay_mlx_kernels.a "$build"/src/backend/ref/libinlay_ref.a "$build"/src/program/libinlay_program.a \
    "$build"/src/files/libinlay_files.a "$build"/src/base/libinlay_base.a -lgtest -lgtest_main -lsimdjson -lpthread -o "$work/mutant"
  if timeout 120 "$work/mutant" --gtest_filter='*OddShapes*' >"$work/out.txt" 2>&1; then
    echo "ALIVE $1: $2"
    alive=$((alive + 1))
  else
    echo "found $1: $2: $(grep -m 1 -oE '(read|write) outside|race of [a-z ]*|expected [^,]*, got [^"]*|no multiple|before it was written' "$work/out.txt" || echo other)"
  fi
}
mutant prelude 's/if \(row < rows\) load4/load4/'
mutant prelude 's/x < 0\.0f \? 0\.0f : x\)/x)/'
mutant prelude 's/sum == 1\.0f \? x : //'
mutant prelude 's/lane \/ 4 \* 4\)/lane \/ 4 * 4 + 4)/'
mutant attention 's/const bool seen = j < keys && /const bool seen = /'
mutant attention 's/position <= block \+ j \+ WINDOW/position < block + j + WINDOW/'
mutant attention 's/block \+ j <= position\) &&/block + j < position) \&\&/'
mutant attention 's/total = total \* shrink/total = total/'
mutant attention 's/head \/ GROUP \* HEAD_SIZE\);$/head * HEAD_SIZE);/'
mutant attention 's/ \+ r >= count\) continue/ + r > count) continue/'
mutant attention 's/ushort\(2\)\);$/ushort(1));/'
mutant attention 's/kTileStride, 0, true/kTileStride, 0, false/'
mutant attention 's/min\(kKeys, key_end - block\)/kKeys/'
mutant residual_layer_norm 's/if \(column >= WIDTH\) continue;//'
mutant residual_layer_norm 's/row >= input_shape\[0\]/row > input_shape[0]/'
mutant residual_layer_norm 's/\+ eps\)/)/'
mutant bias_gelu 's/ \|\| column >= width//'
mutant bias_gelu 's/row >= input_shape\[0\] \|\| //'
mutant pool_normalize 's/ && begin \+ g < end//'
mutant pool_normalize 's/if \(column < WIDTH\) \{/{/'
mutant pool_normalize 's/row - first \+ 1/row - begin + 1/'
mutant pool_normalize 's/any \? max\(sum, x\) : x/max(sum, x)/'
mutant vocabulary_max 's/if \(word >= words\) return;//'
mutant vocabulary_max 's/largest = max\(largest, logit \+ shift\)/largest = max(largest, logit)/'
echo "$count faults planted, $alive not found"
[ $alive -eq 0 ]

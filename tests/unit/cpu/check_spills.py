#!/usr/bin/env python3
"""Fails when an inner loop of a GEMM tile keeps an accumulator in memory.

usage: check_spills.py LIBRARY   (libinlay_cpu.a, or an object file of it)

Compilers have been seen to spill the accumulators of an intrinsics kernel, at a third of its speed and with the
right results, so no other test notices. A loop counts when it holds multiply-adds; a vector register moved to or from
the stack inside it is a spill (a reloaded row pointer, as clang has in the 14-row tile, costs nothing). Exit code 77 (skipped) where objdump is missing or the build is not optimised.
"""

import re
import shutil
import subprocess
import sys

MULTIPLY = re.compile(r"\b(vfn?madd\w*ps|mulps|fml[as]|vpdpbusd|vpdpwssd|vdpbf16ps|v?pmaddwd|smull2?)\b")
STACK = re.compile(r"(?=.*\[(rsp|sp|x29)\b)(?=.*\b([xyz]mm|[qv])\d)")
JUMP = re.compile(r"\s(j[a-z]+|b\.[a-z]+|cbnz|cbz|b)\s+(?:\w+,\s*)?(?:0x)?([0-9a-f]+)\b")


def inner_loops(lines):
    """(multiplies, stack accesses) of every backward jump's body that holds no other backward jump."""
    addresses = [int(line.split(":")[0], 16) for line in lines]
    spans = []
    for i, line in enumerate(lines):
        jump = JUMP.search(line)
        if jump and int(jump.group(2), 16) <= addresses[i]:
            begin = next((k for k, a in enumerate(addresses) if a >= int(jump.group(2), 16)), i)
            if addresses[0] <= int(jump.group(2), 16):
                spans.append((begin, i))
    for begin, end in spans:
        if any(b >= begin and e <= end and (b, e) != (begin, end) for b, e in spans):
            continue
        body = lines[begin : end + 1]
        yield sum(bool(MULTIPLY.search(line)) for line in body), sum(bool(STACK.search(line)) for line in body)


def main():
    objdump = shutil.which("objdump")
    if objdump is None:
        print("skipped: objdump is not installed")
        return 77
    dump = subprocess.run(
        [objdump, "-d", "-C", "--no-show-raw-insn", "-M", "intel", sys.argv[1]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    functions, name = {}, None
    for line in dump.splitlines():
        if line.endswith(">:"):
            name = line.split(" ", 1)[1][1:-2]
            functions.setdefault(name, []).append([])
        elif name and re.match(r"\s+[0-9a-f]+:", line):
            functions[name][-1].append(line)
    bad = loops = 0
    for name, copies in functions.items():
        # Not the two-row tiles of generic, nor bf16 where the processor has no such products: nobody's fast path.
        kernel = re.search(r"\b(tile|int8|int8_pairs|bf16|steps)_kernel<(\d+)[,>]", name)
        if kernel is None or (kernel[1] == "int8" and int(kernel[2]) <= 2):
            continue
        for lines in copies:
            for multiplies, spills in inner_loops(lines):
                if multiplies == 0 or (kernel[1] == "bf16" and not any("vdpbf16ps" in line for line in lines)):
                    continue
                loops += 1
                if spills:
                    bad += 1
                    print(f"{name}: {spills} spills beside {multiplies} multiply-adds")
    print(f"{loops} inner loops, {bad} with spills")
    if loops == 0:
        print("skipped: no tile kernel with a loop (not an optimised build)")
        return 77
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

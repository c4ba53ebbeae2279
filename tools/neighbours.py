#!/usr/bin/env python3
"""Prints, for a few texts, their nearest neighbours by cosine, and how the vectors were made.

Reads a text file (one text a line), the vectors that `inlay embed` wrote for it (npy, float32) and the run's report.
Standard library only: it is what `./run` shows to a newcomer.
"""

import argparse
import ast
import json
import math
import struct
import sys
from array import array
from pathlib import Path


def read_npy(path: Path) -> list[array]:
    """Rows of a two-dimensional little-endian float32 array."""
    data = path.read_bytes()
    if data[:6] != b"\x93NUMPY":
        sys.exit(f"{path}: expected a npy file. Write it with `inlay embed -o {path.name}`.")
    if data[6] == 1:
        (length,), start = struct.unpack_from("<H", data, 8), 10
    else:
        (length,), start = struct.unpack_from("<I", data, 8), 12
    header = ast.literal_eval(data[start : start + length].decode("latin-1"))
    if header["descr"] != "<f4" or header["fortran_order"] or len(header["shape"]) != 2:
        sys.exit(f"{path}: expected float32 [texts, dim] in C order, got {header}.")
    rows, dim = header["shape"]
    values = array("f")
    values.frombytes(data[start + length :])
    if sys.byteorder == "big":
        values.byteswap()
    if len(values) != rows * dim:
        sys.exit(f"{path}: expected {rows * dim} values, got {len(values)}. The file is cut short.")
    return [values[row * dim : (row + 1) * dim] for row in range(rows)]


def cosine(a: array, b: array) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b))
    norms = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return dot / norms if norms else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--show", type=int, default=5, metavar="N", help="texts to show (5)")
    parser.add_argument("--neighbours", type=int, default=3, metavar="N", help="of each (3)")
    args = parser.parse_args()

    texts = args.texts.read_text(encoding="utf-8").splitlines()
    vectors = read_npy(args.vectors)
    if len(texts) != len(vectors):
        sys.exit(f"{args.vectors}: expected {len(texts)} vectors, one a text, got {len(vectors)}.")

    shown = min(args.show, len(texts))
    for place in range(shown):
        index = place * len(texts) // shown
        print(f"\n{texts[index]}")
        ranked = sorted(
            ((cosine(vectors[index], other), row) for row, other in enumerate(vectors) if row != index),
            reverse=True,
        )
        for score, row in ranked[: args.neighbours]:
            print(f"  {score:.3f}  {texts[row]}")

    if args.report:
        report = json.loads(args.report.read_text(encoding="utf-8"))
        seconds = report["seconds"]
        working = max(seconds["total"] - seconds["load"], 1e-9)
        print(
            f"\n{report['texts']} texts, {report['tokens']} tokens in {working:.3f} s "
            f"({report['tokens'] / working:,.0f} tokens/s) after {seconds['load']:.3f} s of loading"
        )
        print(
            f"model {report['model']}; device {report['device']} ({report['backend']}, {report['isa']}), "
            f"precision {report['dtype']}"
        )


if __name__ == "__main__":
    main()

"""How far two rows of bench/compare.py gave the same results: the check that they computed the same thing."""

import array
import json
import math
from pathlib import Path


def read(work: Path, name: str) -> tuple[array.array, int] | None:
    file = work / f"{name.replace(' ', '-')}.f32"
    shape = file.with_suffix(".shape")
    if not shape.is_file():
        return None
    values = array.array("f")
    values.frombytes(file.read_bytes())
    return values, json.loads(shape.read_text())[1]


def agreement(work: Path, reference: str, name: str, task: str) -> float | None:
    """Lowest cosine of rows; for rerank the largest difference of scores. None without results to compare."""
    first, second = read(work, reference), read(work, name)
    if first is None or second is None or len(first[0]) != len(second[0]):
        return None
    (a, width), (b, _) = first, second
    if task == "rerank":
        return max(abs(x - y) for x, y in zip(a, b))
    lowest = 1.0
    for begin in range(0, len(a), width):
        x, y = a[begin : begin + width], b[begin : begin + width]
        length = math.sqrt(dot(x, x) * dot(y, y))
        lowest = min(lowest, dot(x, y) / length if length else 0.0)
    return lowest


def dot(x: array.array, y: array.array) -> float:
    return math.fsum(p * q for p, q in zip(x, y))

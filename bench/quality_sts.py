#!/usr/bin/env python3
"""Spearman correlation x100 of cosine with human scores on an STS file, through build/inlay.

    .venv/tests/bin/python bench/quality_sts.py --data stsb-en-test.csv -m minilm --expect 82.03

The data is a CSV without header: sentence1,sentence2,score. With --expect the exit code is 1 outside the tolerance.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

INLAY = Path(__file__).resolve().parent.parent / "build" / "inlay"


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    ranks = np.stack([average_ranks(a), average_ranks(b)]).astype(np.float64)
    return float(np.corrcoef(ranks)[0, 1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-m", "--model", default="minilm")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--expect", type=float, help="published figure, such as 82.03")
    parser.add_argument("--tolerance", type=float, default=0.02)
    args = parser.parse_args()

    with open(args.data, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or any(len(row) != 3 for row in rows):
        sys.exit(f"{args.data}: expected rows of sentence1,sentence2,score.")
    texts = [row[0] for row in rows] + [row[1] for row in rows]
    with tempfile.TemporaryDirectory() as work:
        given, made, report = Path(work, "texts.jsonl"), Path(work, "vectors.npy"), Path(work, "report.json")
        given.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        command = [INLAY, "embed", "-m", args.model, "--device", args.device, "-i", given, "-o", made]
        subprocess.run([*command, "--report", report, "--quiet"], check=True, stdin=subprocess.DEVNULL)
        vectors = np.load(made).astype(np.float64)
        about = json.loads(report.read_text())

    first, second = vectors[: len(rows)], vectors[len(rows) :]
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosine = (first * second).sum(1) / np.maximum(norms, 1e-12)
    score = 100 * spearman(cosine, np.array([float(row[2]) for row in rows]))
    print(
        f"{args.data.name}: {len(rows)} pairs, {about['tokens']} tokens, {about['model']}, {about['device']} "
        f"{about['isa']} {about['dtype']}: Spearman x100 = {score:.3f}"
    )
    if args.expect is not None and abs(score - args.expect) > args.tolerance:
        print(f"expected {args.expect} +- {args.tolerance}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

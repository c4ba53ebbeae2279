#!/usr/bin/env python3
"""What a precision costs in quality, through build/inlay: a line a dtype.

    bench/quality.py --data stsb-en-test.csv                    minilm in fp32, bf16 and int8
    bench/quality.py --data stsb-en-test.csv --dtypes fp32 --no-retrieval --expect 82.03

- STS: Spearman correlation x100 of cosine with human scores. The data is a CSV without header:
  sentence1,sentence2,score.
- Retrieval: nDCG@10 x100 over Debian's Linux manual pages (bench/manpages.py downloads two pinned packages): the NAME
  line is the query, the DESCRIPTION the one right document among all.
- Cosine of each vector to its fp32 twin over all sentences of the STS file: lowest and mean. With --device the first dtype is the one that the others are taken to.

A dtype that this build or processor refuses is a line "not run". --check exits with 1 when a dtype that ran misses its
bars (BARS below), --expect when fp32's Spearman is elsewhere. Needs numpy: .venv/tests/bin/python, or .venv/oracles'.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import manpages  # noqa: E402

INLAY = ROOT / "build" / "inlay"
REFUSED = (2, 65, 69)  # exit codes with which a dtype is refused
# Lowest and mean cosine to fp32; points of Spearman x100 that may be lost; share of nDCG that may be lost.
BARS = {
    "fp32": (1.0 - 1e-6, 1.0 - 1e-6, 0.0, 0.0),
    "fp16": (0.9999, 0.99999, 0.3, 0.01),
    "bf16": (0.9999, 0.9999, 0.3, 0.01),
    "int8": (0.99, 0.99, 0.3, 0.01),
    "fp8": (0.98, 0.997, 0.3, 0.01),
}


class Refused(Exception):
    """Inlay's own sentence."""


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    ranks = np.stack([average_ranks(a), average_ranks(b)]).astype(np.float64)
    return float(np.corrcoef(ranks)[0, 1])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def ndcg_at_10(queries: np.ndarray, documents: np.ndarray) -> float:
    """Query i has one right document, i; a document that scores the same as it counts as before it."""
    scores = unit(queries) @ unit(documents).T
    right = scores.diagonal()[:, None]
    ranks = 1 + ((scores >= right).sum(1) - 1)
    return float(np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0).mean())


def embed(args: argparse.Namespace, dtype: str, texts: list[str], role: str | None = None) -> tuple[np.ndarray, dict]:
    with tempfile.TemporaryDirectory() as work:
        given, made, report = Path(work, "texts.jsonl"), Path(work, "vectors.npy"), Path(work, "report.json")
        given.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        command = [INLAY, "embed", "-m", args.model, "--device", args.device, "--dtype", dtype, "-i", given, "-o", made]
        command += ["--report", report, "--quiet"]
        command += ["--as", role] if role else []
        command += ["--max-length", args.max_length] if args.max_length else []
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode in REFUSED:
            raise Refused(done.stderr.strip().removeprefix("inlay: "))
        if done.returncode != 0:
            sys.exit(f"inlay embed ended with {done.returncode}: {done.stderr.strip()}")
        return np.load(made).astype(np.float64), json.loads(report.read_text())


def read_sts(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or any(len(row) != 3 for row in rows):
        sys.exit(f"{path}: expected rows of sentence1,sentence2,score.")
    return rows


def measure(args: argparse.Namespace, dtype: str, sts: list, pages: list, base: dict) -> dict:
    """One dtype's line; `base` keeps the vectors of the first, which the cosines are taken to."""
    line = {"dtype": dtype}
    half = len(sts)
    vectors, about = embed(args, dtype, [row[0] for row in sts] + [row[1] for row in sts])
    vectors = unit(vectors)
    line |= {"tokens": about["tokens"], "device": about["device"], "isa": about["isa"], "model": about["model"]}
    cosine = (vectors[:half] * vectors[half:]).sum(1)
    line["spearman"] = 100 * spearman(cosine, np.array([float(row[2]) for row in sts]))
    base.setdefault("vectors", vectors)
    base.setdefault("dtype", dtype)
    twins = (vectors * base["vectors"]).sum(1)
    line |= {"cosine_to": base["dtype"], "cosine_min": float(twins.min()), "cosine_mean": float(twins.mean())}
    if pages:
        queries, _ = embed(args, dtype, [query for query, _ in pages], "query")
        documents, about = embed(args, dtype, [document for _, document in pages], "document")
        line |= {"ndcg": 100 * ndcg_at_10(queries, documents), "documents": len(pages), "cut": about["truncated"]}
    return line


def misses(line: dict, first: dict) -> list[str]:
    cosine, mean, points, share = BARS[line["dtype"]]
    out = []
    if not line["cosine_min"] >= cosine:  # NaN misses too
        out.append(f"{line['dtype']}: lowest cosine {line['cosine_min']:.6f}, expected at least {cosine}")
    if not line["cosine_mean"] >= mean:
        out.append(f"{line['dtype']}: mean cosine {line['cosine_mean']:.6f}, expected at least {mean}")
    if not abs(first["spearman"] - line["spearman"]) <= points:
        out.append(
            f"{line['dtype']}: Spearman {line['spearman']:.3f} is more than {points} off {first['spearman']:.3f}"
        )
    if "ndcg" in line and not line["ndcg"] >= (1 - share) * first["ndcg"]:
        out.append(f"{line['dtype']}: nDCG@10 {line['ndcg']:.3f} is more than {share:.0%} below {first['ndcg']:.3f}")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the STS file")
    parser.add_argument("-m", "--model", default="minilm")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtypes", default="fp32,bf16,int8", help="the first is what the others are held against")
    parser.add_argument("--max-length", type=int, help="tokens of a text (the model's own limit)")
    parser.add_argument("--manpages", type=Path, default=ROOT / "bench" / ".cache" / "manpages", help="folder of .debs")
    parser.add_argument("--no-retrieval", action="store_true")
    parser.add_argument("--expect", type=float, help="published Spearman x100 of the first dtype, such as 82.03")
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--check", action="store_true", help="exit 1 when a dtype misses its bars")
    parser.add_argument("--json", type=Path, help="also write the table as JSON")
    args = parser.parse_args()
    dtypes = args.dtypes.split(",")
    if not set(dtypes) <= set(BARS):
        sys.exit(f"--dtypes: expected {', '.join(BARS)}, got {args.dtypes}.")
    if not INLAY.is_file():
        sys.exit("build/inlay is not built. Run: ./run hello")
    sts = read_sts(args.data)
    try:
        pages = [] if args.no_retrieval else manpages.pairs(args.manpages)
    except manpages.Missing as error:
        sys.exit(f"{error} Or leave retrieval out with --no-retrieval.")

    lines, base = [], {}
    for dtype in dtypes:
        try:
            lines.append(measure(args, dtype, sts, pages, base))
        except Refused as error:
            lines.append({"dtype": dtype, "not_run": str(error)})
    done = [line for line in lines if "not_run" not in line]
    if not done or "not_run" in lines[0]:
        sys.exit(f"nothing to hold the others against: {lines[0]['not_run']}")
    first = done[0]
    print(
        f"{args.data.name}: {len(sts)} pairs, {first['tokens']} tokens; {len(pages)} manual pages; "
        f"{first['model']}, {first['device']} {first['isa']}"
    )
    print(f"{'dtype':<7}{'Spearman':>10}{'nDCG@10':>10}{'min cosine':>13}{'mean cosine':>13}  to {base['dtype']}")
    for line in lines:
        if "not_run" in line:
            print(f"{line['dtype']:<7}  not run: {line['not_run']}")
            continue
        ndcg = f"{line['ndcg']:.3f}" if "ndcg" in line else "-"
        cosines = f"{line['cosine_min']:>13.7f}{line['cosine_mean']:>13.7f}"
        print(f"{line['dtype']:<7}{line['spearman']:>10.3f}{ndcg:>10}{cosines}")
    if args.json:
        args.json.write_text(json.dumps(lines, indent=2) + "\n")
    wrong = [miss for line in done[1:] for miss in misses(line, first)] if args.check else []
    if args.expect is not None and abs(first["spearman"] - args.expect) > args.tolerance:
        wrong.append(f"{first['dtype']}: Spearman {first['spearman']:.3f}, expected {args.expect} +- {args.tolerance}")
    for miss in wrong:
        print(miss)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

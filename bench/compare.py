#!/usr/bin/env python3
"""Inlay beside onnxruntime (and torch) end to end in one run: same texts, same length limit, same threads.

Rows are interleaved over several rounds, each in a process of its own; the best round counts. `inside` is the time from
texts to vectors in a loaded engine, `whole` that of the process from start to exit, loading and imports included. Every
row prints the tokens that it processed: a row whose count differs from Inlay's by more than 0.1 % is void. On more than
one thread the machine's own scaling is measured before and after each row, and a row during which it fell below
1.9x per doubling is repeated. Runs in the oracle environment (tests/oracles/requirements.txt):

    .venv/oracles/bin/python bench/compare.py workload.json -m MODEL_FOLDER
"""

import argparse
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import machine  # noqa: E402

INLAY = ROOT / "build" / "inlay"
PEERS = {  # row -> engine, file, batch
    "onnxruntime b1": ("onnxruntime", "plain", 1),
    "onnxruntime b8": ("onnxruntime", "plain", 8),
    "onnxruntime fused b1": ("onnxruntime", "fused", 1),
    "onnxruntime fused b8": ("onnxruntime", "fused", 8),
    "torch b8": ("torch", "", 8),
}


# ---------------------------------------------------------------------------------------------------------------------
# one row, in a process of its own


def run_inlay(args: argparse.Namespace, texts: Path, vectors: Path) -> dict:
    report = vectors.with_suffix(".json")
    command = [INLAY, "embed", "-m", args.model, "-i", texts, "-o", vectors, "--report", report, "--quiet"]
    command += ["--device", "cpu", "--max-length", args.max_length, "--threads", args.threads]
    start = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL)
    whole = time.perf_counter() - start
    made = json.loads(report.read_text())
    seconds = made["seconds"]
    return {
        "inside": seconds["total"] - seconds["load"],
        "whole": whole,
        "load": seconds["load"],
        "tokens": made["tokens"],
        "isa": made["isa"],
    }


def run_peer(args: argparse.Namespace, row: str, texts: Path, vectors: Path) -> dict:
    engine, form, batch = PEERS[row]
    command = [sys.executable, __file__, texts, "-m", args.model, "--child", engine, "--batch", batch, "-o", vectors]
    command += ["--max-length", args.max_length, "--threads", args.threads, "--started", time.time()]
    if form:
        command += ["--onnx", onnx_file(args, form)]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def onnx_file(args: argparse.Namespace, form: str) -> Path:
    """The peer's file, exported and checked against torch when it is not there yet."""
    folder = Path(args.model).resolve()
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    target = ROOT / "build" / "bench" / f"{folder.name}-{mark}-{form}.onnx"
    if not target.is_file():
        command = [sys.executable, ROOT / "tools" / "export_onnx.py", args.model, target]
        subprocess.run([*command, "--fuse"] if form == "fused" else command, check=True, stdout=sys.stderr)
    return target


def child(args: argparse.Namespace) -> None:
    """A peer: load, one pass as a cold process makes it, then two more; prints one JSON line."""
    import numpy as np

    texts = [json.loads(line) for line in args.workload.read_text(encoding="utf-8").splitlines()]
    before = time.perf_counter()
    embed = {"onnxruntime": onnxruntime_engine, "torch": torch_engine}[args.child](args)
    load = time.perf_counter() - before
    passes = []
    for _ in range(3):
        start = time.perf_counter()
        vectors, tokens = embed(texts)
        passes.append(time.perf_counter() - start)
        if len(passes) == 1:
            whole = time.time() - args.started
    np.save(args.output, vectors)
    print(json.dumps({"inside": min(passes), "whole": whole, "load": load, "tokens": tokens}))


def onnxruntime_engine(args: argparse.Namespace):
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(args.model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(args.max_length)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(args.onnx), options, providers=["CPUExecutionProvider"])
    wanted = {given.name: given.type for given in session.get_inputs()}
    hidden_name = session.get_outputs()[0].name

    def embed(texts: list[str]):
        encoded = tokenizer.encode_batch(texts)
        lengths = [len(one.ids) for one in encoded]
        order = sorted(range(len(texts)), key=lambda index: -lengths[index])
        vectors = None
        for begin in range(0, len(order), args.batch):
            chosen = order[begin : begin + args.batch]
            ids = np.zeros((len(chosen), lengths[chosen[0]]), np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(chosen):
                ids[row, : lengths[index]] = encoded[index].ids
                mask[row, : lengths[index]] = 1
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            given = {
                name: value.astype(np.int32) if wanted[name] == "tensor(int32)" else value
                for name, value in given.items()
                if name in wanted
            }
            (hidden,) = session.run([hidden_name], given)
            if vectors is None:
                vectors = np.empty((len(texts), hidden.shape[2]), np.float32)
            weight = mask[:, :, None].astype(np.float32)
            pooled = (hidden * weight).sum(1) / weight.sum(1)
            vectors[chosen] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return vectors, sum(lengths)

    return embed


def torch_engine(args: argparse.Namespace):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(args.threads)
    model = SentenceTransformer(args.model, device="cpu")
    model.max_seq_length = args.max_length

    def embed(texts: list[str]):
        vectors = model.encode(texts, batch_size=args.batch, normalize_embeddings=True, show_progress_bar=False)
        counts = model.tokenizer(texts, truncation=True, max_length=args.max_length)["input_ids"] if not tokens else ()
        tokens.extend(len(ids) for ids in counts)
        return vectors, sum(tokens)

    tokens: list[int] = []
    return embed


# ---------------------------------------------------------------------------------------------------------------------
# the table


def measure(args: argparse.Namespace, row: str, texts: Path, vectors: Path) -> dict:
    """One round of one row; repeated while the machine does not give all its cores."""
    for attempt in range(args.patience):
        before = machine.scaling(args.threads)
        made = run_inlay(args, texts, vectors) if row == "inlay" else run_peer(args, row, texts, vectors)
        after = machine.scaling(args.threads)
        made["scaling"] = min(before, after)
        if made["scaling"] >= machine.full_scaling(args.threads):
            return made
        print(f"  {row}: {args.threads} threads scaled {made['scaling']:.2f}x, again ({attempt + 1})", file=sys.stderr)
        time.sleep(2)
    made["disturbed"] = True
    return made


def best_of(rounds: list[dict]) -> dict:
    quiet = [made for made in rounds if "disturbed" not in made]
    best = dict(min(quiet or rounds, key=lambda made: made["inside"]))
    best["whole"] = min(made["whole"] for made in quiet or rounds)
    best["rounds"] = len(quiet)
    return best


def versions() -> dict:
    import numpy
    import onnxruntime
    import tokenizers

    inlay = subprocess.run([INLAY, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return {
        "inlay": inlay.split()[-1],
        "onnxruntime": onnxruntime.__version__,
        "tokenizers": tokenizers.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def compare(args: argparse.Namespace) -> int:
    import numpy as np

    data = json.loads(args.workload.read_text(encoding="utf-8"))
    if args.texts not in data:
        sys.exit(f"{args.workload}: expected a list '{args.texts}', it holds {', '.join(data)}.")
    chosen = data[args.texts][: args.count]
    rows = ["inlay"] + [row for row in PEERS if any(row.startswith(name) for name in args.engines.split(","))]

    with tempfile.TemporaryDirectory() as work_name:
        work = Path(work_name)
        texts = work / "texts.jsonl"
        texts.write_text("".join(json.dumps(text) + "\n" for text in chosen), encoding="utf-8")
        for row in rows[1:]:
            if PEERS[row][1]:
                onnx_file(args, PEERS[row][1])
        rounds: dict[str, list[dict]] = {row: [] for row in rows}
        for number in range(args.rounds):
            for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                rounds[row].append(measure(args, row, texts, work / f"{row.replace(' ', '-')}.npy"))
        vectors = {row: np.load(work / f"{row.replace(' ', '-')}.npy") for row in rows}

    table = {row: best_of(rounds[row]) for row in rows}
    ours = table["inlay"]
    for row, made in table.items():
        made["void"] = abs(made["tokens"] - ours["tokens"]) > 0.001 * ours["tokens"]
        made["tokens_per_second"] = made["tokens"] / made["inside"]
        made["min_cosine"] = float((vectors[row] * vectors["inlay"]).sum(1).min())
    peers = {row: made for row, made in table.items() if row != "inlay" and not made["void"]}
    best = min(peers, key=lambda row: peers[row]["inside"]) if peers else None

    about = machine.describe() | {"isa": ours["isa"], "threads": args.threads, "versions": versions()}
    print(f"{about['cpu']}, {about['cores']} cores; isa {about['isa']}; {args.threads} threads; fp32")
    print(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
    print(f"texts: first {len(chosen)} of '{args.texts}', limit {args.max_length}, best of {args.rounds} rounds\n")
    print(f"{'row':<22}{'tokens':>8}{'inside s':>10}{'tokens/s':>10}{'whole s':>9}{'scaling':>9}{'min cos':>10}")
    for row, made in table.items():
        note = "  void: other tokens" if made["void"] else ""
        note += "  disturbed" if "disturbed" in made else ""
        print(
            f"{row:<22}{made['tokens']:>8}{made['inside']:>10.3f}{made['tokens_per_second']:>10.0f}"
            f"{made['whole']:>9.3f}{made['scaling']:>9.2f}{made['min_cosine']:>10.6f}{note}"
        )
    result = {"machine": about, "rows": table, "best_peer": best}
    if best:
        result["ratio_inside"] = table[best]["inside"] / ours["inside"]
        result["ratio_whole"] = min(made["whole"] for made in peers.values()) / ours["whole"]
        print(f"\ninlay over the best peer ({best}): {result['ratio_inside']:.2f}x inside", end="")
        print(f", {result['ratio_whole']:.2f}x as a whole process")
        if "disturbed" in ours or "disturbed" in table[best]:
            print("the machine did not give all its cores: this ratio is no measurement, run it again when it is quiet")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if best and math.isfinite(result["ratio_inside"]) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", type=Path, help='JSON {"short": [...], "mixed": [...], ...}')
    parser.add_argument("-m", "--model", required=True, help="model folder")
    parser.add_argument("--texts", default="mixed", help="which list of the workload (mixed)")
    parser.add_argument("--count", type=int, default=100, help="first N of them (100)")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--engines", default="onnxruntime", help="peers: onnxruntime,torch (onnxruntime)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=int, default=5, help="repeats of a row on a machine that is busy (5)")
    parser.add_argument("--json", type=Path, help="also write the table as JSON")
    for name, kind in [("child", str), ("batch", int), ("onnx", Path), ("started", float)]:
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return 0
    if not INLAY.is_file():
        sys.exit("build/inlay is not built. Run: ./run hello")
    if not (Path(args.model) / "tokenizer.json").is_file():
        sys.exit(f"{args.model}: expected a model folder with tokenizer.json.")
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())

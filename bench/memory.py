#!/usr/bin/env python3
"""Peak memory of `inlay embed`: it follows the token budget, not the number of texts, and obeys --memory-limit.

    bench/memory.py                         100,000 short texts against 1,000: at most 1.3 times the peak
    bench/memory.py --workload FILE         also: --memory-limit 300MB over the list `long` of FILE
    bench/memory.py --soak                  10,000 batches of random lengths; resident memory grows by 1 % at most
    bench/memory.py --sparse FOLDER         100 texts of 512 tokens, sparse against dense with FOLDER's body (a masked
                                            language model, see bench/random_model.py): at most 1.2 times the peak

Peaks are ru_maxrss of the child, from wait4. Exit 1 when a bar is missed. Standard library only.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INLAY = Path(__file__).resolve().parent.parent / "build" / "inlay"
WORDS = (
    "river stone cloud bread train music garden window letter winter summer paper water light bridge forest "
    "engine doctor market island mountain teacher number color silver answer morning shadow kitchen harbor"
).split()
MEBI = 2**20


def write_texts(path: Path, count: int, words: tuple[int, int]) -> None:
    """The first n texts are the same whatever the count."""
    chosen = random.Random(20240607)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(" ".join(chosen.choices(WORDS, k=chosen.randint(*words))) + "\n")


def command(args: argparse.Namespace, texts: Path, out: Path, *more: str) -> list[str]:
    return [str(INLAY), "embed", "-m", args.model, "-i", str(texts), "-o", str(out), "--quiet", *more]


def peak(arguments: list[str]) -> tuple[int, int, str]:
    """(exit code, peak resident bytes, standard error) of a process."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        return child.returncode, usage.ru_maxrss * 1024, errors.read().decode(errors="replace").strip()


def growth(args: argparse.Namespace, work: Path) -> bool:
    peaks = []
    for count in (1_000, args.texts):
        texts = work / f"{count}.txt"
        write_texts(texts, count, (1, 6))
        start = time.perf_counter()
        code, bytes_, errors = peak(command(args, texts, work / f"{count}.npy"))
        if code != 0:
            sys.exit(f"inlay ended with {code}: {errors}")
        peaks.append(bytes_)
        print(f"{count:>7} texts: peak {bytes_ / MEBI:7.1f} MiB in {time.perf_counter() - start:.1f} s")
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.3f}, bar 1.3")
    return ratio <= 1.3


def limited(args: argparse.Namespace, work: Path) -> bool:
    limit = 300_000_000
    texts = work / "long.jsonl"
    long = json.loads(args.workload.read_text(encoding="utf-8"))["long"]
    texts.write_text("".join(json.dumps(text) + "\n" for text in long), encoding="utf-8")
    more = ("--memory-limit", "300MB", "--max-length", "512")
    code, bytes_, errors = peak(command(args, texts, work / "long.npy", *more))
    print(f"--memory-limit 300MB over {len(long)} long texts: exit {code}, peak {bytes_ / 1e6:.1f} MB {errors}")
    return (code == 0 and bytes_ <= limit) or code == 71


def sparse(args: argparse.Namespace, work: Path) -> bool:
    texts = work / "long.txt"
    write_texts(texts, 100, (600, 600))  # a word is at least a token
    limit = ["--max-length", "512", "--quiet", "-i", str(texts)]
    peaks = {}
    for name, words in [("embed", ["--pooling", "mean"]), ("sparse", ["--assume-splade"])]:
        out = ["-m", str(args.sparse), "-o", str(work / f"{name}.jsonl"), "--report", str(work / "report.json")]
        code, peaks[name], errors = peak([str(INLAY), name, *words, *out, *limit])
        if code != 0:
            sys.exit(f"inlay {name} ended with {code}: {errors}")
        tokens = json.loads((work / "report.json").read_text())["tokens"]
        print(f"{name:>7}: 100 texts, {tokens} tokens, peak {peaks[name] / MEBI:7.1f} MiB")
    ratio = peaks["sparse"] / peaks["embed"]
    print(f"ratio {ratio:.3f}, bar 1.2")
    return ratio <= 1.2


def soak(args: argparse.Namespace, work: Path) -> bool:
    """Resident memory of one process over batches of one to a few texts of random lengths, more than 10,000 of them:
    the last third against the second."""
    texts = work / "soak.txt"
    write_texts(texts, args.texts // 5, (0, 200))
    arguments = command(args, texts, work / "soak.npy", "--batch-tokens", "256", "--max-length", "256")
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    samples = []
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                samples.append(int(line.split()[1]) * 1024)
        time.sleep(0.25)
    if child.wait() != 0:
        sys.exit(f"inlay ended with {child.returncode}.")
    if len(samples) < 30:
        sys.exit(f"only {len(samples)} samples: the run was too short to say anything. Give more --texts.")
    third = len(samples) // 3
    second, last = max(samples[third : 2 * third]), max(samples[2 * third :])
    print(f"soak: {args.texts // 5} texts, {len(samples)} samples, {second / MEBI:.1f} MiB then {last / MEBI:.1f} MiB")
    return last <= 1.01 * second


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", default="minilm")
    parser.add_argument("--texts", type=int, default=100_000, help="texts of the large run (100000)")
    parser.add_argument("--workload", type=Path, help='JSON with a list "long"')
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--sparse", type=Path, help="a masked language model's folder")
    args = parser.parse_args()
    if not INLAY.is_file():
        sys.exit("build/inlay is not built. Run: ./run hello")

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run = sparse if args.sparse else soak if args.soak else growth
        held = [run(args, work)]
        if args.workload:
            held.append(limited(args, work))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

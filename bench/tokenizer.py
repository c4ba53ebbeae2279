#!/usr/bin/env python3
"""Inlay's tokenizer beside the `tokenizers` wheel: one thread each, the same texts, in turns, ids compared.

    bench/man_texts.py FOLDER -o TEXTS                      # see there: where the texts come from
    ninja -C build bench_tokenizer
    .venv/oracles/bin/python bench/tokenizer.py TEXTS --bert MODEL_FOLDER/tokenizer.json

Vocabularies: WordPiece is the real one of --bert. The others are trained by the wheel on TEXTS/*-train.jsonl, once,
and kept in --cache: Unigram in XLM-R's layout with SentencePiece's nmt_nfkc map, byte-level BPE in the layouts of GPT-2,
Llama 3 and Qwen2. Every layout runs over English and multilingual texts.

MB/s are bytes of text over the CPU seconds of the best of --rounds passes (each side has one thread and waits for
nothing, so that other load counts less); "first" is Inlay's first pass in a fresh process, its caches cold. The wheel
runs encode_batch_fast and encode_batch on one thread and the faster counts. Exit 1 when an id differs.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import: one thread
import tokenizers  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "bench")]
import machine  # noqa: E402
import make_tokenizers as layouts  # noqa: E402

SIZES = {"xlmr": 64000, "gpt2": 50000, "llama3": 100000, "qwen2": 100000}
TRAINING_CHARACTERS = 12_000_000  # half English, half multilingual; Unigram's trainer needs GBs for much more
CORPORA = ("english", "multilingual")


def read_texts(path: Path, most_bytes: int) -> list[str]:
    texts, total = [], 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line))
            total += len(texts[-1].encode())
            if total >= most_bytes:
                break
    return texts


# ----------------------------------------------------------------------------------------------- vocabularies


def nmt_nfkc() -> str:
    """SentencePiece's own character map, out of a model trained on anything."""
    import base64

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        text.write_text("\n".join(f"line {i} of {i * 7} about nothing" for i in range(300)))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/m", vocab_size=60, normalization_rule_name="nmt_nfkc",
            minloglevel=2, hard_vocab_limit=False)  # fmt: skip
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(Path(folder, "m.model").read_bytes())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def train(name: str, texts: list[str]) -> dict:
    """The published layout `name` with its vocabulary replaced by a trained one."""
    data = {"xlmr": lambda: layouts.xlmr(nmt_nfkc()), "gpt2": layouts.gpt2, "llama3": layouts.llama3,
            "qwen2": layouts.qwen2}[name]()  # fmt: skip
    if name == "xlmr":
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=SIZES[name], special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>",
            show_progress=False)  # fmt: skip
        blank = tokenizers.Tokenizer(tokenizers.models.Unigram())
    else:
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=SIZES[name], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False)  # fmt: skip
        blank = tokenizers.Tokenizer(tokenizers.models.BPE())
    whole = tokenizers.Tokenizer.from_str(json.dumps(data))
    if whole.normalizer:
        blank.normalizer = whole.normalizer
    blank.pre_tokenizer = whole.pre_tokenizer
    blank.train_from_iterator(texts, trainer)
    trained = json.loads(blank.to_str())["model"]
    trained.update({key: data["model"][key] for key in ("ignore_merges", "unk_id") if key in data["model"]})
    return layouts.tokenizer(
        trained, data["normalizer"], data["pre_tokenizer"], None, data["decoder"], data["added_tokens"]
    )


def tokenizer_file(name: str, args: argparse.Namespace) -> Path:
    if name == "bert":
        return args.bert
    path = args.cache / f"{name}-{SIZES[name]}.json"
    if not path.exists():
        args.cache.mkdir(parents=True, exist_ok=True)
        texts = []
        for corpus in CORPORA:
            left = TRAINING_CHARACTERS // len(CORPORA)
            for text in read_texts(args.texts / f"{corpus}-train.jsonl", 1 << 62):
                if left <= 0:
                    break
                texts.append(text)
                left -= len(text)
        print(f"training {path}", file=sys.stderr)
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        data = train(name, texts)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path


# -------------------------------------------------------------------------------------------------- measuring


class Inlay:
    """The driver process with one tokenizer and one list of texts."""

    def __init__(self, driver: Path, tokenizer: Path, texts: list[str], folder: str):
        self.folder = folder
        path = Path(folder, "texts")
        path.write_bytes(b"".join(struct.pack("<I", len(t)) + t for t in (text.encode() for text in texts)))
        self.process = subprocess.Popen(
            [str(driver), str(tokenizer), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, command: str) -> str:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"bench_tokenizer ended with {self.process.wait()}")
        return answer

    def seconds(self) -> float:
        return float(self.ask("time"))

    def ids(self) -> list[tuple[int, ...]]:
        path = Path(self.folder, "ids")
        self.ask(f"ids {path}")
        data, at, lists = path.read_bytes(), 0, []
        while at < len(data):
            (count,) = struct.unpack_from("<I", data, at)
            lists.append(struct.unpack_from(f"<{count}i", data, at + 4))
            at += 4 + 4 * count
        return lists

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def wheel_seconds(reference: tokenizers.Tokenizer, texts: list[str]) -> float:
    """The faster of its two batch calls."""
    best = float("inf")
    for call in (reference.encode_batch_fast, reference.encode_batch):
        start = time.process_time()
        call(texts)
        best = min(best, time.process_time() - start)
    return best


def differing_ids(reference: tokenizers.Tokenizer, texts: list[str], ours: list[tuple[int, ...]]) -> int:
    differing = abs(len(texts) - len(ours))
    for begin in range(0, len(texts), 1000):
        for encoding, mine in zip(reference.encode_batch(texts[begin : begin + 1000]), ours[begin : begin + 1000]):
            theirs = encoding.ids
            differing += abs(len(theirs) - len(mine)) + sum(a != b for a, b in zip(theirs, mine))
    return differing


def row(name: str, corpus: str, args: argparse.Namespace) -> dict:
    path = tokenizer_file(name, args)
    texts = read_texts(args.texts / f"{corpus}.jsonl", int(args.megabytes * 1e6))
    size = sum(len(text.encode()) for text in texts) / 1e6
    result = {"tokenizer": name, "corpus": corpus, "texts": len(texts), "megabytes": round(size, 2)}
    with tempfile.TemporaryDirectory() as folder:
        inlay = Inlay(args.driver, path, texts, folder)
        first = inlay.seconds()
        ours, theirs = first, float("inf")
        if not args.no_wheel:
            reference = tokenizers.Tokenizer.from_file(str(path))
            reference.no_padding()
            reference.no_truncation()
        for _ in range(args.rounds):  # in turns, so that both see the same moments of the machine
            ours = min(ours, *(inlay.seconds() for _ in range(3)))
            if not args.no_wheel:
                theirs = min(theirs, wheel_seconds(reference, texts))
        result |= {"first_mb_s": round(size / first, 1), "mb_s": round(size / ours, 1)}
        if not args.no_wheel:
            ids = inlay.ids()
            result |= {"wheel_mb_s": round(size / theirs, 2), "ratio": round(theirs / ours, 1),
                       "tokens": sum(map(len, ids)), "differences": differing_ids(reference, texts, ids)}  # fmt: skip
        inlay.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="the folder that bench/man_texts.py wrote")
    parser.add_argument("--bert", type=Path, required=True, help="a real BERT tokenizer.json")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "tokenizers")
    parser.add_argument("--driver", type=Path, default=ROOT / "build" / "tests" / "oracles" / "bench_tokenizer")
    parser.add_argument("--only", nargs="*", default=["bert", *SIZES], help="of bert xlmr gpt2 llama3 qwen2")
    parser.add_argument("--corpus", nargs="*", default=list(CORPORA))
    parser.add_argument("--megabytes", type=float, default=10.1, help="of each corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-wheel", action="store_true", help="only Inlay, no comparison")
    parser.add_argument("--json", action="store_true", help="a JSON line a row")
    args = parser.parse_args()
    about = machine.describe()
    print(f"# {about['cpu']}, {about['cores']} cores; tokenizers {tokenizers.__version__}", flush=True)
    differing = 0
    for name in args.only:
        for corpus in args.corpus:
            result = row(name, corpus, args)
            differing += result.get("differences", 0)
            if args.json:
                print(json.dumps(result), flush=True)
                continue
            line = (f"{name:7} {corpus:13} {result['megabytes']:6.1f} MB  Inlay {result['mb_s']:7.1f} MB/s "
                    f"(first {result['first_mb_s']:6.1f})")  # fmt: skip
            if not args.no_wheel:
                line += (f"  wheel {result['wheel_mb_s']:6.2f}  ratio {result['ratio']:5.1f}"
                         f"  differences {result['differences']} of {result['tokens']}")  # fmt: skip
            print(line, flush=True)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()

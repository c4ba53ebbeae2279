"""Whole tokenizers against the pinned `tokenizers` wheel: no differences allowed.

Needs the built driver: INLAY_TOKENS_DRIVER=build/tests/oracles/tokens_driver pytest tests/oracles/test_tokens.py
INLAY_TOKENS_STRINGS sets the random strings per family (20000; a release takes 1000000), INLAY_TOKENS_SEED another
seed, INLAY_MODEL_DIR the folder of a real model whose tokenizer.json is compared as well.
Also a program: python tests/oracles/test_tokens.py --count 1000000 [--driver FILE] [--family NAME ...]
"""

import argparse
import functools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import pytest
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "tokens"
sys.path.insert(0, str(ROOT / "tools"))
import make_tokenizers  # noqa: E402

STRINGS = int(os.environ.get("INLAY_TOKENS_STRINGS", "20000"))
SEED = int(os.environ.get("INLAY_TOKENS_SEED", "1"))
DRIVER = os.environ.get("INLAY_TOKENS_DRIVER", str(ROOT / "build" / "tests" / "oracles" / "tokens_driver"))
MODEL = os.environ.get("INLAY_MODEL_DIR")
PAIR, NO_SPECIAL, OFFSETS, LEFT, ONLY_FIRST, ONLY_SECOND, DECODE, KEEP = 1, 2, 4, 8, 16, 32, 64, 128
BATCH = 4000


# ------------------------------------------------------------------------------------------------------- the driver


def run_driver(path, requests, config=None):
    """requests: (flags, max_length, bytes, bytes). Returns for each a tuple of numbers, a text, or an error."""
    data = b"".join(struct.pack("<4I", flags, most, len(first), len(second)) + first + second
                    for flags, most, first, second in requests)  # fmt: skip
    command = [DRIVER, str(path)] + ([str(config)] if config else [])
    done = subprocess.run(command, input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    answers, at, out = [], 0, done.stdout
    for flags, *_ in requests:
        (status,) = struct.unpack_from("<I", out, at)
        if status or flags & DECODE:
            (size,) = struct.unpack_from("<I", out, at + 4)
            text = out[at + 8 : at + 8 + size].decode()
            answers.append(("error", text) if status else text)
            at += 8 + size
        else:
            (count,) = struct.unpack_from("<I", out, at + 4)
            size = count * (5 if flags & OFFSETS else 3)
            answers.append(struct.unpack_from(f"<{size}I", out, at + 12))
            at += 12 + 4 * size
    assert at == len(out)
    return answers


def to_characters(text):
    """The wheel's rule that turns byte offsets into character offsets."""
    places = range(len(text)) if text.isascii() else [i for i, c in enumerate(text) for _ in range(len(c.encode()))]

    def convert(begin, end):
        if begin > len(places) or end > len(places):
            return begin, end
        start = places[begin] if begin < len(places) else len(text)
        if end < len(places):
            return start, places[end]
        return start, len(text) if begin < end else start

    return convert


def characters(answer, items, first, second):
    """An answer with byte offsets as one with character offsets; `items` tells which text each token is of."""
    converters = [to_characters(first), to_characters(second or "")]
    result = []
    for i in range(0, len(answer), 5):
        token, type_id, special, begin, end = answer[i : i + 5]
        if not special:
            begin, end = converters[second is not None and items[i // 5] or 0](begin, end)
        result += [token, type_id, special, begin, end]
    return tuple(result)


# --------------------------------------------------------------------------------------------------- random strings

ALPHABETS = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " ", " ", " .,;:!?'\"-_()[]{}<>#@&*+=/\\|~^$%`",
             "éèêëàâäôöûüçñßøåœæ", "абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρσςτυφχψω", "日本語東京北京中文字漢字々",
             "ひらがなカタカナー", "한국어서울\u1100\u1161\u11a8\u1112\u1173", "مرحباالعربية", "שלוםעברית", "नमस्तेभारतहिन्दी",
             "สวัสดีไทย", "\u0301\u0300\u0308\u0323\u0327\u05b4\u0651\u093c\u0e38\u1dce\u20d0\ufe20\u3099",
             "\t\n\r\x0b\x0c \u00a0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u0085", "\x00\x01\x07\x1b\x7f\x80\x9f\u200b\u200d\u200e\u2060\ufeff\u00ad\ufffd",
             "😀😁👍🏽👩\u200d🔬🇩🇪\ufe0f\u20e3✈☃", "ﬁﬂﬀſßŉﷺ㎏①½ⅷ²₃Å℃Ω", "𝔄𝕬𝟘𐐀🜁𠮷𪚥\U0010ffff\ue000\u0378", "▁▁Ġ_#", "İıſKẞΣς"]  # fmt: skip
FRAGMENTS = ["'s", "'S", "'ſ", "'t", "'RE", "'ll", "'Ll", "don't", "I'm", "##a", "<0x41>", "<0xE2>", "</w>", "http://x.y/z?a=1",
             "  ", "    ", "\n\n", "\r\n", " \n", "...", "--", "``", "''", "e\u0301", "1234", "3.14", "x²", "\u0041\u030a", "한글", "<é>",
             "Dog", "ab c", "[X]", "</s", "<s", "[CLS", "MASK]", "<|", "|>", "(a1-b2)", "naïve", "ＡＢＣ", "ｶﾞ"]  # fmt: skip


class Strings:
    """Strings of mixed scripts, oddities, the tokenizer's own pieces and special tokens, and long runs."""

    def __init__(self, data, seed):
        self.random = random.Random(seed)
        vocab = data["model"]["vocab"]
        self.pieces = [entry if isinstance(entry, str) else entry[0] for entry in vocab]
        self.special = [token["content"] for token in data["added_tokens"]] or ["[X]"]

    def fragment(self):
        pick = self.random.random()
        if pick < 0.55:
            return "".join(self.random.choices(self.random.choice(ALPHABETS), k=self.random.randint(1, 6)))
        if pick < 0.70:
            return self.random.choice(FRAGMENTS)
        if pick < 0.84:
            piece = self.random.choice(self.pieces)
            return piece.replace("Ġ", " ") if self.random.random() < 0.5 else piece.replace("▁", " ").removeprefix("##")
        if pick < 0.92:
            special = self.random.choice(self.special)
            return special if self.random.random() < 0.7 else special.swapcase()
        if pick < 0.97:
            code = self.random.randrange(0x110000 if self.random.random() < 0.3 else 0x3000)
            return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"
        return self.random.choice("aA 1.é▁\n日\u0301") * self.random.randint(2, 60)

    def __call__(self):
        return "".join(self.fragment() for _ in range(self.random.choice((0, 1, 2, 3, 4, 6, 9, 14))))


# ----------------------------------------------------------------------------------------------------- comparing


def expected(reference, texts, pairs, special):
    """The reference's encodings; None where it refuses."""
    inputs = list(zip(texts, pairs)) if pairs else texts
    try:
        return reference.encode_batch(inputs, add_special_tokens=special)
    except BaseException as error:  # a panic of the wheel is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
    result = []
    for item in inputs:
        try:
            result.append(reference.encode_batch([item], add_special_tokens=special)[0])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            result.append(None)
    return result


def flatten(encoding, offsets):
    columns = [encoding.ids, encoding.type_ids, encoding.special_tokens_mask]
    if offsets:
        begins, ends = zip(*encoding.offsets) if encoding.ids else ((), ())
        columns += [begins, ends]
    return tuple(number for row in zip(*columns) for number in row)


def cases(rng):
    """One batch's options: (flags, max_length, keyword arguments for enable_truncation)."""
    flags = rng.choice((0, 0, 0, OFFSETS, PAIR, PAIR | OFFSETS, NO_SPECIAL, NO_SPECIAL | OFFSETS))
    if rng.random() < 0.6:
        return flags, 0, None
    most = rng.choice((5, 6, 7, 8, 11, 16, 31))
    direction = rng.choice(("right", "left"))
    strategies = ("longest_first", "only_first", "only_second") if flags & PAIR else ("longest_first", "only_first")
    strategy = rng.choice(strategies)
    flags |= {"left": LEFT}.get(direction, 0) | {"only_first": ONLY_FIRST, "only_second": ONLY_SECOND}.get(strategy, 0)
    return flags, most, {"strategy": strategy, "direction": direction}


def compare(path, data, count, seed, config=None, reference=None):
    """Returns how many strings were compared and the first differences."""
    reference = reference or tokenizers.Tokenizer.from_str(json.dumps(data))
    reference.no_padding()
    strings, rng = Strings(data, seed), random.Random(seed + 1)
    differences, done = [], 0
    while done < count and len(differences) < 5:
        flags, most, truncation = cases(rng)
        size = min(BATCH, count - done)
        reference.no_truncation()
        if truncation:
            size = min(size, 1000)
            reference.enable_truncation(most, **truncation)
        texts = [strings() for _ in range(size)]
        pairs = [strings() for _ in range(size)] if flags & PAIR else None
        wanted = expected(reference, texts, pairs, not flags & NO_SPECIAL)
        got = run_driver(path, [(flags, most, text.encode(), pairs[i].encode() if pairs else b"")
                                for i, text in enumerate(texts)], config)  # fmt: skip
        for i, (encoding, answer) in enumerate(zip(wanted, got)):
            if encoding is None:
                continue  # the wheel refuses or panics; that the driver lives is what is asked of it here
            if flags & OFFSETS and answer[:1] != ("error",):
                if len(answer) == 5 * len(encoding.ids):
                    answer = characters(answer, encoding.sequence_ids, texts[i], pairs and pairs[i])
            if flatten(encoding, flags & OFFSETS) != answer:
                differences.append({"text": texts[i], "pair": pairs and pairs[i], "flags": flags, "max_length": most,
                                    "wanted": flatten(encoding, flags & OFFSETS), "got": answer})  # fmt: skip
        if not truncation and not flags & OFFSETS:
            differences += compare_decoding(path, reference, [e for e in wanted if e is not None], rng, config)
        done += size
    reference.no_truncation()
    return done, differences


def compare_decoding(path, reference, encodings, rng, config):
    lists = [encoding.ids for encoding in encodings]
    for ids in lists[::3]:
        rng.shuffle(ids)
    differences = []
    for skip in (False, True):
        wanted = reference.decode_batch(lists, skip_special_tokens=skip)
        flags = DECODE | (0 if skip else KEEP)
        got = run_driver(path, [(flags, 0, struct.pack(f"<{len(ids)}I", *ids), b"") for ids in lists], config)
        differences += [{"decode": ids, "skip": skip, "wanted": w, "got": g}
                        for ids, w, g in zip(lists, wanted, got) if w != g]  # fmt: skip
    return differences


@functools.cache
def all_tokenizers():
    everything = {path.stem: json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))}
    for line in (DATA / "variants.jsonl").read_text().splitlines():
        entry = json.loads(line)
        everything[entry["name"]] = entry["tokenizer"]
    return everything


def compare_named(name, count, seed=SEED):
    data = all_tokenizers()[name]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "tokenizer.json")
        path.write_text(json.dumps(data))
        return compare(path, data, count, seed)


FAMILIES = sorted(path.stem for path in DATA.glob("*.json"))
VARIANTS = sorted(set(all_tokenizers()) - set(FAMILIES))


def test_goldens_are_what_the_wheel_says():
    for name, text in make_tokenizers.files().items():
        assert (DATA / name).read_text(encoding="utf-8") == text, f"{name}: run tools/make_tokenizers.py"


@pytest.mark.parametrize("name", FAMILIES)
def test_random_strings(name):
    count, differences = compare_named(name, STRINGS)
    assert count == STRINGS and not differences


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name):
    _, differences = compare_named(name, max(500, STRINGS // 20))
    assert not differences


def test_unigram_ties():
    """Paths of the same pieces in another order: what decides is the last bit of scores of 17 digits."""
    rng = random.Random(SEED)
    for _ in range(40):
        data = make_tokenizers.unigram_bytes()
        data["model"]["vocab"] += [["0" * n, -rng.uniform(5, 15)] for n in (1, 2, 3, 5, 6, 7, 11, 16)]
        reference = tokenizers.Tokenizer.from_str(json.dumps(data))
        texts = ["0" * n for n in range(1, 120)] + ["0" * rng.randint(1, 40) + " " + "0" * n for n in range(60)]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "tokenizer.json")
            path.write_text(json.dumps(data))
            got = run_driver(path, [(0, 0, text.encode(), b"") for text in texts])
        assert got == [flatten(encoding, False) for encoding in reference.encode_batch(texts)]


@pytest.mark.skipif(not MODEL, reason="INLAY_MODEL_DIR names no model")
def test_real_model():
    path = pathlib.Path(MODEL, "tokenizer.json")
    count, differences = compare(path, json.loads(path.read_text()), STRINGS, SEED)
    assert count == STRINGS and not differences


def test_vocab_txt():
    """vocab.txt alone gives what transformers' BertTokenizer builds from it."""
    from transformers import BertTokenizer

    vocab = all_tokenizers()["bert_uncased"]["model"]["vocab"]
    settings = [{}, {"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False},
                {"mask_token": "[GAP]", "do_lower_case": False, "strip_accents": True}]  # fmt: skip
    for config in settings:
        with tempfile.TemporaryDirectory() as folder:
            path, config_path = pathlib.Path(folder, "vocab.txt"), pathlib.Path(folder, "tokenizer_config.json")
            path.write_text("".join(f"{token}\n" for token in vocab))
            config_path.write_text(json.dumps(config))
            reference = BertTokenizer(vocab=dict(vocab), **config).backend_tokenizer
            data = json.loads(reference.to_str())
            _, differences = compare(path, data, max(2000, STRINGS // 10), SEED, config_path, reference)
            assert not differences, config


def main():
    global DRIVER
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=STRINGS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--driver", default=DRIVER)
    parser.add_argument("--family", nargs="*")
    arguments = parser.parse_args()
    DRIVER = arguments.driver
    failed = False
    for name in arguments.family or FAMILIES + VARIANTS:
        count, differences = compare_named(name, arguments.count, arguments.seed)
        print(f"{name}: {count} strings, {len(differences)} differences", flush=True)
        for difference in differences[:3]:
            print("   ", difference)
        failed = failed or bool(differences)
    sys.exit(failed)


if __name__ == "__main__":
    main()

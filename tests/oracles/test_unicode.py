"""Normalizers, alignments and character classes against the pinned `tokenizers` wheel: no differences allowed.

Needs the built driver, build/tests/oracles/normalize_driver or what INLAY_NORMALIZE_DRIVER names.
INLAY_UNICODE_STRINGS sets the random strings per normalizer (20000; 1000000 before a release), INLAY_UNICODE_ALIGNED
those whose alignment is compared as well (5000), INLAY_UNICODE_SEED another seed. `python tests/oracles/test_unicode.py --write` makes tests/data/tokens/normalizers.jsonl,
which the C++ unit tests read.
"""

import base64
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
from tokenizers import PreTokenizedString, Regex, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import gen_unicode  # noqa: E402

DRIVER = os.environ.get("INLAY_NORMALIZE_DRIVER", str(ROOT / "build" / "tests" / "oracles" / "normalize_driver"))
STRINGS = int(os.environ.get("INLAY_UNICODE_STRINGS", "20000"))
ALIGNED = int(os.environ.get("INLAY_UNICODE_ALIGNED", "5000"))
SEED = int(os.environ.get("INLAY_UNICODE_SEED", "1"))
CODE_POINTS = gen_unicode.CODE_POINTS


@functools.cache
def nmt_nfkc():
    """The charsmap that sentencepiece puts into a model trained with its default normalization."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text.txt")
        text.write_text("\n".join(f"the quick brown fox number {i} jumps over {i * 7} lazy dogs" for i in range(500)))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/m", vocab_size=60, normalization_rule_name="nmt_nfkc",
            minloglevel=2, hard_vocab_limit=False,
        )  # fmt: skip
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(pathlib.Path(folder, "m.model").read_bytes())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


@functools.cache
def every_character_to_x():
    return json.loads(gen_unicode.every_character_to_x().__getstate__())["precompiled_charsmap"]


def bert(clean, chinese, accents, lower):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents,
            "lowercase": lower}  # fmt: skip


def sequence(*parts):
    return {"type": "Sequence", "normalizers": list(parts)}


def precompiled(charsmap):
    return {"type": "Precompiled", "precompiled_charsmap": charsmap}


def literal(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def regex(pattern, content):
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


NORMALIZERS = {
    "NFC": lambda: {"type": "NFC"},
    "NFD": lambda: {"type": "NFD"},
    "NFKC": lambda: {"type": "NFKC"},
    "NFKD": lambda: {"type": "NFKD"},
    "Lowercase": lambda: {"type": "Lowercase"},
    "StripAccents": lambda: {"type": "StripAccents"},
    "Strip": lambda: {"type": "Strip", "strip_left": True, "strip_right": True},
    "StripLeft": lambda: {"type": "Strip", "strip_left": True, "strip_right": False},
    "StripRight": lambda: {"type": "Strip", "strip_left": False, "strip_right": True},
    "Nmt": lambda: {"type": "Nmt"},
    "ByteLevel": lambda: {"type": "ByteLevel"},
    "Prepend": lambda: {"type": "Prepend", "prepend": "\u2581x"},
    "ReplaceString": lambda: literal(" ", "\u2581"),
    "ReplaceStringGone": lambda: literal("a", ""),
    "ReplaceStringGrows": lambda: literal("\u0301", "<acute>"),
    "ReplaceStringEmpty": lambda: literal("", "x"),
    "ReplaceRegex": lambda: regex(" {2,}|\\s+$", "\u2581"),
    "ReplaceRegexClass": lambda: regex("\\p{L}+", "w"),
    "BertUncased": lambda: bert(True, True, None, True),
    "BertCased": lambda: bert(True, True, None, False),
    "BertLowerKeepAccents": lambda: bert(True, True, False, True),
    "BertStripOnly": lambda: bert(False, False, True, False),
    "PrecompiledNmtNfkc": lambda: precompiled(nmt_nfkc()),
    "PrecompiledAnyToX": lambda: precompiled(every_character_to_x()),
    # As published: ALBERT, XLM-R, DeBERTa v2, Llama 2 in the old layout, CLIP.
    "Albert": lambda: sequence(literal("``", '"'), literal("''", '"'), {"type": "NFKD"}, {"type": "StripAccents"},
                               {"type": "Lowercase"}, precompiled(nmt_nfkc())),
    "XlmRoberta": lambda: sequence(precompiled(nmt_nfkc()), regex(" {2,}", "\u2581")),
    "Deberta": lambda: sequence({"type": "Strip", "strip_left": True, "strip_right": True}, precompiled(nmt_nfkc()),
                                regex(" {2,}", " ")),
    "Llama2": lambda: sequence({"type": "Prepend", "prepend": "\u2581"}, literal(" ", "\u2581")),
    "Clip": lambda: sequence({"type": "NFC"}, regex("\\s+", " "), {"type": "Lowercase"}),
    "MarksEverywhere": lambda: sequence({"type": "NFD"}, {"type": "Nmt"}, {"type": "NFKC"}, {"type": "StripAccents"},
                                        {"type": "NFC"}),
}  # fmt: skip


def wheel(spec):
    pipeline = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": spec,
                "pre_tokenizer": None, "post_processor": None, "decoder": None,
                "model": {"type": "BPE", "vocab": {}, "merges": []}}  # fmt: skip
    return tokenizers.Tokenizer.from_str(json.dumps(pipeline)).normalizer


def driver(*arguments, data=b""):
    assert os.path.exists(DRIVER), f"expected the built driver, got nothing at {DRIVER}; build normalize_driver"
    with tempfile.TemporaryDirectory() as folder:  # a charsmap is longer than an argument may be
        file = pathlib.Path(folder, "normalizer.json")
        words = []
        for word in arguments:
            if len(word) > 10_000:
                file.write_text(word)
                word = f"@{file}"
            words.append(word)
        done = subprocess.run([DRIVER, *words], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def frame(data):
    return struct.pack("<I", len(data)) + data


def frames(strings):
    return b"".join(frame(s.encode()) for s in strings)


def compare(spec, strings):
    """Counts differences over strings; shows the first few."""
    normalize = wheel(spec).normalize_str
    wrong, shown = 0, []
    for start in range(0, len(strings), 200_000):
        batch = strings[start : start + 200_000]
        expected = [normalize(s) for s in batch]
        got = driver(json.dumps(spec), data=frames(batch))
        if got == frames(expected):
            continue
        at = 0
        for s, want in zip(batch, expected):
            size = struct.unpack_from("<I", got, at)[0]
            have = got[at + 4 : at + 4 + size].decode(errors="replace")
            at += 4 + size
            if have != want:
                wrong += 1
                if len(shown) < 5:
                    shown.append((ascii(s), ascii(have), ascii(want)))
    assert wrong == 0, f"{wrong} of {len(strings)} differ: (text, ours, wheel) {shown}"


# Characters that do something somewhere, by what they do.
POOLS = [
    [chr(c) for c in range(0x20, 0x7F)],
    list("aAeEiIoOuUnNcCsSkK zZyY.,'-"),
    list(" \t\n\r\x0b\x0c\x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\u200b"),
    [chr(c) for c in (0, 1, 8, 0x0E, 0x1F, 0x7F, 0x8F, 0x9F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x2060, 0xFFFD,
                      0xFFFE, 0xE000, 0xF8FF, 0x378, 0xE0001, 0xE0100, 0x10FFFF)],
    [chr(c) for c in range(0x300, 0x370)],
    [chr(c) for c in (0x301, 0x323, 0x308, 0x327, 0x315, 0x334, 0x345, 0x344, 0x5B0, 0x64B, 0x651, 0x93C, 0x94D, 0x9BE,
                      0x1DCE, 0x1DF6, 0x302A, 0x302E, 0x3099, 0x309A, 0x20E3, 0xFE0F, 0xFE20, 0xF71, 0xF72, 0xF74,
                      0xF73, 0xF75, 0xF81, 0x1D165, 0x1D16D, 0x1D172, 0x110BA, 0x1133E, 0x16AF0)],
    [chr(c) for c in range(0xC0, 0x250)],
    [chr(c) for c in range(0x1E00, 0x2000)],
    [chr(c) for c in (*range(0x1100, 0x1200, 3), 0x1161, 0x1175, 0x11A7, 0x11A8, 0x11C2, 0xAC00, 0xAC01, 0xAC1C,
                      0xD7A3, 0xA960, 0xD7B0, 0xD7CB, 0x1112, 0x115F, 0x1160)],
    [chr(c) for c in (0x4E00, 0x9FFF, 0x3400, 0x20000, 0x2A6DF, 0x2B740, 0x2B820, 0x2B91F, 0x2B920, 0x2CEB0, 0xF900,
                      0xFA0E, 0x2F800, 0x3042, 0x30AB, 0x304B, 0x30FC, 0x32FF, 0x3231, 0x3300)],
    [chr(c) for c in (*range(0xFF01, 0xFFE7, 5), 0xFB01, 0xFB1D, 0xFB2A, 0xFDFA, 0xFE70, 0x2460, 0x2122, 0x2126,
                      0x212A, 0x212B, 0x1D400, 0x1D7CE, 0x1F100, 0x2100, 0xB2, 0xBD, 0x130, 0x131, 0x17F, 0x3A3,
                      0x1E9E, 0x10400, 0x1E900, 0x10D4A, 0x13A0, 0x1C89)],
    [chr(c) for c in (0xA9, 0xAE, 0x200D, 0xFE0F, 0x1F3FB, 0x1F468, 0x1F469, 0x2764, 0x1F1E6, 0x1F1FF, 0x20E3, 0x23,
                      0x1F600, 0x2640, 0x301, 0x200C)],
    [chr(c) for c in (0x915, 0x937, 0x94D, 0x93C, 0x93E, 0x903, 0x95C, 0x9A1, 0x9CD, 0x9BC, 0xA95, 0xACD, 0xB15, 0xB4D,
                      0xB3E, 0xC15, 0xC4D, 0xD15, 0xD4D, 0xD4E, 0x200D, 0x1B0B, 0x1B44, 0x11103, 0x11133, 0x1000,
                      0x1039, 0x301, 0x600, 0x6DD, 0x70F, 0x8E2, 0x110BD, 0x111C2, 0xE33, 0xEB3, 0x61, 0x16D63,
                      0x16D67)],
]  # fmt: skip


@functools.cache
def random_strings(count, seed):
    rng = random.Random(seed)
    anything = [chr(rng.choice(CODE_POINTS)) for _ in range(50_000)]
    pools = [*POOLS, anything, [c for pool in POOLS for c in pool]]
    strings = []
    while len(strings) < count:
        # A thousand strings at a time share a small alphabet, so that rare neighbours meet.
        alphabet = []
        for pool in rng.choices(pools, k=rng.randint(1, 4)):
            alphabet += rng.choices(pool, k=rng.randint(1, 12))
        for size in rng.choices(range(0, 14), k=1000):
            strings.append("".join(rng.choices(alphabet, k=size)))
    return strings[:count]


def combining_marks():
    normalize = wheel({"type": "StripAccents"}).normalize_str
    nfd = wheel({"type": "NFD"}).normalize_str
    return [chr(c) for c in CODE_POINTS
            if normalize(chr(c)) == "" or nfd("\u0345" + chr(c)) != "\u0345" + chr(c)
            or nfd(chr(c) + "\u0334") != chr(c) + "\u0334"]  # fmt: skip


def test_wheel_version():
    assert tokenizers.__version__ == gen_unicode.WHEEL


def test_tables_are_the_generators():
    """What is committed is what tools/gen_unicode.py writes (two minutes)."""
    made = subprocess.run([sys.executable, ROOT / "tools/gen_unicode.py"], capture_output=True, check=True).stdout
    assert made == (ROOT / "src/tokens/unicode_tables.inc").read_bytes()


@pytest.mark.parametrize("name", NORMALIZERS)
def test_every_code_point(name):
    """Alone, and between letters, where grapheme clusters and composition can see it."""
    spec = NORMALIZERS[name]()
    compare(spec, [chr(c) for c in CODE_POINTS])
    compare(spec, [f"a{chr(c)}\u0301b" for c in CODE_POINTS])


@pytest.mark.parametrize("name", ["NFC", "NFD", "NFKC", "NFKD", "BertUncased", "BertStripOnly", "PrecompiledNmtNfkc"])
def test_marks_beside_two_others(name):
    """Each combining mark beside each of a set with every combining class, behind a base, in both orders."""
    marks = combining_marks()
    others = [chr(c) for c in (0x334, 0x93C, 0x3099, 0x94D, 0x5B0, 0x64B, 0x651, 0xE38, 0xF71, 0xF72, 0x321, 0x31B,
                               0x302A, 0x316, 0x59A, 0x302E, 0x1D16D, 0x300, 0x315, 0x35C, 0x35D, 0x345)]  # fmt: skip
    strings = [f"{base}{x}{m}{y}" for m in marks for x in others for y in ("", *others[::3]) for base in ("", "o")]
    strings += [f"o{m}{n}\u00e9{n}{m}" for m in marks for n in marks[::29]]
    compare(NORMALIZERS[name](), strings)


@pytest.mark.parametrize("name", ["NFC", "NFKC", "NFD"])
def test_pairs(name):
    """Every character that begins a composition beside every one that ends one; Hangul syllables and jamo."""
    nfd = wheel({"type": "NFD"}).normalize_str
    firsts, seconds = set(), set()
    for c in CODE_POINTS:
        d = nfd(chr(c))
        if len(d) > 1 and not 0xAC00 <= c <= 0xD7A3:
            firsts |= {d[0], chr(c)}
            seconds.add(d[-1])
    strings = [a + b for a in sorted(firsts) for b in sorted(seconds)]
    jamo = [chr(c) for c in range(0x1100, 0x1200)]
    strings += [a + b for a in jamo for b in jamo]
    strings += [chr(c) + t for c in range(0xAC00, 0xD7A4, 7) for t in jamo[0x60::3]]
    leads, vowels, trails = jamo[:0x14], jamo[0x61:0x77], jamo[0xA7:0xC4]
    strings += [lead + vowel + trail for lead in leads for vowel in vowels for trail in trails]
    compare(NORMALIZERS[name](), strings)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_random_strings(name):
    compare(NORMALIZERS[name](), random_strings(STRINGS, SEED))


CHARACTER = Regex("(?m:.)")


def wheel_alignment(normalizer, text):
    """Normalized text and, for each of its characters, the bytes of the original that it came from."""
    pieces = PreTokenizedString(text)
    pieces.normalize(normalizer.normalize)
    pieces.split(lambda _, s: s.split(CHARACTER, "isolated"))
    splits = pieces.get_splits("original", "byte")
    return "".join(s for s, _, _ in splits), [span for _, span, _ in splits]


@pytest.mark.parametrize("name", NORMALIZERS)
def test_alignment(name):
    spec = NORMALIZERS[name]()
    normalizer = wheel(spec)
    strings = [s for s in random_strings(ALIGNED, SEED + 1) if s]
    got = driver(json.dumps(spec), "--align", data=frames(strings))
    at, wrong, shown = 0, 0, []
    for s in strings:
        text, spans = wheel_alignment(normalizer, s)
        size = struct.unpack_from("<I", got, at)[0]
        have_text = got[at + 4 : at + 4 + size].decode()
        at += 4 + size
        have = list(struct.iter_unpack("<II", got[at : at + 8 * len(have_text)]))
        at += 8 * len(have_text)
        if have_text != text or have != spans:
            wrong += 1
            if len(shown) < 5:
                shown.append((ascii(s), ascii(have_text), ascii(text), have, spans))
    assert wrong == 0, f"{wrong} of {len(strings)} differ: (text, ours, wheel, spans, wheel's) {shown}"


def members(found):
    table = bytearray(0x110000)
    for c in found:
        table[c] = 1
    return bytes(table)


@pytest.mark.parametrize("name", ["L", "N", "M", "P", "S", "Z", "C", "Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Mn",
                                  "Mc", "Cn", "Han", "Hiragana", "Latin", "punct", "alpha", "Emoji"])  # fmt: skip
def test_regex_property(name):
    assert driver("--class", name) == members(gen_unicode.regex_class(rf"\p{{{name}}}"))
    # A class and its complement part the code points between them.
    everything = members(CODE_POINTS)
    outside = members(gen_unicode.regex_class(rf"\P{{{name}}}"))
    assert bytes(a ^ b for a, b in zip(everything, outside)) == driver("--class", name)


@pytest.mark.parametrize("name", ["s", "d", "w", "h"])
def test_regex_escape(name):
    assert driver("--class", name) == members(gen_unicode.regex_class(rf"\{name}"))


@pytest.mark.parametrize("name", gen_unicode.POSIX)
def test_regex_bracket(name):
    assert driver("--class", f"[:{name}:]") == members(gen_unicode.regex_class(f"[[:{name}:]]"))


@pytest.mark.parametrize("flag, splitter", [("whitespace", pre_tokenizers.WhitespaceSplit()),
                                            ("punctuation", pre_tokenizers.Punctuation("isolated")),
                                            ("numeric", pre_tokenizers.Digits(individual_digits=True)),
                                            ("word", pre_tokenizers.Whitespace())])  # fmt: skip
def test_pre_tokenizer_class(flag, splitter):
    """One string per code point, unlike the generator's long ones."""
    found = {c for c in CODE_POINTS if len(splitter.pre_tokenize_str(f"a{chr(c)}b")) != 1}
    if flag == "word":
        found = set(CODE_POINTS) - found
    assert driver("--flag", str(gen_unicode.FLAGS.index(flag))) == members(found)


def test_linear_time():
    """Sixteen times the text takes sixteen times as long, not 256 times (best of three; 1 MiB in the end)."""
    for name, make in NORMALIZERS.items():
        spec = json.dumps(make())
        for c in [
            "a",
            " ",
            "\x01",
            *map(chr, (0x301, 0x1161, 0x600, 0x200D, 0x4E00, 0xFDFA)),
            "\u0323\u0301",
            "a\u0323",
        ]:
            took = []
            for size in (1 << 16, 1 << 20):
                text = (c * size).encode()[:size].decode(errors="ignore").encode()
                took.append([float(x) for x in driver("--time", spec, data=text).split()[:2]])
            for small, large in zip(*took):
                assert large <= 64 * small + 0.01, (name, ascii(c), took)


def test_inserted_before_the_start():
    """An empty match at the start: what is inserted there stays out of later transformations, or makes the wheel panic."""
    strings = [s for s in random_strings(3000, 5) if s]
    for then in (None, {"type": "Prepend", "prepend": "y"}, literal("x", "zz"), {"type": "StripAccents"},
                 {"type": "Nmt"}, {"type": "NFC"}, {"type": "Strip", "strip_left": True, "strip_right": True}):  # fmt: skip
        spec = sequence(regex("^", "x"), *([then] if then else []))
        normalize = wheel(spec).normalize_str
        kept, expected = [], []
        for s in strings:
            try:
                expected.append(normalize(s))
                kept.append(s)
            except BaseException as error:  # pyo3's PanicException is no Exception
                assert "index out of bounds" in str(error)
        got = driver(json.dumps(spec), data=frames(kept))
        for s, want in zip(kept, expected):
            size = struct.unpack_from("<I", got)[0]
            assert got[4 : 4 + size].decode() == want, (then, ascii(s))
            got = got[4 + size :]
        if then is None or then["type"] in ("Prepend", "Replace", "StripAccents"):
            assert len(kept) == len(strings) or (then == {"type": "StripAccents"} and kept)


def write_cases():
    """A few hundred cases for the C++ unit tests, with alignment."""
    rng = random.Random(7)
    strings = [s for s in random_strings(200_000, 3) if s]
    fixed = ["Hello, World!", "na\u00efve caf\u00e9 \u0130stanbul \u03a3\u03a3", "\u65e5\u672c\u8a9e text", "a\u0323\u0301\u00e9",
             "\u1112\u1161\u11ab \uac01", "  padded \u3000", "\u2460\u3231\ufb01\ufdfa", "\u32ff\u1df6", "\U0001f468\u200d\U0001f469",
             "x\x00y\ufffdz\x7f", "\U0002b820\U0002b920", "\t\n\r"]  # fmt: skip
    lines = []
    for name, make in NORMALIZERS.items():
        spec = make()
        normalizer = wheel(spec)
        cases = []
        for s in fixed + rng.sample(strings, 12):
            text, spans = wheel_alignment(normalizer, s)
            assert text == normalizer.normalize_str(s)
            cases.append([s, text, [x for span in spans for x in span]])
        large = json.dumps(spec).find(nmt_nfkc()[:64]) >= 0
        if large:  # 300 kB of charsmap is read from its own file
            spec = json.loads(json.dumps(spec).replace(nmt_nfkc(), "@nmt_nfkc"))
        lines.append(json.dumps({"name": name, "normalizer": spec, "cases": cases}))
    folder = ROOT / "tests/data/tokens"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "normalizers.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "nmt_nfkc.charsmap").write_bytes(base64.b64decode(nmt_nfkc()))


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write_cases()

"""BM25 vectors against fastembed's own Bm25: the same indices, values within 1e-6.

Characters that this Python's unicodedata does not know are left out: our tables are of a newer Unicode, every assigned
character agrees. Needs the built driver, build/tests/oracles/bm25_driver or what INLAY_BM25_DRIVER names.
"""

import os
import pathlib
import random
import re
import struct
import subprocess
import unicodedata

import numpy as np
import pytest
from conftest import fastembed_vectors

LANGUAGES = (
    "arabic danish dutch english finnish french german greek hungarian italian norwegian portuguese romanian russian "
    "spanish swedish tamil turkish"
).split()
ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = os.environ.get("INLAY_BM25_DRIVER", str(ROOT / "build" / "tests" / "oracles" / "bm25_driver"))
STOP_WORDS = "the\na\nof\nand\nund\nи\net\nOf\r\nis\n\nnot"
# Undoubling at a word's end: the wheel's older Danish and Finnish algorithms also take digits and foreign letters ("1433" -> "143").
DIGITS_DIFFER = {"danish", "finnish"}
EDGES = [
    "", " ", "_", "__ _ a_b", "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΑΣʰ ΑʰΣ", "İstanbul IİI", "e\u0301te\u0301 n\u0303", "x² ½ Ⅷ ⅷΣ ªΣ ºΣ ⅧΣ",
    "the The THE of Of running runs", "a\u0000b\u001cc\u0085d\u2028e\u3000f", "y" * 40 + " " + "z" * 41, "日本語 のテキスト 한국어",
    "все всё Определённом ѐ ещё", "don't can't U.S.A. e-mail foo_bar",
]  # fmt: skip


def texts(count: int, digits: bool) -> list[str]:
    rng = random.Random(1)
    words = sorted(set(re.findall(r"\w+", " ".join(p.read_text() for p in sorted(ROOT.glob("docs/**/*.md"))))))
    ranges = [
        (0x20, 0x7F),
        (0xA0, 0x250),
        (0x250, 0x600),
        (0x600, 0x1000),
        (0x1000, 0x2400),
        (0x3000, 0xD7FF),
        (0x10000, 0x1F000),
    ]

    def word() -> str:
        if rng.random() < 0.7:
            return rng.choice(words)
        low, high = rng.choice(ranges)
        return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 9)))

    made = [
        rng.choice([" ", " ", ", ", "\n"]).join(word() for _ in range(rng.choice([3, 30, 300]))) for _ in range(count)
    ]
    made += EDGES
    made = ["".join(c for c in text if c.isascii() or unicodedata.category(c) not in ("Cn", "Cs")) for text in made]
    return made if digits else [re.sub(r"\w*(\d|([^\Wa-zäöåæø])\2)\w*", "", text.lower()) for text in made]


def ask(language: str, folder: pathlib.Path, mode: str, requests: list[tuple[str, str]]):
    data = b"".join(k.encode() + struct.pack("<I", len(t.encode())) + t.encode() for k, t in requests)
    out = subprocess.run([DRIVER, language, folder, mode], input=data, capture_output=True, check=True).stdout
    at, answers = 0, []
    for _ in requests:
        (count,) = struct.unpack_from("<I", out, at)
        answers.append((np.frombuffer(out, "<u4", count, at + 4), np.frombuffer(out, "<f4", count, at + 4 + 4 * count)))
        at += 4 + 8 * count
    assert at == len(out)
    return answers


@pytest.mark.parametrize("mode", ["stem", "plain"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_vectors(language: str, mode: str, tmp_path: pathlib.Path) -> None:
    if mode == "plain" and language != "english":
        pytest.skip("without the stemmer the language means nothing")
    (tmp_path / f"{language}.txt").write_bytes(STOP_WORDS.encode())
    cases = texts(2000 if language == "english" else 100, language not in DIGITS_DIFFER)
    answers = ask(language, tmp_path, mode, [("d", t) for t in cases] + [("q", t) for t in cases])
    options = {"language": language, "disable_stemmer": mode == "plain"}
    wanted = fastembed_vectors("Qdrant/bm25", tmp_path, cases, **options)
    filled = 0
    for i, text in enumerate(cases):
        ids, weights = wanted["documents"][i]
        order = np.argsort(ids)
        indices, values = answers[i]
        assert indices.tolist() == np.take(ids, order).tolist() if ids else not len(indices), ascii(text)
        np.testing.assert_allclose(values, np.take(weights, order) if ids else [], rtol=0, atol=1e-6)
        asked, _ = wanted["queries"][i]
        indices, values = answers[len(cases) + i]
        assert indices.tolist() == sorted(asked), ascii(text)
        assert (values == 1).all()
        filled += len(ids) > 0
    assert filled > 0.9 * (len(cases) - len(EDGES))

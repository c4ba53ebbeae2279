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
EDGES = [
    "", " ", "_", "__ _ a_b", "ΟΔΥΣΣΕΥΣ ΣΑΣ Σ ΑΣ. ΑΣʰ ΑʰΣ", "İstanbul IİI", "e\u0301te\u0301 n\u0303", "x² ½ Ⅷ ⅷΣ ªΣ ºΣ ⅧΣ",
    "the The THE of Of running runs", "a\u0000b\u001cc\u0085d\u2028e\u3000f", "y" * 40 + " " + "z" * 41, "日本語 のテキスト 한국어",
    "все всё Определённом ѐ ещё", "don't can't U.S.A. e-mail foo_bar",
]  # fmt: skip


# Letters of each language, to draw words from; and endings of all of them, so that stemmers have something to do.
LETTERS = {
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويىءآأؤإئة", "danish": "abcdefghijklmnoprstuvwxyzæøå0123456789",
    "dutch": "abcdefghijklmnoprstuvwxyzëïéèöü", "english": "abcdefghijklmnopqrstuvwxyz0123456789",
    "finnish": "aehijklmnoprstuvyäö", "french": "abcdefghijlmnopqrstuvxyzâàçëéêèïîôûùœ",
    "german": "abcdefghiklmnopqrstuvwzäöüß", "greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΐ",
    "hungarian": "abcdefghijklmnoprstuvyzáéíóöőúüű", "italian": "abcdefghilmnopqrstuvzàèéìòù",
    "norwegian": "abdefghijklmnoprstuvyæøå", "portuguese": "abcdefghijlmnopqrstuvxzãáàâéêíõóôúüç",
    "romanian": "abcdefghijlmnoprstuvzăâîșțşţ", "russian": "абвгдежзийклмнопрстуфхцчшщъыьэюяё",
    "spanish": "abcdefghijlmnopqrstuvxyzáéíóúüñ", "swedish": "abcdefghijklmnoprstuvyäåö",
    "tamil": "அஆஇஈஉஊஎஏஐஒஓகஙசஜஞடணதநனபமயரறலளழவ", "turkish": "abcçdefgğhıijklmnoöprsştuüvyz",
}  # fmt: skip
# The one known difference: a Finnish a behind a vowel behind a digit or a foreign letter ("6ia"), src/task/stemmer.cc.
FINNISH = re.compile(r"\w*[^\Wbcdfghjklmnpqrstvwxzaeiouyäö][aeiouyäö][aä]\w*", re.IGNORECASE)
ENDINGS = (
    "antes ement ations logie usion ité ative euse iques able istes eux aux ies ière ées ait issons iront e ë ïs ïf ïque "
    "guë guës heit keit lich isch ung igen er em ern st end ig ing ed ly ness ful ization ational ous ive s amente idades "
    "ção ismos ência ando aria ira ar ado o imiento aciones ancia ivas yendo ieron ábamos aríamos os azione atore enza ità "
    "erebbe assimo are i heden baar lijk en je ene erne hed elig løst eri ssa stä lla lle kin kaan hän ko nsa mme den isse "
    "ában ével ban ról től ként képp nak ok ja ului iilor elor abilitate icitate oase ează escu вшись ыми ого ейш ость нн "
    "овать ла ть ами ях ься lerin dan nın imiz dır miş"
).split()


def words(language: str, count: int) -> list[str]:
    rng = random.Random(language)

    def word() -> str:
        made = "".join(rng.choice(LETTERS[language]) for _ in range(rng.randrange(1, 8)))
        return made + "".join(rng.choice(ENDINGS) for _ in range(rng.choice([0, 1, 1, 2])))

    return [word() for _ in range(count)]


def texts(language: str, count: int) -> list[str]:
    rng = random.Random(1)
    drawn = words(language, 2000)
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
            return rng.choice(drawn)
        low, high = rng.choice(ranges)
        return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 9)))

    made = [
        rng.choice([" ", " ", ", ", "\n"]).join(word() for _ in range(rng.choice([3, 30, 300]))) for _ in range(count)
    ]
    made += EDGES
    stems = words(language, 6000)
    made += [" ".join(stems[i : i + 20]) for i in range(0, 6000, 20)]
    if language == "finnish":
        made = [FINNISH.sub("", text) for text in made]
    return ["".join(c for c in text if c.isascii() or unicodedata.category(c) not in ("Cn", "Cs")) for text in made]


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
    cases = texts(language, 1000 if language == "english" else 100)
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

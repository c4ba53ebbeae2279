"""A device beside ref: the same texts through both, and how near the answers are."""

import json
import math

from conftest import run_inlay

TEXTS = [
    "fox",
    "the quick brown fox jumps over the lazy dog",
    "a",
    "words " * 60,
    "",
    "Zwölf Boxkämpfer jagen Viktor",
    "numbers that remember meaning " * 9,
]
LEAST_COSINE = 0.99999


def lines(command, model, device, *more, texts=TEXTS, **env):
    stdin = "".join(json.dumps(text) + "\n" for text in texts)
    result = run_inlay(
        command, "-m", str(model), "--device", device, "--input-format", "jsonl", *more, stdin=stdin, **env
    )
    assert result.code == 0, result.err
    return result.json


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def least_cosine(expected, got):
    return min(cosine(a["embedding"], b["embedding"]) for a, b in zip(expected, got, strict=True))


def sparse_cosine(a, b):
    x, y = (dict(zip(row["indices"], row["values"], strict=True)) for row in (a, b))
    keys = sorted(x.keys() | y.keys())
    return cosine([x.get(k, 0) for k in keys], [y.get(k, 0) for k in keys]) if keys else 1


def same_order(expected, got):
    assert [row["index"] for row in got] == [row["index"] for row in expected]
    for a, b in zip(expected, got, strict=True):
        assert math.isclose(a["score"], b["score"], rel_tol=1e-4, abs_tol=1e-5)


def device_row(status, name):
    return next(row for row in json.loads(status.out)["devices"] if row["device"] == name)

"""--device cuda on every family and task of the tiny models, against ref. Without a usable GPU all of it skips with the
reason that `inlay status` gives; that a missing one is refused is test_usage.py's."""

import json
import math

import pytest
from conftest import MODELS, ROOT, run_inlay

HEADS = ROOT / "tests" / "data" / "heads"
TEXTS = ["fox", "the quick brown fox jumps over the lazy dog", "a", "words " * 60, "Zwölf Boxkämpfer jagen Viktor"]
# Least cosine to ref (1 - it), and largest difference where values have no common scale.
TOLERANCES = {"fp32": (1e-9, 1e-4), "fp16": (1e-4, 0.1), "bf16": (5e-3, 0.6)}


def state_of_cuda():
    devices = json.loads(run_inlay("status", "--json").out)["devices"]
    return next(device for device in devices if device["device"] == "cuda")


@pytest.fixture(scope="module")
def gpu():
    state = state_of_cuda()
    if state["state"] != "ok":
        pytest.skip(state["reason"])
    return state


def lines(command, model, device, dtype, *more):
    stdin = "".join(json.dumps(text) + "\n" for text in TEXTS)
    result = run_inlay(
        command, "-m", model, "--device", device, "--dtype", dtype, "--input-format", "jsonl", *more, stdin=stdin
    )
    assert result.code == 0, result.err
    return result.json


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("model", sorted(path.name for path in MODELS.iterdir()))
def test_families(gpu, model, dtype):
    expected = lines("embed", str(MODELS / model), "ref", "fp32")
    got = lines("embed", str(MODELS / model), "cuda", dtype)
    worst = min(cosine(a["embedding"], b["embedding"]) for a, b in zip(expected, got, strict=True))
    assert 1 - worst <= TOLERANCES[dtype][0]


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_heads(gpu, dtype):
    allowed = TOLERANCES[dtype][1]
    model = str(HEADS / "bert-mlm")
    for a, b in zip(
        lines("sparse", model, "ref", "fp32", "--assume-splade"),
        lines("sparse", model, "cuda", dtype, "--assume-splade"),
        strict=True,
    ):
        x, y = (dict(zip(row["indices"], row["values"], strict=True)) for row in (a, b))
        assert all(abs(x.get(i, 0) - y.get(i, 0)) <= allowed for i in x.keys() | y.keys())
    for name in ("bert-labels-1", "qwen3-reranker"):
        model = str(HEADS / name)
        x, y = (
            {row["index"]: row["score"] for row in lines("rerank", model, *where, "--query", "fox", "--raw-scores")}
            for where in (("ref", "fp32"), ("cuda", dtype))
        )
        assert all(abs(x[i] - y[i]) <= allowed for i in x)
    model = str(HEADS / "colbert")
    for a, b in zip(lines("late", model, "ref", "fp32"), lines("late", model, "cuda", dtype), strict=True):
        for x, y in zip(a["vectors"], b["vectors"], strict=True):
            assert 1 - cosine(x, y) <= TOLERANCES[dtype][0]


def test_report_names_the_device(gpu, tmp_path):
    report = tmp_path / "report.json"
    result = run_inlay("embed", "a", "-m", str(MODELS / "bert-mean"), "--device", "cuda:0", "--report", report)
    assert result.code == 0, result.err
    told = json.loads(report.read_text())
    assert (told["device"], told["backend"], told["dtype"]) == ("cuda:0", "cuda", "fp16")
    assert told["isa"] == gpu["isa"]


def test_a_number_that_is_not_there_is_refused(gpu, tiny):
    result = run_inlay("embed", "a", "-m", tiny, "--device", "cuda:99")
    assert result.code == 69
    assert "no number 99" in result.err


def test_fp8_agrees_where_the_gpu_has_it(gpu):
    if "fp8" not in gpu["dtypes"]:
        pytest.skip(f"{gpu['isa']} has no fp8 here")
    model = str(MODELS / "bert-mean")
    expected = lines("embed", model, "ref", "fp32")
    got = lines("embed", model, "cuda", "fp8")
    assert min(cosine(a["embedding"], b["embedding"]) for a, b in zip(expected, got, strict=True)) >= 0.97


def test_two_sessions_on_one_gpu_give_the_same_bits(gpu, tiny):
    one = lines("embed", tiny, "cuda:0", "fp16")
    two = lines("embed", tiny, "cuda:0,0", "fp16", "--batch-tokens", "64")
    assert [row["embedding"] for row in one] == [row["embedding"] for row in two]


def test_what_is_no_list_of_gpus_is_refused(tiny):
    for device in ("cuda:0,", "cuda:,0", "cuda:0,x"):
        result = run_inlay("embed", "a", "-m", tiny, "--device", device)
        assert result.code == 2
        assert "cuda[:N,...]" in result.err

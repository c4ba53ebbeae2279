"""--device mlx:cpu against ref, with the MLX of the tests' own environment: the same operations that Metal is given, on the
processor. Nothing here runs on Apple hardware."""

import json
from pathlib import Path

import pytest
from conftest import BINARY, MODELS, ROOT, expect, run_inlay
from parity import LEAST_COSINE, cosine, device_row, least_cosine, lines, same_order, sparse_cosine

HEADS = ROOT / "tests" / "data" / "heads"
# One of each way of attention, norm and pooling; all families are run step by step in tests/steps.
FAMILIES = [
    "bert-mean",
    "xlm-roberta-cls",
    "distilbert-mean",
    "mpnet-mean",
    "modernbert-mean",
    "qwen3-last",
    "jina-v3-mean",
    "bert-several",
]


@pytest.fixture(scope="module", autouse=True)
def engine():
    if not list(BINARY.parent.glob("libinlay_mlx.*")):
        pytest.skip("this build has no libinlay_mlx: it is built where .venv/tests has mlx-cpu")


def both(command, model, *more, **env):
    return lines(command, model, "ref", *more, **env), lines(command, model, "mlx:cpu", *more, **env)


@pytest.mark.parametrize("model", FAMILIES)
def test_families(model):
    assert least_cosine(*both("embed", MODELS / model)) >= LEAST_COSINE


def test_default_model(real_model):
    texts = ["A vector remembers meaning.", "fox " * 12, "Größe naïve café", "two words"]
    assert least_cosine(*both("embed", real_model, texts=texts)) >= LEAST_COSINE


def test_sparse():
    expected, got = both("sparse", HEADS / "bert-mlm", "--assume-splade")
    assert min(sparse_cosine(a, b) for a, b in zip(expected, got, strict=True)) >= LEAST_COSINE


def test_rerank_keeps_the_order():
    same_order(*both("rerank", HEADS / "bert-labels-1", "--query", "a quick fox", "--raw-scores"))


def test_late():
    for a, b in zip(*both("late", HEADS / "colbert", "--as", "query"), strict=True):
        assert min(cosine(x, y) for x, y in zip(a["vectors"], b["vectors"], strict=True)) >= LEAST_COSINE


def report_of(model, dtype):
    got = lines("embed", model, "mlx:cpu", "--dtype", dtype, "--report", "r.json", texts=["fox " * 12, "two words"])
    report = json.loads(Path("r.json").read_text())
    note = next(note for note in report["device_notes"] if note.startswith("weights: "))
    return got, int(note.split()[1]), report


def test_fewer_bits(real_model):
    """Least cosines as measured (docs/acceleration.md), with a margin; bytes of matrices, scales and tables."""
    exact, whole, report = report_of(real_model, "fp32")
    assert (report["device"], report["backend"], report["dtype"]) == ("mlx:cpu", "mlx", "fp32")
    for dtype, cosine_at_least, share_at_most in (("fp16", 0.9999, 0.51), ("int8", 0.999, 0.33), ("int4", 0.9, 0.29)):
        got, size, report = report_of(real_model, dtype)
        assert report["dtype"] == dtype
        assert least_cosine(exact, got) >= cosine_at_least
        assert size / whole <= share_at_most


def test_what_it_lacks_is_said():
    result = run_inlay("embed", "a", "-m", str(MODELS / "deberta-mean"), "--device", "mlx:cpu")
    expect(result, 65, "mlx has no disentangled attention")
    expect(
        run_inlay("embed", "a", "-m", str(MODELS / "bert-mean"), "--device", "mlx:cpu", "--dtype", "fp8"), 69, "int4"
    )


def test_gpu_is_refused_where_there_is_none(tiny):
    result = run_inlay("embed", "a", "-m", tiny, "--device", "mlx:gpu")
    if result.code == 0:
        pytest.skip("this machine has a GPU for MLX")
    expect(result, 69, "no GPU", "Remedy:", "mlx-metal")


def test_status(tiny):
    status = run_inlay("status", "--json", "-m", tiny)
    row = device_row(status, "mlx:cpu")
    assert row["state"] == "ok" and row["version"][0].isdigit() and "int4" in row["dtypes"]
    disabled = run_inlay("status", "--json", INLAY_DISABLE="mlx")
    assert device_row(disabled, "mlx:cpu")["state"] == "disabled"
    expect(run_inlay("embed", "a", "-m", tiny, "--device", "mlx:cpu", "--disable", "mlx:cpu"), 69, "switches off")

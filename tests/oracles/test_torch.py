"""--device torch:cpu against ref, with the LibTorch of the oracles' environment: whole models of every family, every task,
and the step tests."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_lines, inlay_vectors

LIBRARY = str(Path(torch.__file__).parent / "lib")
MODELS = ROOT / "tests" / "golden" / "models"
HEADS = ROOT / "tests" / "data" / "heads"
TEXTS = ["fox", "the quick brown fox jumps over the lazy dog", "a", "words " * 60, "", "Zwölf Boxkämpfer jagen Viktor"]
DEVICES = ["torch:cpu"] + (["torch:cuda"] if torch.cuda.is_available() else [])
LEAST_COSINE = 0.99999


@pytest.fixture(autouse=True)
def library(monkeypatch):
    monkeypatch.setenv("INLAY_TORCH_LIBRARY", LIBRARY)


def on(device):
    return ["--device", device, "--dtype", "fp32"]


def least_cosine(a, b):
    return float(np.min(np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", sorted(path.name for path in MODELS.iterdir()))
def test_families(model, device):
    if model.startswith("deberta"):
        code, message = inlay_lines("embed", MODELS / model, TEXTS, on(device), expect_error=True)
        assert code == 65 and "torch has no disentangled attention" in message
        return
    got, expected = (inlay_vectors(MODELS / model, TEXTS, on(d)) for d in (device, "ref"))
    assert least_cosine(got, expected) >= LEAST_COSINE


@pytest.mark.parametrize("device", DEVICES)
def test_default_model(device):
    folder = os.environ.get("INLAY_MODEL_DIR")
    if not folder:
        pytest.skip("the default model is not on this machine")
    got, expected = (inlay_vectors(folder, TEXTS, on(d)) for d in (device, "ref"))
    assert least_cosine(got, expected) >= LEAST_COSINE


def dense(row, vocabulary=3000):
    out = np.zeros(vocabulary)
    out[row["indices"]] = row["values"]
    return out


@pytest.mark.parametrize("device", DEVICES)
def test_sparse(device):
    got, expected = (
        np.array([dense(row) for row in inlay_lines("sparse", HEADS / "bert-mlm", TEXTS, ["--assume-splade", *on(d)])])
        for d in (device, "ref")
    )
    assert least_cosine(got, expected) >= LEAST_COSINE


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["bert-labels-1", "qwen3-reranker"])
def test_rerank_keeps_the_order(model, device):
    how = ["--query", "a quick fox", "--raw-scores"]
    got, expected = (inlay_lines("rerank", HEADS / model, TEXTS, [*how, *on(d)]) for d in (device, "ref"))
    assert [row["index"] for row in got] == [row["index"] for row in expected]
    np.testing.assert_allclose([r["score"] for r in got], [r["score"] for r in expected], rtol=1e-4, atol=1e-5)


def test_late():
    got, expected = (inlay_lines("late", HEADS / "colbert", TEXTS, ["--as", "query", *on(d)]) for d in ("torch", "ref"))
    for a, b in zip(got, expected, strict=True):
        assert least_cosine(np.array(a["vectors"]), np.array(b["vectors"])) >= LEAST_COSINE


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision(dtype):
    got = inlay_vectors(MODELS / "bert-mean", TEXTS, ["--device", "torch:cpu", "--dtype", dtype])
    expected = inlay_vectors(MODELS / "bert-mean", TEXTS, on("ref"))
    assert least_cosine(got, expected) >= {"fp16": 0.9999, "bf16": 0.999}[dtype]


def status_rows(**environment):
    program = os.environ.get("INLAY_BIN", str(ROOT / "build" / "inlay"))
    done = subprocess.run([program, "status", "--json"], capture_output=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return {row["device"]: row for row in json.loads(done.stdout)["devices"]}


def test_status():
    rows = status_rows()
    assert rows["torch:cpu"]["state"] == "ok"
    assert rows["torch:cpu"]["version"] == torch.__version__.split("+")[0]
    assert rows["torch:cuda"]["state"] == ("ok" if torch.cuda.is_available() else "refused")
    if not torch.backends.mps.is_available():
        assert rows["torch:mps"]["state"] == "refused" and "Mac" in rows["torch:mps"]["remedy"]
    assert status_rows(INLAY_DISABLE="torch")["torch:cpu"]["state"] == "disabled"


def test_steps():
    steps = ROOT / "build" / "tests" / "steps" / "steps_test"
    if not steps.is_file():
        pytest.skip("no steps_test: build it")
    done = subprocess.run(
        [ROOT / "tests/steps/room.sh", steps, "torch", "150", "*torch_fp32*"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

"""inlay verify: what it says of devices that agree, and its refusals. A device that disagrees is test_auto.py's."""

import json

import pytest
from conftest import MODELS, ROOT, expect

HEADS = ROOT / "tests" / "data" / "heads"


def tasks(result):
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["agrees"] is True
    return report["tasks"]


def test_dense(inlay, tiny):
    (dense,) = tasks(inlay("verify", "-m", tiny, "--device", "cpu", "--json"))
    assert (dense["task"], dense["reference"], dense["backend"], dense["dtype"]) == ("dense", "ref", "cpu", "fp32")
    assert (dense["queries"], dense["documents"], dense["nearest"]) == (24, 38, 10)
    assert dense["min_cosine"] > 0.999999 and dense["same_nearest"] == 1
    assert 0 <= dense["max_abs"] < dense["thresholds"]["max_abs"]
    assert dense["agrees"] is True and dense["reasons"] == []


@pytest.mark.parametrize(
    ("model", "names"),
    [("bert-labels-1", ["rerank"]), ("colbert", ["late"]), ("bge-m3", ["dense", "sparse"])],
)
def test_every_task_that_the_model_has(inlay, model, names):
    found = tasks(inlay("verify", "-m", HEADS / model, "--json"))
    assert [task["task"] for task in found] == names
    assert all(task["min_cosine"] > 0.99999 for task in found)


def test_thresholds_follow_the_dtype_and_are_printed(inlay, tiny):
    result = inlay("verify", "-m", tiny, "--dtype", "int8")
    assert result.code == 0, result.err
    table = result.out.decode()
    assert "int8 against ref, fp32" in table and "at least 0.99\n" in table and "  agrees\n" in table
    for dtype in ("fp32", "fp16", "bf16", "int8", "fp8"):
        assert f"\n  {dtype} " in table


def test_data(inlay, tiny, tmp_path):
    data = tmp_path / "texts.jsonl"
    data.write_text('"one text"\n{"text":"another text\\nof two lines"}\n"and a third"\n')
    (dense,) = tasks(inlay("verify", "-m", tiny, "--data", data, "--json"))
    assert (dense["queries"], dense["documents"], dense["nearest"]) == (0, 3, 2)
    (pairs,) = tasks(inlay("verify", "-m", HEADS / "bert-labels-1", "--data", data, "--json"))
    assert (pairs["queries"], pairs["documents"]) == (1, 2)
    data.write_text('"alone"\n')
    expect(inlay("verify", "-m", tiny, "--data", data), 2, "--data")
    data.write_text("")
    expect(inlay("verify", "-m", tiny, "--data", data), 65, "none")
    expect(inlay("verify", "-m", tiny, "--data", tmp_path / "nothing.txt"), 66, "nothing.txt")


def test_refusals(inlay, tiny):
    expect(inlay("verify"), 2, "--model")
    expect(inlay("verify", "-m", tiny, "text"), 2, "--data")
    expect(inlay("verify", "-m", tiny, "--device", "cpu", "--disable", "cpu"), 69, "--device cpu")
    expect(inlay("verify", "-m", MODELS / "none"), 66, "none")

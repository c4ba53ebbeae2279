"""inlay model convert: folders that load at once and give what the same dtype gives on the original."""

import json
import struct

import numpy as np
import pytest
from conftest import MODELS, expect


def header(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])


def vectors(inlay, model, dtype):
    texts = ["a b c", "one", "the quick brown fox jumps over the lazy dog " * 3]
    done = inlay("embed", *texts, "-m", model, "--dtype", dtype)
    assert done.code == 0, done.err
    return np.array([line["embedding"] for line in done.json])


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("dtype", ("bf16", "int8"))
@pytest.mark.parametrize(
    "name",
    "bert-mean bert-dense deberta-mean distilbert-mean gte-cls jina-v3-mean modernbert-mean mpnet-mean nomic-bert-mean "
    "qwen3-last roberta-last xlm-roberta-cls".split(),
)
def test_the_folder_gives_the_same_bits(inlay, tmp_path, name, dtype):
    model, target = MODELS / name, tmp_path / name
    done = inlay("model", "convert", model, "--dtype", dtype, "-o", target, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["path"] == str(target) and told["dtype"] == dtype and told["matrices"] > 4
    assert (vectors(inlay, model, dtype) == vectors(inlay, target, dtype)).all()
    assert cosines(vectors(inlay, model, "fp32"), vectors(inlay, target, "fp32")).min() > 0.998


def test_bytes_have_a_scale_each(inlay, tmp_path):
    target = tmp_path / "out"
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "int8", "-o", target), 0)
    entries = header(target / "model.safetensors")
    scales = [name for name in entries if name.endswith(".inlay_scale")]
    assert scales and all(entries[name[: -len(".inlay_scale")]]["dtype"] == "I8" for name in scales)


def test_bf16_is_a_plain_checkpoint(inlay, tmp_path):
    target = tmp_path / "out"
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "bf16", "-o", target), 0)
    entries = header(target / "model.safetensors")
    del entries["__metadata__"]
    matrices = {name: e["dtype"] for name, e in entries.items() if len(e["shape"]) == 2}
    assert {dtype for name, dtype in matrices.items() if "embeddings" in name} == {"F16"}
    assert {dtype for name, dtype in matrices.items() if "layer" in name} == {"BF16"}
    assert {e["dtype"] for e in entries.values() if len(e["shape"]) == 1} == {"F32"}
    shown = inlay("model", "show", target)
    assert shown.code == 0 and json.loads(shown.out)["weight_file"] == "model.safetensors"


def test_refusals_leave_nothing(inlay, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "int8", "-o", there), 2, "does not exist")
    for dtype in ("fp32", "auto", "fp16"):
        expect(
            inlay("model", "convert", MODELS / "bert-mean", "--dtype", dtype, "-o", tmp_path / "x"), 2, "bf16 or int8"
        )
    expect(inlay("model", "convert", "--dtype", "int8", "-o", tmp_path / "x"), 2, "MODEL")
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "int8"), 2, "-o")
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "int8", "-o", tmp_path / "no" / "x" / "y"), 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["no", "there"]


def test_a_scale_without_its_matrix_is_refused(inlay, tmp_path):
    target = tmp_path / "out"
    expect(inlay("model", "convert", MODELS / "bert-mean", "--dtype", "int8", "-o", target), 0)
    file = target / "model.safetensors"
    data = file.read_bytes()
    name = next(n for n in header(file) if n.endswith(".inlay_scale"))
    broken = name.replace("weight.inlay", "weighs.inlay")
    assert broken != name
    file.write_bytes(data.replace(name.encode(), broken.encode()))
    expect(inlay("embed", "a", "-m", target, "--dtype", "int8"), 65, "inlay model convert")

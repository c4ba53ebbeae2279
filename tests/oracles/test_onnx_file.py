"""--onnx-file: a folder's own graph run as it is, against onnxruntime's own run of the same ids, one text at a time, and
against Inlay's reading of the checkpoint. Files come from the tools that people publish with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_models as make
import onnxruntime
import pytest
from conftest import ROOT, inlay_lines, inlay_vectors
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantFormat
from test_onnx import VARIANTS, exported, write_folder
from tokenizers import Tokenizer

LIBRARY = str(Path(onnxruntime.__file__).parent / "capi")
ON = ["--device", "onnxruntime", "--onnxruntime-library", LIBRARY]
HEADS = ROOT / "tests" / "data" / "heads"
__all__ = ["exported"]  # a fixture


def least_cosine(a, b):
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def check_folder(folder, path, family):
    """Pooled by Inlay, so equal up to the order of sums."""
    on = [*ON, "--onnx-file", "model.onnx"]
    got = inlay_vectors(folder, make.TEXTS, on)
    assert least_cosine(got, make.mean_vectors(path, family)) >= 0.999999
    again = [inlay_vectors(folder, [text], on)[0] for text in make.TEXTS[-2:]]
    return np.array_equal(np.array(again), got[-2:])


# What differs between the families are names and positions, not what a tool does to the nodes.
FEW = ["plain", "fused-1", "int8", "fused-half"]


@pytest.mark.parametrize(("family", "variant"), [("bert", v) for v in VARIANTS] + [("xlm-roberta", v) for v in FEW])
def test_variants(exported, tmp_path, family, variant):
    model, path = exported(family, "torchscript")
    folder = write_folder(tmp_path / "model", model, family)
    path = make.write_variant(VARIANTS[variant], path, folder / "model.onnx")
    alone_as_together = check_folder(folder, path, family)
    if "int8" in variant:  # ranges of activations are a text's own
        assert alone_as_together


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_static_int8(exported, tmp_path, form):
    model, path = exported("bert", "torchscript")
    folder = write_folder(tmp_path / "model", model, "bert")
    make.quantise_statically(path, folder / "model.onnx", "bert", form, False)
    check_folder(folder, folder / "model.onnx", "bert")


@pytest.mark.parametrize("how", ["wrapped", "dynamo"])
def test_exporters(exported, tmp_path, how):
    model, path = exported("bert", how)
    folder = write_folder(tmp_path / "model", model, "bert")
    shutil.copy(path, folder / "model.onnx")
    check_folder(folder, path, "bert")


def rewired(source, target, output, dims, nodes, type_=TensorProto.FLOAT):
    """The graph with `nodes` behind its output "hidden", and another output."""
    model = onnx.load(source)
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output, type_, dims))
    onnx.save(model, target)


def test_outputs(exported, tmp_path):
    """float16; a vector a text, which the folder's modules are not applied to; a width that the graph leaves open."""
    model, path = exported("bert", "torchscript")
    folder = write_folder(tmp_path / "model", model, "bert")
    mean = make.mean_vectors(path, "bert")
    cast = helper.make_node("Cast", ["hidden"], ["last_hidden_state"], to=TensorProto.FLOAT16)
    rewired(path, folder / "half.onnx", "last_hidden_state", ["b", "s", 64], [cast], TensorProto.FLOAT16)
    assert least_cosine(inlay_vectors(folder, make.TEXTS, [*ON, "--onnx-file", "half.onnx"]), mean) >= 0.99999
    same = helper.make_node("Identity", ["hidden"], ["token_embeddings"])
    rewired(path, folder / "open.onnx", "token_embeddings", ["b", "s", "width"], [same])
    assert least_cosine(inlay_vectors(folder, make.TEXTS, [*ON, "--onnx-file", "open.onnx"]), mean) >= 0.999999
    first = helper.make_node("Gather", ["hidden", "zero"], ["sentence_embedding"], axis=1)
    zero = helper.make_node("Constant", [], ["zero"], value_int=0)
    rewired(path, folder / "pooled.onnx", "sentence_embedding", ["b", 64], [zero, first])
    on = [*ON, "--onnx-file", "pooled.onnx"]
    cls = inlay_vectors(folder, make.TEXTS, [*ON, "--onnx-file", "open.onnx", "--pooling", "cls"])
    assert least_cosine(inlay_vectors(folder, make.TEXTS, on), cls) >= 0.999999
    for more in (["--pooling", "max"], ["--chunk"]):
        code, err = inlay_lines("embed", folder, ["a"], [*on, *more], expect_error=True)
        assert code == 65 and "sentence_embedding [?, 64]" in err, err


def exported_by_tool(folder, to, *arguments):
    command = [sys.executable, ROOT / "tools" / "export_onnx.py", folder, to, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def own_run(path, folder, *texts):
    """onnxruntime's first output for one text or pair."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    encoded = tokenizer.encode(*texts)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    count = len(encoded.ids)  # the folders' tokenizers are of the general class, which gives no types
    values = {"input_ids": encoded.ids, "attention_mask": [1] * count, "token_type_ids": [0] * count}
    given = {value.name: np.array([values[value.name]]) for value in session.get_inputs()}
    return session.run(None, given)[0][0]


def as_ref(form):
    return "--int8" not in form


TWO = pytest.mark.parametrize("form", [[], ["--fuse", "--int8"]], ids=["plain", "int8"])


@TWO
def test_sparse(form, tmp_path):
    folder = Path(shutil.copytree(HEADS / "bert-mlm", tmp_path / "model"))
    exported_by_tool(folder, folder / "onnx" / "model_O2.onnx", "--head", "logits", *form)
    texts = ["a quick fox", "fox " * 20, "words"]
    expected = inlay_lines("sparse", folder, texts, ["--assume-splade", "--device", "ref"])
    got = inlay_lines("sparse", folder, texts, ["--assume-splade", *ON, "--onnx-file", "onnx/model_O2.onnx"])
    for text, a, b in zip(texts, expected, got, strict=True):
        logits = own_run(folder / "onnx" / "model_O2.onnx", folder, text)
        weights = np.log1p(np.maximum(logits, 0).max(0, keepdims=True))
        x, y = np.zeros_like(weights), np.zeros_like(weights)
        x[0, a["indices"]], y[0, b["indices"]] = a["values"], b["values"]
        assert least_cosine(y, weights) >= 0.999999
        if as_ref(form):
            assert least_cosine(x, y) >= 0.99999


@TWO
def test_rerank(form, tmp_path):
    folder = Path(shutil.copytree(HEADS / "bert-labels-1", tmp_path / "model"))
    exported_by_tool(folder, folder / "model.onnx", "--head", "logits", *form)
    pairs = [["a quick fox", text] for text in ("fox", "the fox is quick", "words", "a b c " * 9)]
    arguments = ["--pairs", "--raw-scores"]
    expected = [row["score"] for row in inlay_lines("rerank", folder, pairs, [*arguments, "--device", "ref"])]
    got = [row["score"] for row in inlay_lines("rerank", folder, pairs, [*arguments, *ON, "--onnx-file", "auto"])]
    own = [float(own_run(folder / "model.onnx", folder, *pair)[0]) for pair in pairs]
    assert np.allclose(got, own, rtol=1e-5, atol=1e-5)
    if as_ref(form):
        assert np.allclose(got, expected, rtol=0, atol=1e-5)
        assert np.argsort(got).tolist() == np.argsort(expected).tolist()


@pytest.mark.parametrize("form", [[], ["--fuse"], ["--fuse", "--int8"]], ids=["plain", "fused", "int8"])
@pytest.mark.skipif("INLAY_MODEL_DIR" not in os.environ, reason="the default model is not on this machine")
def test_default_model(form, tmp_path):
    """all-MiniLM-L6-v2's own export: float agrees with ref, int8 with onnxruntime's run of the same ids."""
    folder = Path(shutil.copytree(os.environ["INLAY_MODEL_DIR"], tmp_path / "model"))
    exported_by_tool(folder, folder / "onnx" / "model.onnx", *form)
    texts = ["A vector remembers meaning.", "fox " * 40, "Größe naïve café", "two words", "one", "a quick brown fox"]
    got = inlay_vectors(folder, texts, [*ON, "--onnx-file", "model.onnx"])
    if as_ref(form):
        expected = inlay_vectors(folder, texts, ["--device", "ref"])
        assert least_cosine(got, expected) >= 0.99999
    own = np.array([own_run(folder / "onnx" / "model.onnx", folder, text).mean(0) for text in texts])
    assert least_cosine(got, own) >= 0.999999


def test_report_and_refusals(exported, tmp_path):
    model, path = exported("bert", "torchscript")
    folder = write_folder(tmp_path / "model", model, "bert")
    make.quantise(path, folder / "model_quantized.onnx", per_channel=False)
    past = onnx.load(path)
    past.graph.input.append(
        helper.make_tensor_value_info("past_key_values.0.key", TensorProto.FLOAT, ["b", 4, "p", 16])
    )
    onnx.save(past, folder / "past.onnx")
    report = tmp_path / "report.json"
    inlay_lines("embed", folder, ["a", "b c d"], [*ON, "--onnx-file", "auto", "--report", str(report)])
    said = json.loads(report.read_text())
    assert (said["dtype"], said["weight_file"], said["padded_share"]) == ("int8", "model_quantized.onnx", 0)
    assert any("DynamicQuantizeLinear x" in note for note in said["device_notes"])
    code, err = inlay_lines("embed", folder, ["a"], [*ON, "--onnx-file", "past.onnx"], expect_error=True)
    assert code == 65 and "past_key_values.0.key [?, 4, ?, 16]" in err, err
    code, err = inlay_lines("rerank", folder, [["a", "b"]], ["--pairs", *ON, "--onnx-file", "auto"], expect_error=True)
    assert code == 65 and "logits [texts, labels]" in err, err

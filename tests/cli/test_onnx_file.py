"""--onnx-file: the folder's own graph run as it is, held against onnxruntime's own run of the same ids. The files are those
of tests/data/files: one tiny BERT layer, fused by onnxruntime, in half precision and in dynamic int8."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import MODELS, ROOT, expect, run_inlay
from parity import lines
from test_onnxruntime import library, stand_in

__all__ = ["library", "stand_in"]  # fixtures
LETTERS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmno"]
TEXTS = ["a b c", "o", "a a a a a a", "", "n m l k", "c b a"]


@pytest.fixture
def folder(tmp_path):
    """A model folder with both files and nothing else to take weights from."""
    out = tmp_path / "model"
    (out / "onnx").mkdir(parents=True)
    config = json.loads((MODELS / "bert-mean" / "config.json").read_text())
    config |= {"vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    config |= {"intermediate_size": 12, "max_position_embeddings": 16}
    (out / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((MODELS / "bert-mean" / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {token: i for i, token in enumerate(LETTERS)}
    (out / "tokenizer.json").write_text(json.dumps(tokenizer))
    shutil.copy(ROOT / "tests" / "data" / "files" / "bert_int8.onnx", out / "onnx" / "model_quantized.onnx")
    shutil.copy(ROOT / "tests" / "data" / "files" / "bert_half.onnx", out / "onnx" / "model_fp16.onnx")
    return out


def own_vectors(file):
    """Means over tokens of onnxruntime's own runs, one text at a time."""
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    rows = []
    for text in TEXTS:
        ids = numpy.array([[2, *(LETTERS.index(letter) for letter in text.split()), 3]])
        given = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        rows.append(session.run(None, given)[0][0].astype(float).mean(0))
    return rows


@pytest.mark.parametrize(("name", "dtype"), [("model_quantized.onnx", "int8"), ("model_fp16.onnx", "fp16")])
def test_the_same_as_onnxruntimes_own_run(library, folder, name, dtype):
    on = ["--onnxruntime-library", library, "--onnx-file", name, "--report", "r.json"]
    got = [row["embedding"] for row in lines("embed", folder, "onnxruntime", *on, texts=TEXTS)]
    for own, vector in zip(own_vectors(folder / "onnx" / name), got, strict=True):
        assert vector == pytest.approx(list(own), rel=1e-4, abs=1e-5)
    report = json.loads(Path("r.json").read_text())
    assert (report["device"], report["dtype"], report["weight_file"]) == ("onnxruntime", dtype, f"onnx/{name}")
    assert (report["partitions"], report["fallback_ops"]) == (1, 0)
    assert f"the model's own graph: onnx/{name}, {dtype}, output hidden" in report["device_notes"]
    assert any("com.microsoft" in note for note in report["device_notes"])
    alone = [lines("embed", folder, "onnxruntime", *on, texts=[text])[0]["embedding"] for text in TEXTS[:2]]
    if dtype == "int8":  # its activations' ranges are each text's own
        assert (alone, report["padded_share"]) == (got[:2], 0)


def test_from_the_environment_and_verified(library, folder):
    env = {"INLAY_ONNXRUNTIME_LIBRARY": library, "INLAY_ONNX_FILE": "onnx/model_fp16.onnx"}
    result = run_inlay("verify", "--json", "-m", str(folder), "--device", "onnxruntime:cpu", **env)
    assert result.code == 0, result.err
    task = json.loads(result.out)["tasks"][0]
    assert (task["dtype"], task["reference"]) == ("fp16", "ref")


def test_refusals(library, folder):
    on = ["embed", "a", "-m", str(folder), "--onnxruntime-library", library, "--device"]
    expect(run_inlay(*on, "cpu", "--onnx-file", "auto"), 2, "--device onnxruntime", "cpu")
    expect(run_inlay(*on, "auto", "--onnx-file", "auto"), 2, "--device onnxruntime")
    listed = "onnx/model_fp16.onnx, onnx/model_quantized.onnx"
    expect(run_inlay(*on, "onnxruntime", "--onnx-file", "model_O2.onnx"), 66, '"model_O2.onnx"', listed)
    own = [*on, "onnxruntime", "--onnx-file", "model_quantized.onnx"]
    expect(run_inlay(*own, "--dtype", "fp32"), 69, "model_quantized.onnx is in int8, not fp32")
    expect(run_inlay(*own, "--chunk"), 65, "late chunking")
    expect(run_inlay(*own, "--meanwhile", "cpu"), 65, "only --device onnxruntime runs onnx/model_quantized.onnx")
    pairs = ["rerank", "a", "--query", "b", *own[2:]]
    expect(run_inlay(*pairs), 65, "logits [texts, labels]", "input_ids [?, ?]", "hidden [?, ?, 8]")
    other = (folder / "onnx" / "model_fp16.onnx").read_bytes().replace(b"attention_mask", b"attention_mass")
    (folder / "onnx" / "other.onnx").write_bytes(other)
    expect(run_inlay(*on, "onnxruntime", "--onnx-file", "other.onnx"), 65, "attention_mass [?, ?]")
    (folder / "onnx" / "cut.onnx").write_bytes(other[: len(other) // 2])
    expect(run_inlay(*on, "onnxruntime", "--onnx-file", "cut.onnx"), 65, "cut.onnx")


def test_coreml_gets_the_file_and_says_what_it_left(stand_in, folder, tmp_path):
    record = tmp_path / "record"
    env = {"INLAY_ONNXRUNTIME_LIBRARY": stand_in, "INLAY_STAND_IN_RECORD": str(record)}
    env |= {"INLAY_STAND_IN_PLACEMENT": "CoreML:MatMul;CPU:Gather,Attention", "INLAY_HOME": str(tmp_path / "home")}
    on = ["embed", "a b", "-m", str(folder), "--device", "onnxruntime:coreml", "--onnx-file", "model_fp16.onnx"]
    result = run_inlay(*on, "--report", "r.json", **env)
    assert result.code == 0, result.err
    told = [line for line in record.read_text().splitlines() if "MLComputeUnits" in line]
    # Compiled models are found again by a key in Inlay's own graphs, which this one does not have. The first line is the
    # question whether the device is there.
    assert len(told) == 2 and "ModelCacheDirectory" not in told[1]
    report = json.loads(Path("r.json").read_text())
    assert (report["partitions"], report["fallback_ops"]) == (1, 2)
    assert "left to the CPU: Attention x 1, Gather x 1" in report["device_notes"]

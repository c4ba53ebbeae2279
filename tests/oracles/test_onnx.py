"""ONNX files against the checkpoints that they were made from, tensor by tensor, and against onnxruntime's vectors.

Needs the built driver, build/tests/oracles/files_driver or what INLAY_FILES_DRIVER names, and build/inlay.
"""

import json
import os
import pathlib
import re
import struct
import subprocess

import numpy as np
import onnx
import onnx_models as make
import onnxruntime
import pytest
import torch
import transformers
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = os.environ.get("INLAY_FILES_DRIVER", str(ROOT / "build" / "tests" / "oracles" / "files_driver"))
INLAY = os.environ.get("INLAY_BIN", str(ROOT / "build" / "inlay"))
FAMILIES = ["bert", "xlm-roberta", "distilbert"]
EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

# How each file is made, step by step, from the exporter's; none: it is that file.
VARIANTS = {
    "plain": [],
    "external": [make.save_externally],
    "fused": [lambda a, b: make.fuse(a, b, level=0)],
    "fused-1": [lambda a, b: make.fuse(a, b, level=1)],
    "fused-2": [lambda a, b: make.fuse(a, b, level=2)],
    "fused-half": [lambda a, b: make.fuse(a, b, half=True)],
    "fused-half-gelu": [lambda a, b: make.fuse(a, b, half=True, approximate_gelu=True)],
    "fused-heads": [lambda a, b: make.fuse(a, b, separate_heads=True)],
    "unscoped-fused-heads": [make.without_scopes, lambda a, b: make.fuse(a, b, separate_heads=True)],
    "session-extended": [lambda a, b: make.save_optimised(a, b, EXTENDED)],
    "session-all": [lambda a, b: make.save_optimised(a, b, ALL)],
    "int8": [lambda a, b: make.quantise(a, b, per_channel=False)],
    "int8-channel": [lambda a, b: make.quantise(a, b, per_channel=True)],
    "uint8-channel": [lambda a, b: make.quantise(a, b, per_channel=True, unsigned=True)],
    "int8-fused": [make.fuse, lambda a, b: make.quantise(a, b, per_channel=False)],
    "int8-channel-fused": [make.fuse, lambda a, b: make.quantise(a, b, per_channel=True)],
    "int8-session": [lambda a, b: make.quantise(a, b, per_channel=True), lambda a, b: make.save_optimised(a, b, ALL)],
    "unscoped": [make.without_scopes],
    "unscoped-fused-half": [make.without_scopes, lambda a, b: make.fuse(a, b, half=True)],
    "unscoped-int8": [make.without_scopes, lambda a, b: make.quantise(a, b, per_channel=True)],
}
COSINE = {"float": 0.9999, "half": 0.9999, "int8": 0.99}  # onnxruntime's int8 also rounds what goes into a product


def precision(variant):
    return "int8" if "int8" in variant else "half" if "half" in variant else "float"


def read(folder):
    """Inlay's reading of the folder's checkpoint: name -> array; or the error's text."""
    request = str(folder).encode()
    done = subprocess.run([DRIVER, "folder"], input=struct.pack("<I", len(request)) + request, capture_output=True)
    failed, size = struct.unpack("<BI", done.stdout[:5])
    answer = done.stdout[5 : 5 + size]
    if failed:
        return answer.decode()
    lines, data = answer.split(b"\n\n", 1)
    tensors = {}
    for line in lines.decode().splitlines():
        name, dtype, shape = re.fullmatch(r"(\S+) (\S+) \[(.*)\]", line).groups()
        shape = [int(extent) for extent in shape.split(", ")] if shape else []
        count = int(np.prod(shape)) * {"F32": 4, "F16": 2}[dtype]
        tensors[name] = np.frombuffer(data[:count], {"F32": np.float32, "F16": np.float16}[dtype]).reshape(shape)
        data = data[count:]
    assert not data
    return tensors


def check_tensors(tensors, model, kind, prefix="", levels=127):
    """Every tensor of the checkpoint that the graph computes with, under its name."""
    assert isinstance(tensors, dict), tensors
    wanted = {prefix + name: value.numpy() for name, value in model.state_dict().items() if "pooler" not in name}
    wanted = {name: value for name, value in wanted.items() if value.dtype == np.float32}
    assert not wanted.keys() - tensors.keys()
    extra = tensors.keys() - wanted.keys()
    assert all(name.startswith(prefix + "pooler") for name in extra), extra
    quantised = 0
    for name, value in wanted.items():
        got = tensors[name]
        assert got.shape == value.shape, name
        if kind == "float":
            assert got.dtype == np.float32 and np.array_equal(got, value), name
        elif kind == "half":
            assert got.dtype == np.float16 and np.array_equal(got, value.astype(np.float16)), name
        elif not np.array_equal(got, value):  # half a step of its bits over the tensor's range
            quantised += 1
            assert np.abs(got - value).max() <= np.ptp(np.append(value, 0)) / levels * 0.51, name
    assert (quantised > 0) == (kind == "int8")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(family, exporter) -> (model, its ONNX file), made once."""
    made = {}

    def get(family, how):
        if (family, how) not in made:
            path = tmp_path_factory.mktemp("exported") / f"{family}-{how}.onnx"
            model = make.make_model(family)
            make.export(model, family, path, how)
            made[family, how] = (model, path)
        return made[family, how]

    return get


def write_folder(folder, model, family):
    folder.mkdir(exist_ok=True)
    model.config.save_pretrained(folder)
    make.make_tokenizer(family).save(str(folder / "tokenizer.json"))
    return folder


def check_vectors(folder, onnx_file, family, kind, reference=make.mean_vectors):
    source = folder / "texts.jsonl"
    source.write_text("".join(json.dumps(text) + "\n" for text in make.TEXTS))
    done = subprocess.run([INLAY, "embed", "-m", folder, "-i", source, "--quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    got = np.array([json.loads(line)["embedding"] for line in done.stdout.splitlines()])
    wanted = reference(onnx_file, family)
    cosine = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    print(f"{family} {onnx_file.name}: min cosine {cosine.min():.7f}")
    assert cosine.min() >= COSINE[kind]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(exported, tmp_path, family, variant):
    model, path = exported(family, "torchscript")
    folder = write_folder(tmp_path / "model", model, family)
    path = make.write_variant(VARIANTS[variant], path, folder / "model.onnx")
    levels = 63 if make.saturates() and not variant.startswith("uint8") else 127
    check_tensors(read(folder), model, precision(variant), levels=levels)
    check_vectors(folder, path, family, precision(variant))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_all_eight_bits(exported, tmp_path, family):
    """As the files in the wild have them. onnxruntime runs these right only where the processor has VNNI, so the reference
    is the plain evaluator."""
    model, path = exported(family, "torchscript")
    folder = write_folder(tmp_path / "model", model, family)
    make.quantise(path, folder / "model.onnx", per_channel=True, reduce_range=False)
    check_tensors(read(folder), model, "int8")
    check_vectors(folder, folder / "model.onnx", family, "int8", make.exact_mean_vectors)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["wrapped", "dynamo"])
def test_exporters(exported, tmp_path, family, how):
    model, path = exported(family, how)
    folder = write_folder(tmp_path / "model", model, family)
    (folder / "model.onnx").write_bytes(path.read_bytes())
    check_tensors(read(folder), model, "float", "model." if how == "wrapped" else "")
    check_vectors(folder, path, family, "float")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("per_channel", [False, True])
def test_static_int8(exported, tmp_path, family, form, per_channel):
    """Tensors only: with fixed ranges of activations onnxruntime's own vectors are too coarse for a bar."""
    model, path = exported(family, "torchscript")
    make.quantise_statically(path, tmp_path / "model.onnx", family, form, per_channel)
    check_tensors(read(tmp_path), model, "int8")


@pytest.mark.parametrize("auto", ["AutoModelForMaskedLM", "AutoModelForSequenceClassification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_heads(tmp_path, family, auto):
    model = make.make_model(family, getattr(transformers, auto))
    make.export(model, family, tmp_path / "model.onnx")
    tensors = read(tmp_path)
    assert isinstance(tensors, dict), tensors
    for name, value in model.state_dict().items():
        if value.dtype != torch.float32 or ("pooler" in name and "MaskedLM" in auto):
            continue
        assert np.array_equal(tensors[name], value.numpy()), name


def test_equal_constants(tmp_path):
    """A fresh model: exporters and optimizers merge its many tensors of ones and zeros under one name."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(make.family_config("bert"), attn_implementation="eager").eval()
    make.export(model, "bert", tmp_path / "model.onnx")
    check_tensors(read(tmp_path), model, "float")
    path = (tmp_path / "model.onnx").rename(tmp_path / "exported.onnx")
    make.save_optimised(path, tmp_path / "model.onnx", ALL)
    check_tensors(read(tmp_path), model, "float")
    # The optimizer leaves the last norm nothing but the graph's output for a name: it is missing, not guessed.
    make.fuse(path, tmp_path / "model.onnx")
    missing = {name for name in model.state_dict() if "pooler" not in name} - read(tmp_path).keys()
    last = f"encoder.layer.{make.LAYERS - 1}.output.LayerNorm."
    assert missing - {"embeddings.position_ids", "embeddings.token_type_ids"} == {last + "weight", last + "bias"}


def test_four_bits_are_refused(exported, tmp_path):
    _, path = exported("bert", "torchscript")
    quantiser = MatMulNBitsQuantizer(onnx.load(path), block_size=16, is_symmetric=True)
    with make.quiet():
        quantiser.process()
    onnx.save(quantiser.model.model, tmp_path / "model.onnx")
    answer = read(tmp_path)
    assert isinstance(answer, str)
    assert answer.startswith("unsupported ") and "MatMulNBits" in answer and "model.onnx" in answer
    assert "/encoder/layer.0/attention/self/query/MatMul" in answer and "more" in answer


def test_which_file(exported, tmp_path):
    """The one that keeps most of the weights; beside config.json before onnx/."""
    model, path = exported("bert", "torchscript")
    folder = write_folder(tmp_path / "model", model, "bert")
    (folder / "onnx").mkdir()
    for name in ["onnx/model_quantized.onnx", "model_quantized.onnx", "onnx/model_fp16.onnx", "model_optimized.onnx",
                 "onnx/model.onnx", "model.onnx"]:  # fmt: skip
        (folder / name).write_bytes(path.read_bytes())
        shown = subprocess.run([INLAY, "model", "show", folder], capture_output=True, text=True, check=True)
        assert json.loads(shown.stdout)["weight_file"] == name
        assert json.loads(shown.stdout)["weight_bytes"] == path.stat().st_size

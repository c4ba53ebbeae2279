"""The graphs that the onnxruntime room writes, held against onnx's checker; and the names of CoreML's options that Inlay
relies on, looked for in the library of the macOS wheel."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT
from onnx import numpy_helper

DRIVER = ROOT / "build/tests/oracles/onnx_driver"
TABLE = json.loads((ROOT / "tests/data/onnxruntime/operators.json").read_text())
GRAPHS = [(row["model"], row["task"]) for row in TABLE["graphs"] if "refused" not in row]
SHAPES = {"open": [], "8 x 64": ["8", "64"], "1 x 32": ["1", "32"]}


def written(folder, task, shape, to):
    if not DRIVER.is_file():
        pytest.skip("no onnx_driver: build it")
    done = subprocess.run([DRIVER, ROOT / "tests" / folder, task, to / "model.onnx", *shape], capture_output=True)
    assert done.returncode == 0, done.stderr
    return to / "model.onnx"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("folder", "task"), GRAPHS)
def test_graphs_are_valid(folder, task, shape, tmp_path):
    """The checker infers every shape, strictly, and meets those that the outputs state."""
    file = written(folder, task, SHAPES[shape], tmp_path)
    onnx.checker.check_model(str(file), full_check=True)
    model = onnx.load(file)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert all(node.domain == "" for node in model.graph.node)
    fixed = [d.HasField("dim_value") for v in model.graph.input for d in v.type.tensor_type.shape.dim]
    assert all(fixed) == bool(SHAPES[shape])
    if SHAPES[shape]:
        operators = {node.op_type for node in model.graph.node}
        assert operators <= set(TABLE["mlprogram"])
        constant = {tensor.name for tensor in model.graph.initializer}
        assert all(set(node.input[1:]) <= constant for node in model.graph.node if node.op_type in ("Slice", "Reshape"))


def random_inputs(session, rng):
    inputs = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else {"texts": 2, "length": 24}[d] for d in value.shape]
        if value.type == "tensor(int32)":
            inputs[value.name] = np.zeros(shape, np.int32)
        elif "mask" in value.name or "bias" in value.name:
            inputs[value.name] = np.zeros(shape, np.float32)
        else:
            inputs[value.name] = rng.standard_normal(shape).astype(np.float32)
    return inputs


@pytest.mark.parametrize(("folder", "task"), GRAPHS)
def test_onnxs_own_evaluator_agrees(folder, task, tmp_path):
    """onnx.reference computes the operators as the standard defines them, without any fusion."""
    from onnx.reference import ReferenceEvaluator

    file = written(folder, task, SHAPES["open"], tmp_path)
    session = onnxruntime.InferenceSession(file)
    inputs = random_inputs(session, np.random.default_rng(3))
    expected = ReferenceEvaluator(onnx.load(file)).run(None, inputs)
    for a, b in zip(expected, session.run(None, inputs), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4 * max(1, np.abs(a).max()))


def test_weights_are_those_of_the_checkpoint(tmp_path):
    from safetensors.numpy import load_file

    file = written("golden/models/bert-mean", "embed", [], tmp_path)
    stored = [numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer if len(tensor.dims) == 2]
    checkpoint = load_file(ROOT / "tests/golden/models/bert-mean/model.safetensors")
    dense = next(value for name, value in checkpoint.items() if name.endswith("layer.0.intermediate.dense.weight"))
    assert any(value.shape == dense.T.shape and np.array_equal(value, dense.T) for value in stored)


@pytest.fixture(scope="module")
def macos_library(tmp_path_factory):
    """The bytes of libonnxruntime for Apple silicon, out of the wheel of the pinned version."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    command += ["--platform", "macosx_14_0_arm64", "--python-version", "3.11"]
    done = subprocess.run([*command, f"onnxruntime=={onnxruntime.__version__}"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("the macOS wheel cannot be fetched: " + done.stderr.strip().splitlines()[-1])
    wheel = zipfile.ZipFile(next(Path(folder).glob("*.whl")))
    name = next(name for name in wheel.namelist() if re.search(r"capi/libonnxruntime\.[0-9.]+dylib$", name))
    return wheel.read(name)


def test_coremls_names_are_in_the_library(macos_library):
    source = (ROOT / "src/backend/onnxruntime/providers.cc").read_text()
    keys = re.findall(r'^    \{"(\w+)", "([^"]*)", (?:"|nullptr)', source, re.MULTILINE)
    assert len(keys) == 8
    words = {key for key, _ in keys} | {v for _, values in keys for v in values.split("|") if len(v) > 1}
    words |= set(re.findall(r'"(number of [^"]*CoreML: |number of nodes in the graph: )"', source))
    words |= {"COREML_CACHE_KEY", "session.record_ep_graph_assignment_info", "CoreMLExecutionProvider", "OrtGetApiBase"}
    words |= {operator for row in TABLE["graphs"] for operator in row.get("operators", [])}
    assert len(words) > 30
    missing = sorted(word for word in words if word.encode() not in macos_library)
    assert not missing

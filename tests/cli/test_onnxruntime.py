"""--device onnxruntime on every family and task, against ref, with the ONNX Runtime of the tests' own environment; and what
Inlay tells a stand-in of it (tests/unit/onnxruntime) about providers that this machine does not have."""

import importlib.util
import json
import os
from pathlib import Path

import pytest
from conftest import BINARY, MODELS, ROOT, expect, preloaded, run_inlay
from parity import LEAST_COSINE, TEXTS, cosine, device_row, least_cosine, lines, same_order, sparse_cosine

HEADS = ROOT / "tests" / "data" / "heads"
FAMILIES = sorted(path.name for path in MODELS.iterdir())
NOWHERE = "/nonexistent/libonnxruntime.so"


@pytest.fixture(scope="module")
def library():
    """The folder of libonnxruntime."""
    named = os.environ.get("INLAY_ONNXRUNTIME_LIBRARY")
    if named:
        return named
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None:
        pytest.skip("the tests' environment has no onnxruntime: ./test installs it")
    return str(Path(spec.submodule_search_locations[0]) / "capi")


@pytest.fixture
def stand_in():
    found = BINARY.parent / "tests" / "unit" / "onnxruntime" / "libonnxruntime_stand_in.so"
    if not found.is_file():
        pytest.skip(f"no {found}")
    return str(found)


def both(library, command, model, *more, texts=TEXTS):
    expected = lines(command, model, "ref", *more, texts=texts)
    return expected, lines(command, model, "onnxruntime:cpu", "--onnxruntime-library", library, *more, texts=texts)


@pytest.mark.parametrize("model", FAMILIES)
def test_families(library, model):
    if model.startswith("deberta"):
        result = run_inlay(
            "embed", "a", "-m", str(MODELS / model), "--device", "onnxruntime", INLAY_ONNXRUNTIME_LIBRARY=library
        )
        return expect(result, 65, "disentangled attention")
    assert least_cosine(*both(library, "embed", MODELS / model)) >= LEAST_COSINE


def test_default_model(library, real_model):
    texts = ["A vector remembers meaning.", "fox " * 40, "Größe naïve café", "two words"]
    assert least_cosine(*both(library, "embed", real_model, texts=texts)) >= LEAST_COSINE


def test_sparse(library):
    expected, got = both(library, "sparse", HEADS / "bert-mlm", "--assume-splade")
    assert min(sparse_cosine(a, b) for a, b in zip(expected, got, strict=True)) >= LEAST_COSINE


def test_splade_tiny(library):
    listed = json.loads(run_inlay("model", "list", "--json").out)
    if not any(model["name"] == "splade-tiny" and model["path"] for model in listed):
        pytest.skip("splade-tiny is not on this machine")
    expected, got = both(
        library, "sparse", "splade-tiny", texts=["A vector remembers meaning.", "fox " * 40, "naïve café"]
    )
    assert min(sparse_cosine(a, b) for a, b in zip(expected, got, strict=True)) >= LEAST_COSINE


@pytest.mark.parametrize("model", ["bert-labels-1", "qwen3-reranker"])
def test_rerank_keeps_the_order(library, model):
    expected, got = both(library, "rerank", HEADS / model, "--query", "a quick fox", "--raw-scores")
    same_order(expected, got)


def test_late(library):
    expected, got = both(library, "late", HEADS / "colbert", "--as", "query")
    for a, b in zip(expected, got, strict=True):
        assert min(cosine(x, y) for x, y in zip(a["vectors"], b["vectors"], strict=True)) >= LEAST_COSINE


def test_late_chunking_is_refused(library, tiny):
    result = run_inlay("embed", "a", "-m", tiny, "--chunk", "--device", "onnxruntime", "--onnxruntime-library", library)
    expect(result, 65, "late chunking")


def test_report(library, tiny):
    lines("embed", tiny, "onnxruntime", "--report", "r.json", INLAY_ONNXRUNTIME_LIBRARY=library)
    report = json.loads(Path("r.json").read_text())
    assert (report["device"], report["backend"], report["dtype"]) == ("onnxruntime", "onnxruntime", "fp32")
    assert (report["partitions"], report["fallback_ops"]) == (1, 0)
    assert 0 < report["padded_share"] < 0.5
    assert any("ONNX Runtime 1." in note for note in report["device_notes"])
    assert any("CPUExecutionProvider" in note for note in report["device_notes"])


def test_status(library, tiny):
    status = run_inlay("status", "--json", "-m", tiny, INLAY_ONNXRUNTIME_LIBRARY=library)
    cpu = device_row(status, "onnxruntime:cpu")
    assert cpu["state"] == "ok" and cpu["version"].startswith("1.")
    absent = device_row(run_inlay("status", "--json", INLAY_ONNXRUNTIME_LIBRARY=NOWHERE), "onnxruntime:cpu")
    assert absent["state"] == "absent" and NOWHERE in absent["reason"] and "pip install" in absent["remedy"]
    deberta = run_inlay("status", "--json", "-m", str(MODELS / "deberta-mean"), INLAY_ONNXRUNTIME_LIBRARY=library)
    assert any("disentangled" in step for step in device_row(deberta, "onnxruntime:cpu")["missing_steps"])


@pytest.mark.parametrize("provider", ["coreml", "cuda"])
def test_a_provider_that_is_not_built_in_is_refused(library, tiny, provider):
    result = run_inlay(
        "embed", "a", "-m", tiny, "--device", f"onnxruntime:{provider}", INLAY_ONNXRUNTIME_LIBRARY=library
    )
    if result.code == 0:
        pytest.skip(f"this machine has {provider}")
    expect(result, 69, "ONNX Runtime 1.", "Remedy:")
    if provider == "coreml":
        assert "not supported in this build" in result.err


def test_no_library(tiny):
    result = run_inlay("embed", "a", "-m", tiny, "--device", "onnxruntime", "--onnxruntime-library", NOWHERE)
    expect(result, 69, NOWHERE, "pip install onnxruntime")


def test_dtype_and_options_that_do_not_fit(library, tiny):
    on = ["embed", "a", "-m", tiny, "--onnxruntime-library", library, "--device", "onnxruntime"]
    expect(run_inlay(*on, "--dtype", "fp16"), 69, "fp32")
    expect(run_inlay(*on, "--provider-options", "a=b"), 2, "no options")


def calls(record):
    return record.read_text().splitlines() if record.exists() else []


def test_coreml_is_told_what_the_user_says(stand_in, tiny, tmp_path):
    record = tmp_path / "record"
    env = {
        "INLAY_ONNXRUNTIME_LIBRARY": stand_in,
        "INLAY_STAND_IN_RECORD": str(record),
        "INLAY_STAND_IN_PLACEMENT": "CoreML:MatMul,Add;CPU:Gather;CoreML:Softmax",
        "INLAY_HOME": str(tmp_path / "home"),
    }
    on = ["embed", "a", "-m", tiny, "--device", "onnxruntime:coreml", "--report", str(tmp_path / "r.json")]
    preset = "ModelFormat=MLProgram MLComputeUnits={} SpecializationStrategy=FastPrediction EnableOnSubgraphs=1"
    for units, more, variables in (
        ("CPUAndNeuralEngine", [], {}),
        ("CPUAndGPU", ["--provider-options", "MLComputeUnits=CPUAndGPU"], {}),
        ("ALL", [], {"INLAY_PROVIDER_OPTIONS": "MLComputeUnits=ALL"}),
    ):
        record.unlink(missing_ok=True)
        result = run_inlay(*on, *more, **env, **variables)
        assert result.code == 0, result.err
        assert preset.format(units) in calls(record)[0]
        report = json.loads((tmp_path / "r.json").read_text())
        assert (report["partitions"], report["fallback_ops"]) == (2, 1)
        assert "left to the CPU: Gather x 1" in report["device_notes"]
    expect(run_inlay(*on, "--provider-options", "MLComputeUnits=ANE", **env), 2, "CPUAndNeuralEngine")


def test_the_report_says_who_computed_while_a_device_compiled(stand_in, tiny, tmp_path):
    env = {"INLAY_ONNXRUNTIME_LIBRARY": stand_in, "INLAY_HOME": str(tmp_path / "home")}
    on = ["embed", "a", "b", "-m", tiny, "--device", "onnxruntime:coreml", "--report", str(tmp_path / "r.json")]
    result = run_inlay(*on, "--meanwhile", "cpu", **env)
    served = json.loads((tmp_path / "r.json").read_text())["served"]
    assert list(served) == ["onnxruntime:coreml", "cpu"] and sum(served.values()) == 2
    assert f"; {served['cpu']} by cpu" in result.err
    for more, variables in (([], {}), (["--meanwhile", "nothing"], {"INLAY_MEANWHILE": "cpu"})):
        assert run_inlay(*on, *more, **env, **variables).code == 0
        assert "served" not in json.loads((tmp_path / "r.json").read_text())
    expect(run_inlay(*on, "--meanwhile", "torch", **env), 2, "cpu|nothing")


def test_disabled_means_not_called(stand_in, tiny, tmp_path):
    record = tmp_path / "record"
    env = {"INLAY_ONNXRUNTIME_LIBRARY": stand_in, "INLAY_STAND_IN_RECORD": str(record)}
    on = ["embed", "a", "-m", tiny, "--device", "onnxruntime:coreml"]
    expect(run_inlay(*on, "--disable", "coreml", **env), 69, "switches off")
    expect(run_inlay(*on, INLAY_DISABLE="coreml", **env), 69, "switches off")
    status = run_inlay("status", "--json", INLAY_DISABLE="coreml", **env)
    assert device_row(status, "onnxruntime:coreml")["state"] == "disabled"
    assert device_row(status, "onnxruntime:cpu")["state"] == "ok"
    assert not [line for line in calls(record) if "CoreML" in line]
    assert run_inlay("embed", "a", "-m", tiny, "--device", "auto", **env).code == 0
    assert not [line for line in calls(record) if "Session" in line]


POOL = """
#include <stdio.h>
#include <stdlib.h>
static int pushed, popped;
void* objc_autoreleasePoolPush(void) { ++pushed; return &pushed; }
void objc_autoreleasePoolPop(void* pool) { popped += pool == &pushed; }
__attribute__((destructor)) static void tell(void) {
  const char* name = getenv("POOL_FILE");
  FILE* file = name ? fopen(name, "w") : 0;
  if (file) { fprintf(file, "%d %d", pushed, popped); fclose(file); }
}
"""


def test_each_call_has_an_autorelease_pool_where_there_are_such(library, tiny, tmp_path):
    """Mac's functions, played by a preloaded library: the session made, each run, the session released."""
    env = {"LD_PRELOAD": preloaded(tmp_path, "pool", POOL), "POOL_FILE": str(tmp_path / "counts")}
    env["INLAY_ONNXRUNTIME_LIBRARY"] = library
    assert run_inlay("embed", "a", "-m", tiny, "--device", "onnxruntime", **env).code == 0
    pushed, popped = map(int, (tmp_path / "counts").read_text().split())
    assert pushed == popped >= 4

"""inlay embed: formats, types, options, streams."""

import csv
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from conftest import BINARY, CASES, MODELS, environment, expect


def vectors(result):
    return np.array([line["embedding"] for line in result.json], dtype=np.float32)


def test_jsonl_line_is_the_contract_s(inlay, tiny):
    result = inlay("embed", "-m", tiny, "hello world", "")
    assert result.code == 0
    first = result.json[0]
    assert list(first) == ["index", "embedding", "tokens", "truncated", "prompt"]
    assert result.lines[0].startswith('{"index":0,"embedding":[')
    tail = result.lines[0][result.lines[0].index("]") :]
    assert tail == f'],"tokens":{first["tokens"]},"truncated":false,"prompt":null}}'
    assert [line["index"] for line in result.json] == [0, 1]
    assert result.json[1]["tokens"] == 2
    assert abs(np.linalg.norm(vectors(result), axis=1) - 1).max() < 1e-6


def test_floats_read_back_the_same(inlay, tiny):
    inlay("embed", "-m", tiny, "a", "b c", "-o", "v.npy")
    result = inlay("embed", "-m", tiny, "a", "b c")
    stored = np.load("v.npy")
    assert stored.dtype == np.float32
    assert np.array_equal(stored, vectors(result))


@pytest.mark.parametrize("case", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_golden_vectors_through_the_command_line(inlay, case):
    golden = json.loads(case.read_text())
    with open("texts.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(text) + "\n" for text in golden["texts"])
    for run in golden["runs"]:
        flags = [part for key, value in run["request"].items() for part in ("--" + key.replace("_", "-"), str(value))]
        result = inlay("embed", "-m", str(MODELS / golden["model"]), "-i", "texts.jsonl", *flags)
        assert result.code == 0, result.err
        assert [line["tokens"] for line in result.json] == run["tokens"]
        assert np.abs(vectors(result) - np.array(run["vectors"], dtype=np.float32)).max() <= 1e-5


def test_formats_follow_the_extension_and_the_flag(inlay, tiny):
    texts = ["one", "two words", ""]
    expected = vectors(inlay("embed", "-m", tiny, *texts))
    for name in ("v.npy", "V.NPY"):
        assert inlay("embed", "-m", tiny, *texts, "-o", name).code == 0
        assert np.array_equal(np.load(name), expected)
    inlay("embed", "-m", tiny, *texts, "-o", "v.csv")
    rows = list(csv.reader(open("v.csv", newline="")))
    assert rows[0] == ["index"] + [f"v{i}" for i in range(expected.shape[1])]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2"]
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], dtype=np.float32), expected)
    inlay("embed", "-m", tiny, *texts, "-o", "v.other", "--format", "csv")
    assert open("v.other").read() == open("v.csv").read()
    inlay("embed", "-m", tiny, *texts, "-o", "v.txt")
    assert [json.loads(line)["index"] for line in open("v.txt")] == [0, 1, 2]
    piped = inlay("embed", "-m", tiny, *texts, "--format", "npy")
    assert np.array_equal(np.load(io.BytesIO(piped.out)), expected)
    assert inlay("embed", "-m", tiny, *texts, "--format=csv").out.decode() == open("v.csv").read()
    assert sorted(os.listdir()) == ["V.NPY", "v.csv", "v.npy", "v.other", "v.txt"]


def test_npy_header_is_version_one_and_aligned(inlay, tiny):
    out = inlay("embed", "-m", tiny, "a", "--format", "npy").out
    assert out[:8] == b"\x93NUMPY\x01\x00"
    length = int.from_bytes(out[8:10], "little")
    assert (10 + length) % 64 == 0 and out[9 + length : 10 + length] == b"\n"


def test_no_texts_at_all(inlay, tiny):
    dim = vectors(inlay("embed", "-m", tiny, "a")).shape[1]
    for format in ("jsonl", "csv"):
        result = inlay("embed", "-m", tiny, "--format", format, stdin="")
        assert (result.code, result.out) == (0, b"")
    result = inlay("embed", "-m", tiny, "--format", "npy", stdin="")
    assert np.load(io.BytesIO(result.out)).shape == (0, dim)
    inlay("embed", "-m", tiny, "-o", "none.npy", stdin="")
    assert np.load("none.npy").shape == (0, dim)


def test_float16_and_binary(inlay, tiny):
    texts = ["one", "two words", "three more words"]
    exact = vectors(inlay("embed", "-m", tiny, *texts))
    half = inlay("embed", "-m", tiny, *texts, "--output-dtype", "float16")
    assert np.array_equal(vectors(half).astype(np.float16), exact.astype(np.float16))
    bits = np.packbits(exact > 0, axis=1)
    for dtype, expected in {
        "float16": exact.astype(np.float16),
        "ubinary": bits,
        "binary": (bits.astype(np.int16) - 128).astype(np.int8),
    }.items():
        inlay("embed", "-m", tiny, *texts, "--output-dtype", dtype, "-o", "v.npy")
        stored = np.load("v.npy")
        assert stored.dtype == expected.dtype and np.array_equal(stored, expected)
        lines = inlay("embed", "-m", tiny, *texts, "--output-dtype", dtype).json
        assert np.array_equal(np.array([line["embedding"] for line in lines]).astype(expected.dtype), expected)


def test_int8_and_uint8_by_a_calibration_file(inlay, tiny):
    calibration_texts = "".join(f"text number {i} of many\n" for i in range(50))
    made = inlay("model", "calibrate", "-m", tiny, "-o", "ranges.json", stdin=calibration_texts)
    assert made.code == 0, made.err
    ranges = json.load(open("ranges.json"))
    assert list(ranges) == ["model", "dim", "count", "minimum", "maximum"]
    over = vectors(inlay("embed", "-m", tiny, stdin=calibration_texts))
    assert ranges["count"] == 50 and ranges["dim"] == over.shape[1]
    assert np.array_equal(np.array(ranges["minimum"], dtype=np.float32), over.min(axis=0))
    assert np.array_equal(np.array(ranges["maximum"], dtype=np.float32), over.max(axis=0))

    texts = ["text number 7 of many", "something else"]
    exact = vectors(inlay("embed", "-m", tiny, *texts))
    steps = (over.max(axis=0) - over.min(axis=0)) / np.float32(255)
    levels = np.clip(np.floor((exact - over.min(axis=0)) / steps), 0, 255)
    for dtype, expected in {"uint8": levels, "int8": levels - 128}.items():
        args = ("embed", "-m", tiny, *texts, "--output-dtype", dtype, "--calibration", "ranges.json")
        assert np.array_equal([line["embedding"] for line in inlay(*args).json], expected)
        inlay(*args, "-o", "v.npy")
        assert np.load("v.npy").dtype == np.dtype(dtype) and np.array_equal(np.load("v.npy"), expected)
        # Never the batch's own range: alone, a text has the same bytes.
        alone = inlay("embed", "-m", tiny, texts[1], *args[5:])
        assert np.array_equal(alone.json[0]["embedding"], expected[1])

    by_argument = inlay("model", "calibrate", tiny, stdin=calibration_texts)
    assert by_argument.out.decode() == open("ranges.json").read()


def test_calibration_refusals(inlay, tiny):
    expect(inlay("embed", "-m", tiny, "a", "--output-dtype", "int8"), 2, "--output-dtype", "--calibration", "calibrate")
    expect(inlay("embed", "-m", tiny, "a", "--calibration", "c.json"), 2, "--calibration")
    int8 = ("embed", "-m", tiny, "a", "--output-dtype", "int8", "--calibration", "c.json")
    expect(inlay(*int8), 66, "c.json")
    open("c.json", "w").write('{"model":"m","dim":3,"minimum":[0,0,0],"maximum":[1,1,1],"count":9}')
    expect(inlay(*int8), 65, "c.json: /dim", "got 3")
    open("c.json", "w").write("{")
    expect(inlay(*int8), 65, "c.json")
    expect(inlay("model", "calibrate", "-m", tiny, stdin=""), 65, "got none")


def test_dimensions_normalize_and_pooling(inlay, tiny):
    whole = vectors(inlay("embed", "-m", tiny, "hello world"))
    cut = vectors(inlay("embed", "-m", tiny, "hello world", "--dimensions", "8"))
    assert cut.shape == (1, 8)
    assert np.abs(cut - whole[:, :8] / np.linalg.norm(whole[:, :8])).max() < 1e-6
    raw = vectors(inlay("embed", "-m", tiny, "hello world", "--no-normalize"))
    assert abs(np.linalg.norm(raw) - 1) > 1e-3
    assert np.abs(raw / np.linalg.norm(raw) - whole).max() < 1e-6
    several = MODELS / "bert-several"  # whose modules do not normalise
    raw = vectors(inlay("embed", "-m", several, "hello world"))
    unit = vectors(inlay("embed", "-m", several, "hello world", "--normalize"))
    assert abs(np.linalg.norm(raw) - 1) > 1e-3
    assert np.abs(raw / np.linalg.norm(raw) - unit).max() < 1e-6
    expect(inlay("embed", "-m", tiny, "a", "--normalize", "--no-normalize"), 2, "--normalize", "both")
    cls = vectors(inlay("embed", "-m", tiny, "hello world", "--pooling", "cls"))
    last = vectors(inlay("embed", "-m", tiny, "hello world", "--pooling", "last"))
    both = vectors(inlay("embed", "-m", tiny, "hello world", "--pooling", "cls+mean"))
    assert not np.allclose(cls, whole) and not np.allclose(cls, last) and both.shape[1] == 2 * whole.shape[1]
    expect(inlay("embed", "-m", tiny, "a", "--pooling", "bogus"), 2, "--pooling", "bogus")
    expect(inlay("embed", "-m", tiny, "a", "--dimensions", "100000"), 2, "--dimensions")


def test_prompts_are_told_for_each_text(inlay, with_prompts):
    plain = inlay("embed", "-m", with_prompts, "fox")
    query = inlay("embed", "-m", with_prompts, "fox", "--as", "query")
    named = inlay("embed", "-m", with_prompts, "fox", "--prompt", "query")
    assert [r.json[0]["prompt"] for r in (plain, query, named)] == [None, "query", "query"]
    assert query.out == named.out and query.json[0]["tokens"] > plain.json[0]["tokens"]
    assert inlay("embed", "-m", with_prompts, "fox", "--prompt", "none").out == plain.out
    expect(inlay("embed", "-m", with_prompts, "fox", "--prompt", "bogus"), 2, "--prompt", "bogus", "query")
    expect(inlay("embed", "-m", with_prompts, "fox", "--as", "bogus"), 2, "--as", "query|document")


def test_truncation_is_told_and_can_be_an_error(inlay, tiny):
    text = "one two three four five six seven eight nine ten"
    cut = inlay("embed", "-m", tiny, text, "short", "--max-length", "6").json
    assert [(line["tokens"] <= 6, line["truncated"]) for line in cut] == [(True, True), (True, False)]
    left = inlay("embed", "-m", tiny, text, "--max-length", "6", "--truncate", "left").json
    assert left[0]["truncated"] and left[0]["embedding"] != cut[0]["embedding"]
    result = inlay("embed", "-m", tiny, "a", text, "--max-length", "6", "--truncate", "error")
    expect(result, 65, "text 1", "6")
    assert result.out == b""
    expect(inlay("embed", "-m", tiny, "a", "--max-length", "100000"), 2, "--max-length")


def test_a_text_s_vector_does_not_depend_on_its_neighbours(inlay, tiny):
    texts = [f"text {i} " + "word " * (i % 17) for i in range(1300)]
    together = vectors(inlay("embed", "-m", tiny, stdin="\n".join(texts)))
    assert len(together) == len(texts)
    for threads in ("1", "2"):
        again = vectors(
            inlay("embed", "-m", tiny, "--threads", threads, "--batch-tokens", "64", stdin="\n".join(texts))
        )
        assert np.array_equal(again, together)
    for i in (0, 511, 512, 1299):
        assert np.array_equal(vectors(inlay("embed", "-m", tiny, "--", texts[i]))[0], together[i])


def test_results_come_while_the_input_is_open(inlay, tiny):
    """A coprocess: a line in, its vector out, before the next line."""
    with subprocess.Popen(
        [BINARY, "embed", "-m", tiny, "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        for i in range(3):
            process.stdin.write(b"a line\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["index"] == i
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_report_has_the_contract_s_fields(inlay, tiny):
    result = inlay("embed", "-m", tiny, "one two", "three " * 200, "--max-length", "16", "--report", "r.json")
    assert result.code == 0, result.err
    report = json.load(open("r.json"))
    assert (
        list(report)
        == (
            "device backend isa dtype model revision weight_file adapter packed_weights texts tokens truncated padded_share partitions fallback_ops seconds peak_rss"
        ).split()
    )
    assert list(report["seconds"]) == ["load", "tokenize", "compute", "total"]
    assert (report["device"], report["backend"], report["dtype"]) == ("cpu", "cpu", "fp32")
    assert (report["texts"], report["truncated"], report["padded_share"]) == (2, 1, 0)
    assert report["tokens"] == sum(line["tokens"] for line in result.json)
    assert 0 < report["seconds"]["load"] < report["seconds"]["total"]
    assert report["peak_rss"] > 1_000_000
    ref = inlay("embed", "-m", tiny, "one", "--device", "ref", "--report", "r.json")
    assert ref.code == 0 and json.load(open("r.json"))["backend"] == "ref"


def test_report_names_the_weight_file(inlay, tiny, tmp_path):
    folder = tmp_path / "several-forms"
    shutil.copytree(tiny, folder)
    (folder / "onnx").mkdir()
    for other in ["pytorch_model.bin", "onnx/model.onnx", "onnx/model_quantized.onnx"]:
        (folder / other).write_bytes(b"not read")
    for model, file in [(folder, "model.safetensors"), (MODELS / "camembert-mean", "model.safetensors.index.json")]:
        assert inlay("embed", "-m", model, "one", "--report", "r.json").code == 0
        assert json.load(open("r.json"))["weight_file"] == file


def test_summary_and_quiet(inlay, tiny):
    loud = inlay("embed", "-m", tiny, "one two")
    assert "1 text, " in loud.err and "cpu" in loud.err and "fp32" in loud.err
    assert inlay("embed", "-m", tiny, "one two", "--quiet").err == ""
    assert inlay("embed", "-m", tiny, "one two", INLAY_QUIET="1").err == ""


def test_environment_variables_are_options_and_flags_win(inlay, tiny):
    by_environment = inlay("embed", "a b c d e f g", INLAY_MODEL=tiny, INLAY_MAX_LENGTH="4")
    assert by_environment.json[0]["tokens"] == 4
    assert (
        inlay("embed", "a b c d e f g", "--max-length", "5", INLAY_MODEL=tiny, INLAY_MAX_LENGTH="4").json[0]["tokens"]
        == 5
    )
    expect(inlay("embed", "a", INLAY_MODEL=tiny, INLAY_MAX_LENGTH="many"), 2, "INLAY_MAX_LENGTH")
    expect(inlay("embed", "a", INLAY_MODEL=tiny, INLAY_DISABLE="bogus"), 2, "bogus")
    expect(inlay("embed", "a", INLAY_MODEL=tiny, INLAY_DISABLE="cpu"), 69)


def poison(model, token):
    """A copy of `model` whose word embedding of `token` is NaN."""
    shutil.copytree(model, "poisoned")
    path = "poisoned/model.safetensors"
    data = bytearray(open(path, "rb").read())
    size = int.from_bytes(data[:8], "little")
    tensor = next(v for k, v in json.loads(data[8 : 8 + size]).items() if k.endswith("word_embeddings.weight"))
    row = 4 * tensor["shape"][1]
    at = 8 + size + tensor["data_offsets"][0] + token * row
    data[at : at + row] = b"\x00\x00\xc0\x7f" * (row // 4)
    open(path, "wb").write(data)
    return "poisoned"


def test_a_text_without_a_vector_leaves_its_neighbours_unharmed(inlay, tiny):
    texts = ["the dog", "fox", "over"]
    token = inlay("tokens", "-m", tiny, "fox").json[0]["ids"][1]
    healthy = inlay("embed", "-m", tiny, *texts)
    model = poison(tiny, token)
    expect(inlay("embed", "-m", model, *texts), 65, "word_embeddings.weight", "--allow-nonfinite")
    result = inlay("embed", "-m", model, *texts, "--allow-nonfinite")
    assert result.code == 0, result.err
    assert list(result.json[1]) == ["index", "error", "tokens", "truncated", "prompt"]
    assert [result.lines[i] for i in (0, 2)] == [healthy.lines[i] for i in (0, 2)]
    assert "NaN" not in result.out.decode().replace(result.json[1]["error"], "")
    for format in ("npy", "csv"):
        refused = inlay("embed", "-m", model, *texts, "--allow-nonfinite", "--format", format)
        expect(refused, 65, "[text 1]")


def test_the_default_model(inlay, real_model):
    result = inlay("embed", "hello", "-m", real_model)
    assert result.code == 0
    assert len(result.json[0]["embedding"]) == 384 and result.json[0]["tokens"] == 3
    long = inlay("embed", "word " * 1000, "-m", real_model).json[0]
    assert long["tokens"] == 256 and long["truncated"]


def test_int8_is_told_and_near_fp32(inlay, tiny, tmp_path):
    texts = ("one two three", "a longer text with many more words in it than the other has", "")
    exact = vectors(inlay("embed", "-m", tiny, *texts))
    result = inlay("embed", "-m", tiny, *texts, "--dtype", "int8", "--report", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["dtype"] == "int8" and report["isa"] in ("avx512_vnni", "avx512", "avx2", "neon", "generic")
    near = vectors(result)
    assert not np.array_equal(near, exact)
    assert (near * exact).sum(axis=1).min() > 0.99

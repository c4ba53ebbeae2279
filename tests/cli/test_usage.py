"""Commands, options and exit codes; status, model, tokens."""

import json
import re

import pytest
from conftest import expect

COMMANDS = [
    "embed",
    "sparse",
    "late",
    "rerank",
    "tokens",
    "status",
    "bench",
    "verify",
    "model list",
    "model show",
    "model convert",
    "model calibrate",
]


def test_version(inlay):
    result = inlay("--version")
    assert (result.code, result.out, result.err) == (0, b"inlay 0.1.0\n", "")


def test_help(inlay):
    result = inlay("--help")
    assert result.code == 0 and result.err == ""
    assert all(command in result.out.decode() for command in COMMANDS)
    for command in COMMANDS:
        text = inlay(*command.split(), "--help")
        assert text.code == 0 and text.out.decode().startswith(f"usage: inlay {command}")
    embed = inlay("embed", "-h").out.decode()
    assert "--max-line" in embed and "16MiB" in embed and "INLAY_DEVICE" in embed
    for words in (["-h"], ["model", "--help"], ["model", "-h"]):
        assert inlay(*words).out == result.out


@pytest.mark.parametrize("words", [["bogus"], [], ["model"], ["model", "fetch"], ["serve"], ["-x"]])
def test_unknown_commands_name_the_known_ones(inlay, words):
    expect(inlay(*words), 2, *COMMANDS)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["embed", "a", "--bogus"], "--bogus"),
        (["embed", "a", "--bogus=1"], "--bogus=1"),
        (["status", "--measure", "most"], "--measure"),
        (["status", "--html"], "--html"),
        (["embed", "a", "--measure"], "--measure"),
        (["bench", "--json"], "--json"),
        (["bench", "--seconds", "0"], "--seconds"),
        (["verify", "--grid"], "--grid"),
        (["embed", "a", "-m"], "--model"),
        (["embed", "a", "--model="], "--model"),
        (["embed", "a", "--model", ""], "--model"),
        (["embed", "a", "-m", "x", "-m", "y"], "--model"),
        (["embed", "a", "--device", "tpu"], "--device"),
        (["embed", "a", "--device", "cpu:0"], "--device"),
        (["embed", "a", "--dtype", "fp64"], "--dtype"),
        (["embed", "a", "--disable", "bogus"], "--disable"),
        (["embed", "a", "--threads", "0"], "--threads"),
        (["embed", "a", "--threads", "two"], "--threads"),
        (["embed", "a", "--threads", "99999999999999999999"], "--threads"),
        (["embed", "a", "--max-length", "-1"], "--max-length"),
        (["embed", "a", "--max-length", "1.5"], "--max-length"),
        (["embed", "a", "--batch-tokens", "4294967296"], "--batch-tokens"),
        (["embed", "a", "--memory-limit", "lots"], "--memory-limit"),
        (["embed", "a", "--memory-limit", "99999999TiB"], "--memory-limit"),
        (["embed", "a", "--truncate", "middle"], "--truncate"),
        (["embed", "a", "--format", "xml"], "--format"),
        (["embed", "--input-format", "xml"], "--input-format"),
        (["embed", "a", "--output-dtype", "int4"], "--output-dtype"),
        (["tokens", "a", "--format", "npy"], "--format"),
        (["tokens", "a", "--format", "csv"], "--format"),
        (["tokens", "a", "-o", "x.npy"], "--format"),
        (["model", "show"], "MODEL"),
        (["model", "show", "a", "b"], "MODEL"),
        (["model", "list", "x"], "model list"),
        (["status", "x"], "status"),
    ],
    ids=" ".join,
)
def test_usage_errors_name_the_option(inlay, tiny, args, named):
    given = any(arg.startswith(("-m", "--model")) for arg in args) or args[0] != "embed" and args[0] != "tokens"
    expect(inlay(*args, *([] if given else ["-m", tiny])), 2, named)


def test_models_that_cannot_be_had(inlay, tmp_path):
    expect(inlay("embed", "a", "-m", "./no-such-folder"), 66, "no-such-folder")
    expect(inlay("embed", "a", "-m", "nobody/no-such-model"), 66, "nobody/no-such-model")
    empty = {"INLAY_HOME": str(tmp_path / "empty"), "HF_HUB_CACHE": str(tmp_path / "none")}
    result = inlay("embed", "a", **empty)
    expect(result, 66, "all-MiniLM-L6-v2")
    expect(inlay("tokens", "a", **empty), 66)
    (tmp_path / "folder").mkdir()
    assert inlay("embed", "a", "-m", str(tmp_path / "folder")).code in (65, 66)


def test_broken_model_files(inlay, tiny, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    expect(inlay("embed", "a", "-m", str(broken)), 65, "model.safetensors")
    (broken / "model.safetensors").write_bytes(weights)
    assert inlay("embed", "a", "-m", str(broken)).code == 0
    (broken / "config.json").write_text("{")
    expect(inlay("embed", "a", "-m", str(broken)), 65, "config.json")
    (broken / "config.json").write_text('{"model_type":"bogus"}')
    expect(inlay("embed", "a", "-m", str(broken)), 65, "bogus")


def test_devices_that_cannot_be_had(inlay, tiny):
    for device in ("cuda:98", "cuda:99", "onnxruntime:cpu", "mlx:gpu", "torch:cuda"):
        result = inlay("embed", "a", "-m", tiny, "--device", device, INLAY_ONNXRUNTIME_LIBRARY="/nonexistent")
        expect(result, 69, device.split(":")[0])
    expect(inlay("embed", "a", "-m", tiny, "--device", "cpu", "--disable", "cpu"), 69, "cpu")
    expect(inlay("embed", "a", "-m", tiny, "--disable", "cpu"), 69)
    assert inlay("embed", "a", "-m", tiny, "--disable", "coreml,cuda,mlx:gpu").code == 0
    expect(inlay("embed", "a", "-m", tiny, "--dtype", "fp16", "--device", "cpu"), 69, "fp16")
    expect(inlay("embed", "a", "-m", tiny, "--dtype", "int8", "--device", "ref"), 69, "int8")


def test_memory_limit_is_refused_before_loading(inlay, tiny):
    expect(inlay("embed", "a", "-m", tiny, "--memory-limit", "1MB"), 71)
    expect(inlay("tokens", "a", "-m", tiny, "--memory-limit", "1MB"), 71)
    assert inlay("embed", "a", "-m", tiny, "--memory-limit", "2GiB").code == 0


def test_status(inlay, tiny):
    status = json.loads(inlay("status", "--json").out)
    assert list(status) == ["machine", "model", "devices"]
    names = [device["device"] for device in status["devices"]]
    assert names[:2] == ["cpu", "cuda"]
    assert names[2:4] == ["mlx:gpu", "mlx:cpu"]
    assert names[4:7] == ["onnxruntime:cpu", "onnxruntime:cuda", "onnxruntime:coreml"]
    assert names[7:] == ["torch:cpu", "torch:cuda", "torch:mps", "ref"]
    fields = "device state reason remedy version dtypes missing_steps partitions fallback_ops padded_share tasks verdict recommend"
    for device in status["devices"]:
        assert set(fields.split()) <= set(device)
        assert device["state"] in ("ok", "absent", "disabled", "refused")
        assert device["state"] == "ok" or (device["reason"] and device["remedy"])
    table = inlay("status").out.decode()
    assert re.search(r"^  cpu +ok +0\.1\.0 ", table, re.MULTILINE) and "machine:" in table
    off = json.loads(inlay("status", "--json", "--disable", "cpu").out)
    assert off["devices"][0]["state"] == "disabled"
    assert json.loads(inlay("status", "--json", INLAY_DISABLE="cpu").out) == off
    assert "bert-mean" in inlay("status", "-m", tiny, "--verbose").out.decode()
    assert inlay("status", "--json", "-o", "s.json").out == b"" and json.load(open("s.json")) == status
    expect(inlay("status", "-m", "./nowhere"), 66)


def test_model_list_and_show(inlay, tiny):
    listed = json.loads(inlay("model", "list", "--json").out)
    assert listed[0]["name"] == "minilm" and listed[0]["id"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert "minilm" in inlay("model", "list").out.decode()
    shown = json.loads(inlay("model", "show", tiny).out)
    assert shown["architecture"] == "bert" and shown["pooling"] == ["mean"]
    assert json.loads(inlay("model", "show", "-m", tiny).out) == shown
    program = inlay("model", "show", tiny, "--program").out.decode()
    assert "embed(" in program and "attention(" in program and not program.startswith("{")
    expect(inlay("model", "show", "./nowhere"), 66, "nowhere")


def test_tokens_are_before_any_cut_unless_asked(inlay, tiny):
    text = "word " * 1000
    whole = inlay("tokens", "-m", tiny, text).json[0]
    assert list(whole) == ["index", "ids", "tokens", "truncated", "prompt"]
    assert whole["tokens"] == len(whole["ids"]) > 1000 and not whole["truncated"]
    cut = inlay("tokens", "-m", tiny, text, "--max-length", "10").json[0]
    assert cut["tokens"] == len(cut["ids"]) == 10 and cut["truncated"]
    assert cut["ids"][:9] == whole["ids"][:9] and cut["ids"][9] == whole["ids"][-1]
    result = inlay("tokens", "-m", tiny, "a", text, "--max-length", "10", "--truncate", "error")
    expect(result, 65, "[argument 2] ")


def test_tokens_are_what_embed_counts(inlay, with_prompts):
    for args in ([], ["--as", "query"], ["--prompt", "none"]):
        tokens = inlay("tokens", "-m", with_prompts, "the fox", *args).json[0]
        embedded = inlay("embed", "-m", with_prompts, "the fox", *args).json[0]
        assert (tokens["tokens"], tokens["prompt"]) == (embedded["tokens"], embedded["prompt"])
    expect(inlay("tokens", "-m", with_prompts, "fox", "--prompt", "bogus"), 2, "bogus")


def test_decode(inlay, tiny):
    lines = inlay("tokens", "-m", tiny, "the fox", "", "123", "-o", "ids.jsonl")
    assert lines.code == 0
    ids = [json.loads(line)["ids"] for line in open("ids.jsonl")]
    spaced = [" ".join(map(str, one)) for one in ids]
    expected = ["the fox", "", "123"]
    assert inlay("tokens", "-m", tiny, "--decode", *map(json.dumps, ids)).lines == expected
    assert inlay("tokens", "-m", tiny, "--decode", stdin="\n".join(spaced) + "\n").lines == expected
    assert inlay("tokens", "-m", tiny, "--decode", "-i", "ids.jsonl").lines == expected
    as_json = inlay("tokens", "-m", tiny, "--decode", "-i", "ids.jsonl", "--format", "jsonl").json
    assert [line["text"] for line in as_json] == expected
    assert list(as_json[0]) == ["index", "text", "tokens", "truncated", "prompt"]
    for bad in (
        "-1",
        "99999999",
        "18446744073709551616",
        "a",
        "1,2",
        "[1",
        '["a"]',
        "[1.5]",
        '{"x":[1]}',
        "[-1]",
        "1.5",
    ):
        expect(inlay("tokens", "-m", tiny, "--decode", "--", bad), 65, "argument 1")


def test_report_of_tokens(inlay, tiny):
    assert inlay("tokens", "-m", tiny, "a b", "--report", "r.json").code == 0
    report = json.load(open("r.json"))
    assert (report["device"], report["texts"]) == ("none", 1) and report["tokens"] >= 4

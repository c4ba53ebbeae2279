"""inlay --adapter and --as on a model whose tasks are adapters; tests/oracles/test_adapters.py has the numbers."""

import json

import pytest
from conftest import MODELS, ROOT, expect

MODEL = ROOT / "tests" / "data" / "heads" / "jina-adapters"
NAMES = ["retrieval.query", "retrieval.passage", "separation"]
TEXT = "the quick brown fox"


def line(inlay, *arguments):
    result = inlay("embed", "-m", MODEL, *arguments, TEXT, "--report", "r.json")
    assert result.code == 0, result.err
    return result.json[0] | {"adapter": json.load(open("r.json"))["adapter"]}


def test_the_role_takes_its_adapter(inlay):
    query, passage = line(inlay, "--as", "query"), line(inlay, "--as", "document")
    assert query == line(inlay, "--adapter", NAMES[0]) == line(inlay, "--adapter", NAMES[0], "--as", "query")
    assert passage == line(inlay, "--adapter", NAMES[1])
    assert (query["adapter"], query["prompt"]) == (NAMES[0], NAMES[0])
    assert (passage["adapter"], passage["prompt"]) == (NAMES[1], NAMES[1])


def test_every_adapter_gives_other_vectors(inlay):
    lines = [line(inlay, "--prompt", "none")] + [line(inlay, "--adapter", name, "--prompt", "none") for name in NAMES]
    assert [one["adapter"] for one in lines] == ["", *NAMES]
    assert all(one["prompt"] is None for one in lines)
    vectors = [one["embedding"] for one in lines]
    assert all(a != b for i, a in enumerate(vectors) for b in vectors[:i])


def test_tokens_have_the_prompt_of_the_adapter(inlay):
    with_prompt = inlay("tokens", "-m", MODEL, "--adapter", NAMES[0], TEXT).json[0]
    assert with_prompt["prompt"] == NAMES[0]
    assert with_prompt["tokens"] == line(inlay, "--adapter", NAMES[0])["tokens"] > line(inlay)["tokens"]


def test_show_lists_them(inlay):
    shown = json.loads(inlay("model", "show", MODEL).out)
    assert shown["adapters"] == NAMES
    assert shown["prompts"]["retrieval.query"] == "query: "


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", MODEL, "--adapter", "translation"], [*NAMES, "translation"]),
        (["-m", MODELS / "bert-mean", "--adapter", "separation"], ["jina-embeddings-v3", "bert-mean", "none"]),
        (["-m", MODEL, "--adapter", NAMES[1], "--as", "query"], ["--as", *NAMES[:2]]),
    ],
)
def test_refusals(inlay, arguments, words):
    for command in ["embed", "tokens"]:
        if command == "embed" or "--as" not in arguments:
            expect(inlay(command, *arguments, "a"), 2, *words)


def test_a_family_that_does_not_take_them(inlay, tmp_path):
    for file in (MODELS / "bert-mean").rglob("*"):
        if file.is_file():
            copy = tmp_path / "m" / file.relative_to(MODELS / "bert-mean")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps(config | {"lora_adaptations": NAMES}))
    expect(inlay("embed", "-m", tmp_path / "m", "--adapter", NAMES[2], "a"), 2, "--adapter", "bert")

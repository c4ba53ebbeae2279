"""inlay sparse and inlay rerank against what torch said of the same tiny models (tests/data/heads)."""

import json
import math

import pytest
from conftest import MODELS, ROOT, expect

HEADS = ROOT / "tests" / "data" / "heads"
EXPECTED = json.loads((HEADS / "expected.json").read_text())
TEXTS, QUERY = EXPECTED["texts"], EXPECTED["query"]
MLM, RERANKER, TWO_LABELS = HEADS / "bert-mlm", HEADS / "bert-labels-1", HEADS / "bert-labels-2"
JUDGE = HEADS / "qwen3-reranker"
PAIRS = "".join(json.dumps([QUERY, text]) + "\n" for text in TEXTS)


def close(got, expected):
    return all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5) for a, b in zip(got, expected, strict=True))


def test_sparse_lines(inlay):
    result = inlay("sparse", "-m", MLM, "--assume-splade", *TEXTS)
    assert result.code == 0
    for index, (line, expected) in enumerate(zip(result.json, EXPECTED["sparse"], strict=True)):
        assert list(line) == ["index", "indices", "values", "tokens", "truncated", "prompt"]
        assert line["index"] == index
        assert line["indices"] == expected["indices"]
        assert close(line["values"], expected["values"])


def test_sparse_keeps_the_largest(inlay):
    words = inlay("sparse", "-m", MLM, "--assume-splade", "--top-k", "3", "--words", TEXTS[0]).json[0]
    expected = EXPECTED["sparse"][0]
    largest = sorted(sorted(expected["values"], reverse=True)[:3])
    assert close(sorted(words["values"]), largest)
    assert words["indices"] == sorted(words["indices"])
    assert len(words["words"]) == 3 and all(isinstance(word, str) for word in words["words"])
    floor = largest[0]
    line = inlay("sparse", "-m", MLM, "--assume-splade", "--min-weight", str(floor - 1e-4), TEXTS[0]).json[0]
    assert line["indices"] == words["indices"]


def test_rerank_ranks(inlay):
    result = inlay("rerank", "-m", RERANKER, "--query", QUERY, *TEXTS)
    assert result.code == 0
    scores = [1 / (1 + math.exp(-logits[0])) for logits in EXPECTED["scores"][0]]
    order = sorted(range(len(TEXTS)), key=lambda i: -scores[i])
    assert [line["index"] for line in result.json] == order
    assert close([line["score"] for line in result.json], [scores[i] for i in order])
    assert [line["text"] for line in result.json] == [TEXTS[i] for i in order]
    assert list(result.json[0]) == ["index", "score", "text", "tokens", "truncated", "prompt"]
    best = inlay("rerank", "-m", RERANKER, "--query", QUERY, "--top", "1", "--raw-scores", *TEXTS).json
    assert len(best) == 1 and close([best[0]["score"]], EXPECTED["scores"][0][order[0]])


def test_rerank_pairs(inlay, tmp_path):
    (tmp_path / "pairs.jsonl").write_text(PAIRS)
    objects = "".join(json.dumps({"query": QUERY, "text": text}) + "\n" for text in TEXTS)
    (tmp_path / "objects.jsonl").write_text(objects)
    for name in ["pairs.jsonl", "objects.jsonl"]:
        result = inlay("rerank", "-m", RERANKER, "--pairs", "--raw-scores", "-i", tmp_path / name)
        assert result.code == 0
        assert [line["index"] for line in result.json] == [0, 1, 2, 3]
        assert close([line["score"] for line in result.json], [logits[0] for logits in EXPECTED["scores"][0]])
        assert list(result.json[0]) == ["index", "score", "tokens", "truncated", "prompt"]


def test_several_labels(inlay, tmp_path):
    (tmp_path / "pairs.jsonl").write_text(PAIRS)
    result = inlay("rerank", "-m", TWO_LABELS, "--pairs", "-i", tmp_path / "pairs.jsonl")
    for line, logits in zip(result.json, EXPECTED["scores"][1], strict=True):
        assert close(line["scores"], logits) and line["labels"] == ["LABEL_0", "LABEL_1"]
    expect(inlay("rerank", "-m", TWO_LABELS, "--query", QUERY, "a"), 65, "one label", "--pairs")


def test_a_language_model_judges(inlay):
    judged = EXPECTED["judged"]
    instructions = [[], ["--instruction", judged["instruction"]]]
    for arguments, tokens, logits in zip(instructions, judged["tokens"], judged["logits"], strict=True):
        result = inlay("rerank", "-m", JUDGE, "--query", QUERY, "--raw-scores", *arguments, *TEXTS)
        lines = sorted(result.json, key=lambda line: line["index"])
        assert [line["tokens"] for line in lines] == tokens
        assert close([line["score"] for line in lines], logits)
        assert [line["index"] for line in result.json] == sorted(range(len(TEXTS)), key=lambda i: -logits[i])
    expect(inlay("rerank", "-m", RERANKER, "--query", QUERY, "--instruction", "x", "a"), 2, "--instruction")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rerank", "-m", RERANKER, "a"], 2, ["--query", "--pairs"]),
        (["rerank", "-m", RERANKER, "--query", "q", "--pairs"], 2, ["both"]),
        (["rerank", "-m", RERANKER, "--pairs", "a"], 2, ["arguments"]),
        (["rerank", "-m", RERANKER, "--pairs", "--top", "1", "-i", "x"], 2, ["--top"]),
        (["rerank", "-m", RERANKER, "--query", "q", "--format", "npy", "a"], 2, ["jsonl"]),
        (["rerank", "-m", MODELS / "bert-mean", "--query", "q", "a"], 65, ["sequence classifier", "bge-reranker-base"]),
        (["sparse", "-m", MODELS / "bert-mean", "a"], 65, ["other vectors", "Splade_PP_en_v1"]),
        (["sparse", "-m", MLM, "a"], 65, ["--assume-splade"]),
        (["sparse", "-m", MLM, "--assume-splade", "--min-weight", "x", "a"], 2, ["--min-weight"]),
        (["sparse", "-m", MLM, "--assume-splade", "--format", "csv", "a"], 2, ["jsonl"]),
    ],
)
def test_refusals(inlay, arguments, code, words):
    expect(inlay(*arguments), code, *words)
    assert inlay(*arguments).out == b""


def test_bad_pairs_name_the_line(inlay, tmp_path):
    for bad in ["[1, 2]", '["a"]', '{"query": "q"}', '"text"']:
        (tmp_path / "pairs.jsonl").write_text('["q", "a"]\n' + bad + "\n")
        expect(inlay("rerank", "-m", RERANKER, "--pairs", "-i", tmp_path / "pairs.jsonl"), 65, "line 2")

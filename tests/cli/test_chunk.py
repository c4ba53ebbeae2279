"""inlay embed --chunk: what is written, how texts are cut, and what is refused. Numbers are for tests/oracles."""

import json

import pytest
from conftest import MODELS, expect

TEXT = "The river bank was steep and dark. She sat there all day! Did 東京 matter? 😀 Yes."
SENTENCES = ["The river bank was steep and dark.", "She sat there all day!", "Did 東京 matter?", "😀 Yes."]


def pieces(text, lines):
    return [text[line["begin"] : line["end"]] for line in lines]


def test_a_line_a_chunk(inlay, tiny):
    done = inlay("embed", "-m", tiny, "--chunk", "--chunk-tokens", "20", TEXT, "short", "")
    assert done.code == 0, done.err
    lines = done.json
    keys = ["index", "chunk", "begin", "end", "embedding", "whole", "tokens", "truncated", "prompt"]
    assert all(list(line) == keys for line in lines)
    assert [(line["index"], line["chunk"]) for line in lines] == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]
    assert all(len(line["embedding"]) == 32 for line in lines)
    assert all(abs(sum(v * v for v in line["embedding"]) - 1) < 1e-5 for line in lines)
    whole = inlay("embed", "-m", tiny, "--max-length", "64", TEXT, "short", "").json
    for text in range(3):
        assert sum(line["tokens"] for line in lines if line["index"] == text) == whole[text]["tokens"]
    assert "".join(pieces(TEXT, lines[:3])).replace(" ", "") == TEXT.replace(" ", "")
    assert lines[3]["embedding"] == whole[1]["embedding"] and lines[4]["embedding"] == whole[2]["embedding"]
    assert (lines[4]["begin"], lines[4]["end"]) == (0, 0)
    assert [line["whole"] for line in lines] == [False, False, False, True, True]


def test_sentences(inlay, tiny):
    arguments = ["embed", "-m", tiny, "--chunk", "--chunk-by", "sentences"]
    lines = inlay(*arguments, "--chunk-sentences", "1", TEXT).json
    assert pieces(TEXT, lines) == SENTENCES
    lines = inlay(*arguments, "--chunk-sentences", "2", "--chunk-tokens", "46", TEXT).json
    assert pieces(TEXT, lines) == [" ".join(SENTENCES[:2]), " ".join(SENTENCES[2:])]
    long = "word " * 60
    lines = inlay(*arguments, "--chunk-tokens", "10", long).json  # a sentence that is too long is cut
    assert len(lines) > 3 and lines[-1]["end"] == len(long) - 1


def test_spans_are_characters(inlay, tiny, tmp_path):
    spans = [[TEXT.index(s), TEXT.index(s) + len(s)] for s in reversed(SENTENCES)]
    items = [{"text": TEXT, "spans": spans}, {"text": TEXT, "spans": None}, TEXT, {"text": TEXT, "spans": []}]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    lines = inlay("embed", "-m", tiny, "--chunk", "-i", str(file)).json
    assert pieces(TEXT, [line for line in lines if line["index"] == 0]) == SENTENCES[::-1]
    rest = {i: [line["embedding"] for line in lines if line["index"] == i] for i in (1, 2, 3)}
    assert rest[1] == rest[2] != [] and rest[3] == []
    # Asked for another way, they are another's member.
    lines = inlay("embed", "-m", tiny, "--chunk", "--chunk-by", "tokens", "-i", str(file)).json
    assert [line["index"] for line in lines].count(0) == [line["index"] for line in lines].count(3) == len(rest[1])
    expect(inlay("embed", "-m", tiny, "--chunk", "--chunk-by", "spans", "-i", str(file)), 65, "[text 1]", "spans")
    sentences = inlay("embed", "-m", tiny, "--chunk", "--chunk-by", "sentences", "--chunk-sentences", "1", TEXT).json
    given = inlay(
        "embed",
        "-m",
        tiny,
        "--chunk",
        "--input-format",
        "jsonl",
        stdin=json.dumps({"text": TEXT, "spans": spans[::-1]}),
    ).json
    assert [line["embedding"] for line in given] == [line["embedding"] for line in sentences]


@pytest.mark.parametrize("spans", ["[[0,99]]", "[[-1,2]]", "[[3,2]]", "[[0]]", "[[0,1,2]]", "7", '[["a","b"]]'])
def test_bad_spans(inlay, tiny, spans):
    line = '{"text":"the river bank","spans":' + spans + "}\n"
    expect(inlay("embed", "-m", tiny, "--chunk", "--input-format", "jsonl", stdin=line), 65)


def test_a_span_longer_than_the_model_sees(inlay, tiny):
    line = json.dumps({"text": TEXT, "spans": [[0, 10], [0, len(TEXT)]]}) + "\n"
    arguments = ["embed", "-m", tiny, "--chunk", "--input-format", "jsonl"]
    expect(inlay(*arguments, "--max-length", "30", stdin=line), 65, "[text 0]", "30 tokens", "--max-length")


def test_other_forms(inlay, tiny, tmp_path):
    arguments = ["embed", "-m", tiny, "--chunk", "--chunk-tokens", "20", "--dimensions", "8", TEXT]
    lines = inlay(*arguments).json
    csv = inlay(*arguments, "--format", "csv").lines
    assert csv[0] == "index,chunk,begin,end," + ",".join(f"v{i}" for i in range(8))
    assert [list(map(float, row.split(","))) for row in csv[1:]] == [
        [line["index"], line["chunk"], line["begin"], line["end"], *line["embedding"]] for line in lines
    ]
    bits = inlay(*arguments, "--output-dtype", "ubinary").json
    assert [line["embedding"] for line in bits] == [
        [sum((v > 0) << (7 - i) for i, v in enumerate(line["embedding"]))] for line in lines
    ]
    expect(inlay(*arguments, "--format", "npy"), 2, "--format", "npy")
    expect(inlay(*arguments, "-o", str(tmp_path / "x.npy")), 2, "--format")
    assert not (tmp_path / "x.npy").exists()


def test_order_and_neighbours(inlay, tiny, tmp_path):
    texts = [("sentence %d of many. " % i) * (i * 7 % 23) for i in range(300)]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in texts))
    arguments = ["embed", "-m", tiny, "--chunk", "--chunk-tokens", "9", "--chunk-overlap", "2"]
    lines = inlay(*arguments, "-i", str(file)).json
    order = [(line["index"], line["chunk"]) for line in lines]
    assert order == sorted(order) and len(set(order)) == len(order)
    assert {line["index"] for line in lines} == set(range(300))
    narrow = inlay(*arguments, "-i", str(file), "--batch-tokens", "48", "--threads", "1").json
    assert narrow == lines
    alone = inlay(*arguments, texts[22]).json
    assert [line["embedding"] for line in alone] == [line["embedding"] for line in lines if line["index"] == 22]


def test_truncate_error_refuses_windows(inlay, tiny):
    arguments = ["embed", "-m", tiny, "--chunk", "--truncate", "error"]
    assert inlay(*arguments, "short").code == 0
    expect(inlay(*arguments, "short", TEXT), 65, "[text 1]", "--truncate", "--max-length", "windows")
    assert inlay(*arguments, "--max-length", "64", "--chunk-tokens", "30", "The river bank was steep.").code == 0
    right = inlay("embed", "-m", tiny, "--chunk", TEXT)
    left = inlay("embed", "-m", tiny, "--chunk", "--truncate", "left", TEXT)
    assert right.out == left.out and right.code == 0  # nothing is cut


def test_prompts(inlay, with_prompts):
    lines = inlay("embed", "-m", with_prompts, "--chunk", "--chunk-tokens", "9", "--as", "query", "the river bank").json
    assert all(line["prompt"] == "query" for line in lines)
    assert (lines[0]["begin"], lines[-1]["end"]) == (0, 14)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--chunk-tokens", "5"], "--chunk-tokens"),
        (["--chunk-overlap", "5"], "--chunk-overlap"),
        (["--chunk-by", "sentences"], "--chunk-by"),
        (["--window-overlap", "5"], "--window-overlap"),
        (["--chunk", "--chunk-sentences", "5"], "--chunk-sentences"),
        (["--chunk", "--chunk-by", "spans"], "--chunk-by"),
        (["--chunk", "--chunk-by", "spans", "--chunk-tokens", "5"], "--chunk-tokens"),
        (["--chunk", "--chunk-by", "words"], "--chunk-by"),
        (["--chunk", "--chunk-tokens", "0"], "--chunk-tokens"),
        (["--chunk", "--chunk-tokens", "47"], "--chunk-tokens"),
        (["--chunk", "--chunk-tokens", "9", "--chunk-overlap", "9"], "--chunk-overlap"),
        (["--chunk", "--window-overlap", "48"], "--window-overlap"),
        (["--chunk", "--with", "sparse"], "--chunk"),
        (["--chunk", "--pooling", "cls"], "--chunk"),
        (["--chunk", "--pooling", "mean+max"], "--chunk"),
    ],
)
def test_usage(inlay, tiny, arguments, named):
    expect(inlay("embed", "-m", tiny, *arguments, "text"), 2, f"[{named}]")


def test_a_model_of_another_pooling_needs_the_callers_word(inlay):
    model = str(MODELS / "xlm-roberta-cls")
    expect(inlay("embed", "-m", model, "--chunk", "text"), 2, "[--chunk]", "--pooling mean")
    assert inlay("embed", "-m", model, "--chunk", "--pooling", "mean", "text").code == 0


def test_chunk_is_for_embed(inlay, tiny):
    expect(inlay("sparse", "-m", tiny, "--chunk", "text"), 2, "--chunk")
    expect(inlay("model", "calibrate", tiny, "--chunk"), 2, "--chunk")

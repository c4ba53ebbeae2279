"""Late chunking against its definition in plain PyTorch: Günther et al. 2024, arXiv:2409.04701, and the authors' code,
github.com/jina-ai/late-chunking (chunked_pooling/__init__.py: chunked_pooling; chunked_pooling/mteb_chunked_eval.py:
_extend_special_tokens, _embed_with_overlap). The functions below state what those do, for one text."""

import json
import os
import random
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_lines
from sentence_transformers import SentenceTransformer

MODELS = ROOT / "tests/golden/models"
LINES = (ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()
SHORT = ["", "fox", LINES[0][:40], "東京 😀😀 naïve café", "a b"]
LONG = [" ".join(LINES[:20]), "\n\n".join(LINES[20:40]), "word " * 150]
NAMES = ["bert-mean", "roberta-mean", "camembert-mean", "mpnet-mean", "modernbert-mean", "mistral-mean", "gemma3-dense"]


class Reference:
    def __init__(self, folder):
        self.model = SentenceTransformer(str(folder), device="cpu").eval()
        self.tokenizer = self.model.tokenizer
        self.body = self.model[0].auto_model.float()

    def rows(self, ids):
        """Hidden states of one sequence, as it is."""
        with torch.no_grad():
            ids = torch.tensor([ids])
            return self.body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]

    def read(self, text, prompt=""):
        """Ids, uncut, and for the text's own tokens (begin, end) in characters, with where they stand among the ids."""
        encoded = self.tokenizer(prompt + text, return_offsets_mapping=True, return_special_tokens_mask=True)
        names = self.tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        own = []
        for row, (begin, end) in enumerate(encoded["offset_mapping"]):
            if encoded["special_tokens_mask"][row] or end <= len(prompt):
                continue
            if begin == end and len(names[row]) > 1:
                end += 1  # a space and the first bytes of a character: the reference rounds the range down to nothing
            own.append((row, max(begin - len(prompt), 0), end - len(prompt)))
        return encoded["input_ids"], own

    def finish(self, pooled):
        """What the folder's modules do with a pooled vector: Dense, Normalize."""
        features = {"sentence_embedding": torch.stack(pooled).float()}
        with torch.no_grad():
            for module in list(self.model.children())[2:]:
                features = module(features)
        return features["sentence_embedding"].numpy()


def fixed_chunks(own, size):
    """Chunker.chunk_by_tokens; but a character of several tokens is not cut where that can be helped."""
    chunks = []
    begin = 0
    while begin < len(own):
        end = last = min(begin + size, len(own))
        while end > begin and end < len(own) and own[end][1] < own[end - 1][2]:
            end -= 1
        chunks.append((begin, end if end > begin else last))
        begin = chunks[-1][1]
    return chunks or [(0, 0)]


def extend_special_tokens(chunks, before, behind):
    """The first chunk takes what stands before the text (special tokens and prompt), the last what stands behind it."""
    last = len(chunks) - 1
    return [
        (begin + before if i > 0 else 0, end + before + (behind if i == last else 0))
        for i, (begin, end) in enumerate(chunks)
    ]


def embed_with_overlap(reference, ids, window, overlap):
    """Long late chunking: windows every `window - overlap` tokens; what a window repeats is dropped."""
    if len(ids) <= window:
        return reference.rows(ids)
    parts = []
    for start in range(0, len(ids), window - overlap):
        rows = reference.rows(ids[start : start + window])
        parts.append(rows if start == 0 else rows[overlap:])
    return torch.cat(parts)


def pooled(rows, chunks):
    return [rows[begin:end].sum(dim=0) / (end - begin) for begin, end in chunks]


def check(lines, expected, spans=None):
    got = np.array([line["embedding"] for line in lines], dtype=np.float64)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    if spans is not None:
        assert [(line["begin"], line["end"]) for line in lines] == spans


def grouped(lines, count):
    return [[line for line in lines if line["index"] == i] for i in range(count)]


def character_spans(text, own, chunks):
    """Of the tokens of each chunk, without white space at the ends."""
    spans = []
    for begin, end in chunks:
        if begin == end:
            spans.append((0, 0))
            continue
        first, last = own[begin][1], own[end - 1][2]
        inside = text[first:last]
        spans.append((first + len(inside) - len(inside.lstrip()), first + len(inside.rstrip())))
    return spans


@pytest.mark.parametrize("device", ["cpu", "ref"])
@pytest.mark.parametrize("name", NAMES)
def test_texts_within_the_limit(name, device):
    reference = Reference(MODELS / name)
    for size in [1, 3, 7]:
        lines = inlay_lines("embed", MODELS / name, SHORT, ["--chunk", "--chunk-tokens", str(size), "--device", device])
        for text, mine in zip(SHORT, grouped(lines, len(SHORT)), strict=True):
            ids, own = reference.read(text)
            before = own[0][0] if own else len(ids)
            behind = len(ids) - 1 - own[-1][0] if own else 0
            chunks = fixed_chunks(own, size)
            extended = extend_special_tokens(chunks, before, behind)
            check(mine, reference.finish(pooled(reference.rows(ids), extended)), character_spans(text, own, chunks))
            assert all(line["whole"] and not line["truncated"] for line in mine)
            assert [line["tokens"] for line in mine] == [end - begin for begin, end in extended]


def by_characters(own, lines):
    """Chunks of tokens, from the characters that the lines name: each token is where its last character is."""
    return [
        (
            sum(max(begin, end - 1) < line["begin"] for _, begin, end in own),
            sum(max(begin, end - 1) < line["end"] for _, begin, end in own),
        )
        for line in lines
    ]


@pytest.mark.parametrize("name", ["bert-mean", "mpnet-mean"])
def test_windows_are_the_published_ones_where_chunks_end_with_them(name):
    reference = Reference(MODELS / name)
    window, size, overlap = 46, 5, 16  # one token before the text, then chunks to the end of each window
    arguments = ["--max-length", str(window), "--chunk-tokens", str(size), "--window-overlap", str(overlap)]
    lines = inlay_lines("embed", MODELS / name, LONG, ["--chunk", *arguments])
    for text, mine in zip(LONG, grouped(lines, len(LONG)), strict=True):
        ids, own = reference.read(text)
        assert own[0][0] == 1 and len(ids) > 3 * window
        chunks = fixed_chunks(own, size)
        assert chunks == [(i, min(i + size, len(own))) for i in range(0, len(own), size)]
        rows = embed_with_overlap(reference, ids, window, overlap)
        assert len(rows) == len(ids)
        assert len(mine) == len(chunks) > 3 * window // size
        # The last chunk has [SEP] too, which may be past the end of the published window.
        extended = extend_special_tokens(chunks, 1, 1)[:-1]
        check(mine[:-1], reference.finish(pooled(rows, extended)), character_spans(text, own, chunks[:-1]))
        assert not any(line["whole"] for line in mine)


def windows_of(chunks, length, window, overlap):
    """Which tokens each chunk is pooled from: the first window that holds it whole, where a window begins `overlap`
    tokens before the first chunk that none before it holds."""
    if length <= window:
        return [(0, length)] * len(chunks)
    found = [None] * len(chunks)
    for i in sorted(range(len(chunks)), key=lambda i: chunks[i][0]):
        begin, end = chunks[i]
        if begin == end or found[i]:
            continue
        start = max(0, begin - overlap, end - window)
        for j, (b, e) in enumerate(chunks):
            if not found[j] and b < e and b >= start and e <= start + window:
                found[j] = (start, min(start + window, length))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_spans_of_the_caller(name):
    """Any spans, in any order, of long texts: a chunk has the tokens whose last character it holds."""
    reference = Reference(MODELS / name)
    draw = random.Random(7)
    window, overlap = 40, 9
    items = []
    for text in SHORT + LONG:
        spans = [[0, min(12, len(text))]]
        for _ in range(25):
            begin = draw.randint(0, len(text))
            spans.append([begin, min(len(text), begin + draw.randint(0, 14))])
        items.append({"text": text, "spans": spans})
    lines = inlay_lines(
        "embed", MODELS / name, items, ["--chunk", "--max-length", str(window), "--window-overlap", str(overlap)]
    )
    for item, mine in zip(items, grouped(lines, len(items)), strict=True):
        assert [[line["begin"], line["end"]] for line in mine] == item["spans"]
        ids, own = reference.read(item["text"])
        chunks = []
        for begin, end in by_characters(own, mine):
            rows = (own[begin][0] if begin < len(own) else len(ids), own[end - 1][0] + 1 if end > begin else 0)
            if end <= begin and own:
                rows = (0, 0)
            else:
                rows = (0 if begin == 0 else rows[0], len(ids) if end == len(own) else rows[1])
            chunks.append(rows)
        assert [line["tokens"] for line in mine] == [end - begin for begin, end in chunks]
        hidden = {}
        for line, (begin, end), where in zip(mine, chunks, windows_of(chunks, len(ids), window, overlap), strict=True):
            if begin == end:
                assert not any(line["embedding"])
                continue
            if where not in hidden:
                hidden[where] = reference.rows(ids[where[0] : where[1]])
            part = hidden[where][begin - where[0] : end - where[0]]
            check([line], reference.finish([part.sum(dim=0) / len(part)]))


@pytest.mark.parametrize("include", [True, False])
def test_prompts_go_with_the_first_chunk_unless_pooling_leaves_them_out(tmp_path, include):
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "bert-prompt", folder)
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    pooling["include_prompt"] = include
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    reference = Reference(folder)
    prompt = reference.model.prompts["query"]
    assert prompt
    texts = [LINES[0], "fox den", ""]
    lines = inlay_lines("embed", folder, texts, ["--chunk", "--chunk-tokens", "6", "--as", "query"])
    for text, mine in zip(texts, grouped(lines, len(texts)), strict=True):
        ids, own = reference.read(text, prompt)
        before = own[0][0] if own else len(ids)
        chunks = extend_special_tokens(fixed_chunks(own, 6), before, 1 if own else 0)
        if not include:
            left_out = len(reference.tokenizer(prompt)["input_ids"]) - 1
            chunks[0] = (left_out, chunks[0][1])
        check(mine, reference.finish(pooled(reference.rows(ids), chunks)))
        assert all(line["prompt"] == "query" for line in mine)


def test_real_weights():
    folder = os.environ.get("INLAY_MODEL_DIR")
    if not folder:
        pytest.skip("the default model is not on this machine")
    reference = Reference(folder)
    text = "\n".join(LINES)
    assert len(reference.read(text)[0]) > 300
    for length in [512, 256]:
        arguments = ["--chunk", "--chunk-by", "sentences", "--max-length", str(length), "--chunk-tokens", "60"]
        mine = inlay_lines("embed", folder, [text], arguments)
        ids, own = reference.read(text)
        chunks = [(own[b][0], own[e - 1][0] + 1) for b, e in by_characters(own, mine)]
        chunks[0] = (0, chunks[0][1])
        chunks[-1] = (chunks[-1][0], len(ids))
        assert all(b == a for (_, a), (b, _) in zip(chunks, chunks[1:], strict=False))  # nothing left out
        expected = []
        for (begin, end), (first, last) in zip(chunks, windows_of(chunks, len(ids), length, length // 4), strict=True):
            part = reference.rows(ids[first:last])[begin - first : end - first]
            expected.append(part.mean(dim=0))
        expected = reference.finish(expected)
        check(mine, expected)
        cosines = [np.dot(line["embedding"], row) for line, row in zip(mine, expected, strict=True)]
        assert min(cosines) >= 0.999999

"""inlay late, inlay embed --with and inlay rerank on late-interaction folders, against what torch said of the same tiny
models (tests/data/heads)."""

import json
import math
import shutil

import pytest
from conftest import MODELS, ROOT, expect

HEADS = ROOT / "tests" / "data" / "heads"
EXPECTED = json.loads((HEADS / "expected_late.json").read_text())
PLAIN = json.loads((HEADS / "expected.json").read_text())
TEXTS, QUERY = PLAIN["texts"], PLAIN["query"]
COLBERT, BGE_M3, EMBEDDER = HEADS / "colbert", HEADS / "bge-m3", MODELS / "bert-mean"
QUERY_TOKENS, DOCUMENT_TOKENS = 11, 17
END = ["tokens", "truncated", "prompt"]


def same(got, expected):
    assert len(got) == len(expected)
    for row, wanted in zip(got, expected, strict=True):
        assert all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5) for a, b in zip(row, wanted, strict=True))


def max_sim(query, document):
    return sum(max(sum(a * b for a, b in zip(q, d, strict=True)) for d in document) for q in query)


def test_documents_and_queries(inlay):
    documents = inlay("late", "-m", COLBERT, *TEXTS).json
    for index, line in enumerate(documents):
        assert list(line) == ["index", "vectors", *END]
        assert line["index"] == index and line["prompt"] is None
        same(line["vectors"], EXPECTED["document"][index])
        assert line["tokens"] <= DOCUMENT_TOKENS
    assert documents[-1]["truncated"] and not documents[0]["truncated"]
    # Punctuation has no vector; the tokens were read all the same.
    assert len(documents[2]["vectors"]) < documents[2]["tokens"]
    assert inlay("late", "-m", COLBERT, "--as", "document", *TEXTS).json == documents
    query = inlay("late", "-m", COLBERT, "--as", "query", QUERY).json[0]
    same(query["vectors"], EXPECTED["query"][0])
    assert query["tokens"] == len(query["vectors"]) == QUERY_TOKENS


def test_max_length_is_for_documents(inlay):
    line = inlay("late", "-m", COLBERT, "--max-length", "30", TEXTS[3]).json[0]
    assert line["tokens"] > DOCUMENT_TOKENS and not line["truncated"]
    line = inlay("late", "-m", COLBERT, "--max-length", "7", TEXTS[3]).json[0]
    assert line["tokens"] == 7 and line["truncated"]
    line = inlay("late", "-m", COLBERT, "--max-length", "30", "--as", "query", TEXTS[3]).json[0]
    assert line["tokens"] == QUERY_TOKENS and line["truncated"]
    expect(inlay("late", "-m", COLBERT, "--truncate", "error", *TEXTS), 65, "text 3", "at most 17 tokens")


def test_rerank_is_max_sim(inlay, tmp_path):
    scores = [max_sim(EXPECTED["query"][0], document) for document in EXPECTED["document"]]
    order = sorted(range(len(TEXTS)), key=lambda i: -scores[i])
    lines = inlay("rerank", "-m", COLBERT, "--query", QUERY, *TEXTS).json
    assert [line["index"] for line in lines] == order
    assert list(lines[0]) == ["index", "score", "text", *END]
    same([[line["score"]] for line in lines], [[scores[i]] for i in order])
    pairs = "".join(json.dumps([QUERY, text]) + "\n" for text in TEXTS)
    lines = inlay("rerank", "-m", COLBERT, "--pairs", stdin=pairs).json
    same([[line["score"]] for line in lines], [[score] for score in scores])
    assert inlay("rerank", "-m", COLBERT, "--query", QUERY, "--quiet", stdin="").json == []


def test_bge_m3_gives_three_outputs(inlay):
    lines = inlay("embed", "-m", BGE_M3, "--with", "sparse,late", *TEXTS).json
    for line, expected in zip(lines, EXPECTED["bge-m3"], strict=True):
        assert list(line) == ["index", "embedding", "indices", "values", "vectors", *END]
        same([line["embedding"]], [expected["embedding"]])
        assert line["indices"] == [index for index, _ in expected["lexical"]]
        same([line["values"]], [[value for _, value in expected["lexical"]]])
        same(line["vectors"], expected["vectors"])
    for command, names in [("embed", ["embedding"]), ("sparse", ["indices", "values"]), ("late", ["vectors"])]:
        for line, alone in zip(lines, inlay(command, "-m", BGE_M3, *TEXTS).json, strict=True):
            assert list(alone) == ["index", *names, *END]
            assert all(alone[name] == line[name] for name in alone)
    top = inlay("sparse", "-m", BGE_M3, "--top-k", "2", "--words", TEXTS[3]).json[0]
    assert len(top["indices"]) == len(top["words"]) == 2
    assert sorted(top["values"]) == sorted(lines[3]["values"])[-2:]


def test_bge_m3_ranks_by_the_mean(inlay):
    document = EXPECTED["bge-m3"]
    line = inlay("rerank", "-m", BGE_M3, "--query", TEXTS[0], TEXTS[3]).json[0]
    query = document[0]["vectors"]
    assert math.isclose(line["score"], max_sim(query, document[3]["vectors"]) / len(query), abs_tol=1e-5)


def modules_folder(path, *modules, collection=None, **sentence):
    """An embedder's checkpoint as a MultiVectorEncoder of these modules, (type, config) each."""
    shutil.copytree(EMBEDDER, path)
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]
    for i, (name, config) in enumerate(modules, 1):
        place = path / f"{i}_{name}"
        place.mkdir(exist_ok=True)
        (place / "config.json").write_text(json.dumps(config))
        listed.append({"idx": i, "name": str(i), "path": place.name, "type": f"sentence_transformers.x.{name}"})
    (path / "modules.json").write_text(json.dumps(listed))
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32} | sentence))
    collection = collection or {"model_type": "MultiVectorEncoder", "prompts": {"query": "fox ", "document": ""}}
    (path / "config_sentence_transformers.json").write_text(json.dumps(collection))
    return path


TOKENS = {"module_input_name": "token_embeddings"}


def test_modules(inlay, tmp_path):
    expansion = {"strategy": "min", "attend": True, "length": 9}
    mask = ("MultiVectorMask", {"skiplist_words": [","]})
    folder = modules_folder(tmp_path / "m", mask, ("Normalize", TOKENS), query_expansion=expansion, query_length=12)
    document = inlay("late", "-m", folder, "fox, fox").json[0]
    assert document["prompt"] == "document"
    assert len(document["vectors"]) == document["tokens"] - 1
    assert all(math.isclose(sum(x * x for x in row), 1, rel_tol=1e-5) for row in document["vectors"])
    short, long = inlay("late", "-m", folder, "--as", "query", "a", "word " * 30).json
    assert (short["prompt"], short["tokens"], len(short["vectors"])) == ("query", 9, 9)
    assert (long["tokens"], long["truncated"]) == (12, True)
    # Without its module nobody masks, and without Normalize nobody normalizes.
    bare = modules_folder(tmp_path / "bare", query_expansion=expansion)
    line = inlay("late", "-m", bare, "fox, fox").json[0]
    assert len(line["vectors"]) == line["tokens"]
    assert any(abs(sum(x * x for x in row) - 1) > 1e-3 for row in line["vectors"])
    shown = json.loads(inlay("model", "show", folder).out)
    assert shown["task"] == "late" and shown["dim"] == len(line["vectors"][0])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["late", "-m", EMBEDDER, "a"], 65, ["modules Transformer Pooling", "colbert_linear.pt", "answerai-colbert"]),
        (["late", "-m", HEADS / "bert-mlm", "a"], 65, ["BertForMaskedLM", "answerai-colbert-small-v1"]),
        (["embed", "-m", COLBERT, "a"], 65, ["dense vectors", "made for late", "inlay late"]),
        (["embed", "-m", COLBERT, "--with", "late", "a"], 65, ["made for late"]),
        (["sparse", "-m", COLBERT, "a"], 65, ["SPLADE"]),
        (["embed", "-m", EMBEDDER, "--with", "sparse", "a"], 65, ["sparse_linear.pt", "BAAI/bge-m3"]),
        (["embed", "-m", EMBEDDER, "--with", "late", "a"], 65, ["colbert_linear.pt", "BAAI/bge-m3"]),
        (["embed", "-m", BGE_M3, "--with", "dense", "a"], 2, ["--with", "sparse, late"]),
        (["embed", "-m", BGE_M3, "--with", "late", "--format", "npy", "a"], 2, ["jsonl"]),
        (["embed", "-m", BGE_M3, "--with", "late", "--output-dtype", "binary", "a"], 2, ["--output-dtype", "--with"]),
        (["late", "-m", COLBERT, "--format", "npy", "a"], 2, ["jsonl"]),
        (["late", "-m", COLBERT, "--prompt", "passage", "a"], 2, ["--prompt", "it has none"]),
        (["rerank", "-m", COLBERT, "--query", "q", "--as", "query", "a"], 2, ["--as", "late-interaction"]),
        (["rerank", "-m", COLBERT, "--query", "q", "--instruction", "i", "a"], 2, ["--instruction"]),
    ],
)
def test_refusals(inlay, arguments, code, words):
    expect(inlay(*arguments), code, *words)
    assert inlay(*arguments).out == b""


def change(folder, name, **members):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | members))


def test_broken_folders(inlay, tmp_path):
    def refused(folder, command, code, *words):
        expect(inlay(command, "-m", folder, "a"), code, *words)
        shutil.rmtree(folder)

    folder = tmp_path / "m"
    shutil.copytree(BGE_M3, folder)
    (folder / "colbert_linear.pt").unlink()
    refused(folder, "late", 65, "colbert_linear.pt", "BAAI/bge-m3")
    shutil.copytree(BGE_M3, folder)
    shutil.copy(folder / "colbert_linear.pt", folder / "sparse_linear.pt")
    refused(folder, "sparse", 65, "one weight a token", "32")
    shutil.copytree(BGE_M3, folder)
    (folder / "sparse_linear.pt").write_bytes(b"no zip")
    refused(folder, "sparse", 65, "sparse_linear.pt")
    for members, words in [
        ({"dim": 7}, ["artifact.metadata", "/dim", "linear.weight"]),
        ({"similarity": "l2"}, ["artifact.metadata", "/similarity", "l2"]),
        ({"doc_token_id": "[no such marker]"}, ["artifact.metadata", "/doc_token_id", "[no such marker]"]),
        ({"query_maxlen": 0}, ["artifact.metadata", "/query_maxlen"]),
    ]:
        shutil.copytree(COLBERT, folder)
        change(folder, "artifact.metadata", **members)
        refused(folder, "late", 65, *words)
    shutil.copytree(HEADS / "bert-mlm", folder)
    change(folder, "config.json", architectures=["HF_ColBERT"])
    markers = {"query_token_id": "[CLS]", "doc_token_id": "[SEP]"}
    (folder / "artifact.metadata").write_text(json.dumps(markers))
    refused(folder, "late", 65, "linear.weight", "HF_ColBERT")
    for modules, sentence, words in [
        ([("HierarchicalTokenPooling", {"pool_factor": 2})], {}, ["HierarchicalTokenPooling", "MultiVectorMask"]),
        ([], {"query_expansion": {"strategy": "most", "length": 4}}, ["strategy", "most"]),
        ([], {"query_expansion": {"strategy": "min"}}, ["length"]),
        ([], {"query_expansion": {"strategy": "min", "length": 4, "token": "[none]"}}, ["token", "[none]"]),
    ]:
        refused(modules_folder(folder, *modules, **sentence), "late", 65, *words)

"""docs/conventions.md, row by row where a tiny model can show it: what Inlay does by default and with the switch, against
sentence-transformers and against fastembed's formulas (0.7.4), written here with the place that each is from.
"""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_lines, inlay_vectors

MODELS = ROOT / "tests/golden/models"
TEXTS = ["", "the quick brown fox", "river bank, river bank", "the quick brown fox", "word " * 60]


@pytest.fixture
def load():
    from sentence_transformers import SentenceTransformer

    return lambda folder: SentenceTransformer(str(folder), device="cpu")


def edit(path, **members):
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def copy(name, tmp_path):
    shutil.copytree(MODELS / name, tmp_path / name)
    return tmp_path / name


def rows(model, text, limit=48):
    """The last hidden states of one text, [tokens, width]: what an ONNX export of the body gives fastembed."""
    inputs = model.tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
    with torch.no_grad():
        return model[0].model(**inputs).last_hidden_state[0].numpy()


def unit(vectors):
    """fastembed/common/utils.py, normalize()."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def close(got, expected):
    return np.abs(np.asarray(got) - np.asarray(expected)).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", ["bert-mean", "bert-several", "bert-cased-cls"])
def test_pooling_and_normalisation(load, name):
    model = load(MODELS / name)
    assert close(inlay_vectors(MODELS / name, TEXTS, []), model.encode(TEXTS))
    assert close(inlay_vectors(MODELS / name, TEXTS, ["--normalize"]), model.encode(TEXTS, normalize_embeddings=True))
    hidden = [rows(model, text) for text in TEXTS]
    mean, first = np.stack([h.mean(0) for h in hidden]), np.stack([h[0] for h in hidden])
    # text/onnx_embedding.py; text/pooled_normalized_embedding.py; text/pooled_embedding.py
    assert close(inlay_vectors(MODELS / name, TEXTS, ["--pooling", "cls", "--normalize"]), unit(first))
    assert close(inlay_vectors(MODELS / name, TEXTS, ["--pooling", "mean", "--normalize"]), unit(mean))
    assert close(inlay_vectors(MODELS / name, TEXTS, ["--pooling", "mean", "--no-normalize"]), mean)


def test_dimensions(load):
    """truncate_dim cuts behind the Normalize module and leaves the length; here the cut vector has length 1."""
    cut = load(MODELS / "bert-mean").encode(TEXTS, truncate_dim=8)
    assert close(inlay_vectors(MODELS / "bert-mean", TEXTS, ["--dimensions", "8"]), unit(cut))
    assert close(inlay_vectors(MODELS / "bert-mean", TEXTS, [])[:, :8], cut)
    assert np.abs(unit(cut) - cut).max() > 0.1
    again = load(MODELS / "bert-mean").encode(TEXTS, truncate_dim=8, normalize_embeddings=True)
    assert close(inlay_vectors(MODELS / "bert-mean", TEXTS, ["--dimensions", "8"]), again)


def test_the_length_limit(load, tmp_path):
    """sentence_bert_config.json's max_seq_length; in fastembed the tokenizer's smaller limit
    (common/preprocessor_utils.py, load_tokenizer())."""
    folder = copy("bert-mean", tmp_path)
    edit(folder / "sentence_bert_config.json", max_seq_length=16)
    edit(folder / "tokenizer_config.json", model_max_length=40, max_length=24)
    model = load(folder)
    lines = inlay_lines("embed", folder, TEXTS, [])
    assert (lines[-1]["tokens"], lines[-1]["truncated"]) == (16, True)
    assert close([line["embedding"] for line in lines], model.encode(TEXTS))
    fast = min(40, 24)
    lines = inlay_lines("embed", folder, TEXTS, ["--max-length", str(fast)])
    assert lines[-1]["tokens"] == fast
    assert close([line["embedding"] for line in lines], unit(np.stack([rows(model, t, fast).mean(0) for t in TEXTS])))


def test_prompts(load, tmp_path):
    folder = copy("bert-prompt", tmp_path)
    edit(folder / "config_sentence_transformers.json", default_prompt_name="passage")
    model = load(folder)
    plain = unit(np.stack([rows(model, text).mean(0) for text in TEXTS]))
    assert close(inlay_vectors(folder, TEXTS, []), model.encode(TEXTS))  # the default prompt
    assert close(inlay_vectors(folder, TEXTS, ["--as", "query"]), model.encode_query(TEXTS))
    assert close(inlay_vectors(folder, TEXTS, ["--as", "document"]), model.encode_document(TEXTS))
    assert close(inlay_vectors(folder, TEXTS, ["--prompt", "query"]), model.encode(TEXTS, prompt_name="query"))
    # text/text_embedding_base.py: query_embed() and passage_embed() add nothing.
    assert close(inlay_vectors(folder, TEXTS, ["--prompt", "none"]), plain)
    edit(folder / "config_sentence_transformers.json", prompts={"passage": "text: "}, default_prompt_name="passage")
    model = load(folder)
    # A role without a prompt does not fall back to the default one.
    assert close(inlay_vectors(folder, TEXTS, ["--as", "query"]), model.encode_query(TEXTS))
    assert close(inlay_vectors(folder, TEXTS, ["--as", "query"]), plain)


def test_prompts_of_known_models(load, tmp_path, monkeypatch):
    """A folder that carries no prompts, under a name whose card states one."""
    name = "BAAI/bge-small-en-v1.5"
    folder = tmp_path / "models" / name
    shutil.copytree(MODELS / "bert-mean", folder)
    edit(folder / "config_sentence_transformers.json", prompts={})
    monkeypatch.setitem(os.environ, "INLAY_HOME", str(tmp_path))
    model = load(folder)
    prompt = "Represent this sentence for searching relevant passages: "
    lines = inlay_lines("embed", name, TEXTS, ["--as", "query"])
    assert lines[0]["prompt"] == "query"
    assert close([line["embedding"] for line in lines], model.encode(TEXTS, prompt=prompt))
    assert close(inlay_vectors(name, TEXTS, ["--as", "query", "--prompt", "none"]), model.encode_query(TEXTS))
    assert close(inlay_vectors(name, TEXTS, []), model.encode(TEXTS))


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_quantisation(precision, tmp_path):
    from sentence_transformers.util.quantization import quantize_embeddings

    folder = MODELS / "bert-mean"
    floats = inlay_vectors(folder, TEXTS, [])
    arguments = ["--output-dtype", precision]
    if precision.endswith("int8"):
        ranges = {"minimum": floats.min(0).tolist(), "maximum": floats.max(0).tolist()}
        calibration = tmp_path / "ranges.json"
        calibration.write_text(json.dumps({"model": "m", "dim": floats.shape[1], "count": len(TEXTS)} | ranges))
        arguments += ["--calibration", str(calibration)]
        # The ranges of the batch itself are what sentence-transformers takes when it is given none.
        code, message = inlay_lines("embed", folder, TEXTS, ["--output-dtype", precision], expect_error=True)
        assert code == 2 and "--calibration" in message
    got = inlay_vectors(folder, TEXTS, arguments)
    expected = quantize_embeddings(floats, precision=precision)
    assert got.dtype == expected.dtype and (got == expected).all()


def test_batches_and_duplicates(load):
    """sentence-transformers and fastembed pad the texts of a batch: the last bits of a vector depend on its neighbours."""
    folder = MODELS / "bert-mean"
    together = inlay_vectors(folder, TEXTS, [])
    alone = np.concatenate([inlay_vectors(folder, [text], []) for text in TEXTS])
    assert (together == alone).all() and (together[1] == together[3]).all()
    assert close(together, load(folder).encode(TEXTS, batch_size=2))


def test_splade(tmp_path):
    """sparse/splade_pp.py, _post_process_onnx_output(): special tokens count, as in SpladePooling."""
    from test_tasks import BERT, make

    tokenizer, model = make(tmp_path, BERT, "Bert", "ForMaskedLM")
    lines = inlay_lines("sparse", tmp_path, TEXTS, ["--assume-splade"])
    for text, line in zip(TEXTS, lines, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt", return_token_type_ids=True)
        with torch.no_grad():
            logits = model(**inputs).logits[0].numpy()
        scores = np.log(1 + np.maximum(logits, 0)).max(0)
        got = np.zeros_like(scores)
        got[line["indices"]] = line["values"]
        assert close(got, scores)


@pytest.mark.parametrize("labels", [1, 3])
def test_scores(tmp_path, labels):
    """rerank/cross_encoder/onnx_text_model.py, onnx_embed_pairs(): the first label's logit."""
    from sentence_transformers import CrossEncoder
    from test_tasks import BERT, make

    tokenizer, model = make(tmp_path, BERT, "Bert", "ForSequenceClassification", num_labels=labels)
    encoder = CrossEncoder(str(tmp_path), device="cpu")
    pairs = [("river bank", text) for text in TEXTS]
    default = inlay_lines("rerank", tmp_path, pairs, ["--pairs"])
    raw = inlay_lines("rerank", tmp_path, pairs, ["--pairs", "--raw-scores"])
    expected = encoder.predict(pairs)
    for pair, line, logit, score in zip(pairs, default, raw, expected, strict=True):
        inputs = tokenizer([list(pair)], truncation="longest_first", max_length=64, return_tensors="pt")
        with torch.no_grad():
            first = model(**inputs).logits[0, 0].item()
        assert close(line["score"] if labels == 1 else line["scores"], score)
        assert close(logit["score"] if labels == 1 else logit["scores"][0], first)

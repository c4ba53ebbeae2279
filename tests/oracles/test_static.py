"""Tables of token vectors: sentence-transformers' StaticEmbedding folders, and model2vec's with and without
modules.json, against sentence-transformers and a plain statement of model2vec's encode."""

import json
import random

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_vectors
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer

TOKENIZER = ROOT / "tests/golden/models/bert-mean/tokenizer.json"
TEXTS = ["", "fox", "The quick brown fox.", "unknown ꙮ𐍈 signs", "東京 naïve 123", "[CLS] in a text", "many words " * 60]


def compare(folder, expected, arguments=()):
    for device in ["ref", "cpu"]:
        got = inlay_vectors(folder, TEXTS, ["--device", device, *arguments])
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6, err_msg=device)


def table(seed, rows, width=24):
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("truncation", [None, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_static_embedding(tmp_path, normalize, truncation, dtype):
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    if truncation:
        tokenizer.enable_truncation(truncation)
    weights = torch.from_numpy(table(truncation or 0, tokenizer.get_vocab_size())).to(dtype)
    modules = [StaticEmbedding(tokenizer, embedding_weights=weights)] + ([Normalize()] if normalize else [])
    SentenceTransformer(modules=modules, prompts={"query": "find: "}, device="cpu").save(
        str(tmp_path), create_model_card=False
    )
    model = SentenceTransformer(str(tmp_path), device="cpu").float()
    compare(tmp_path, model.encode(TEXTS, prompt=""))
    compare(tmp_path, model.encode(TEXTS, prompt_name="query"), ["--prompt", "query"])


def save_model2vec(folder, config, modules, seed):
    """A table with fewer rows than tokens: a mapping and weights, each of them or both."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokens = tokenizer.get_vocab_size()
    rng = random.Random(seed)
    rows = 40
    tensors = {"embeddings": table(seed, rows if seed != 1 else tokens)}
    if seed != 1:
        tensors["mapping"] = np.array([rng.randrange(rows) for _ in range(tokens)], dtype=np.int64)
    if seed != 2:
        tensors["weights"] = np.abs(table(seed + 9, tokens, 1))[:, 0].astype(np.float64 if seed == 3 else np.float32)
    save_file(tensors, folder / "model.safetensors")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 5}))
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", **config}))
    if modules:
        names = ["models.StaticEmbedding"] + (["models.Normalize"] if config["normalize"] else [])
        places = ["."] + ["1_Normalize"] * (len(names) - 1)
        entries = [
            {"idx": i, "name": str(i), "path": place, "type": f"sentence_transformers.{name}"}
            for i, (name, place) in enumerate(zip(names, places))
        ]
        (folder / "modules.json").write_text(json.dumps(entries))
    return tokenizer, tensors


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_model2vec_with_modules(tmp_path, seed):
    save_model2vec(tmp_path, {"normalize": seed != 2}, True, seed)
    compare(tmp_path, SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS))


@pytest.mark.parametrize(
    "config", [{}, {"normalize": True}, {"max_length": 9}, {"max_length": None, "normalize": False}]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_model2vec_alone(tmp_path, config, seed):
    """model2vec 0.10, StaticModel.encode: no special tokens, max_length tokens (512), unknown ones left out, the mean
    of weighted rows. (It also cuts the characters of texts of about max_length tokens before: not done.)"""
    tokenizer, tensors = save_model2vec(tmp_path, config, False, seed)
    unknown = tokenizer.token_to_id("[UNK]")
    length = config.get("max_length", 512)
    if length:
        tokenizer.enable_truncation(length)
    expected = []
    for text in TEXTS:
        ids = [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != unknown]
        rows = tensors["embeddings"][tensors["mapping"][ids] if "mapping" in tensors else ids].astype(np.float64)
        if "weights" in tensors:
            rows = rows * tensors["weights"][ids][:, None]
        mean = rows.mean(axis=0) if ids else np.zeros(rows.shape[1])
        expected.append(mean / (np.linalg.norm(mean) + 1e-32) if config.get("normalize") else mean)
    compare(tmp_path, np.stack(expected))


def test_a_mapping_beyond_the_table_is_refused(tmp_path):
    _, tensors = save_model2vec(tmp_path, {}, False, 2)
    tensors["mapping"][3] = 40
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(AssertionError, match="expected rows below 40 of the embeddings, got 40"):
        inlay_vectors(tmp_path, TEXTS, ["--device", "cpu"])

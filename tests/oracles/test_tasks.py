"""Sparse vectors and relevance scores of tiny random models against transformers and sentence-transformers."""

import json

import numpy as np
import pytest
import torch
import transformers
from conftest import ROOT, inlay_lines, model_path
from families import shake
from transformers import PreTrainedTokenizerFast

TEXTS = ["", "fox", *(ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()[:60], "word " * 90]
TINY = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.4)
BERT = "bert-mean"
ROBERTA = "roberta-mean"


def make(folder, source, family, head, **config):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(ROOT / "tests/golden/models" / source)
    config = getattr(transformers, family + "Config")(
        vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=tokenizer.pad_token_id, **TINY, **config
    )
    torch.manual_seed(3)
    model = shake(getattr(transformers, family + head)(config).eval())
    with torch.no_grad():  # a bias apart from zero everywhere, or most weights would vanish
        for name, parameter in model.named_parameters():
            if name.endswith(("predictions.bias", "lm_head.bias", "decoder.bias")):
                parameter.add_(torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return tokenizer, model


def splade(tokenizer, model, text, limit):
    inputs = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt", return_token_type_ids=True)
    if model.config.model_type != "bert":
        inputs.pop("token_type_ids")
    with torch.no_grad():
        return torch.log1p(torch.relu(model.double()(**inputs).logits))[0].double()


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize(("source", "family"), [(BERT, "Bert"), (ROBERTA, "Roberta")])
def test_masked_language_models(tmp_path, source, family, device):
    tokenizer, model = make(tmp_path, source, family, "ForMaskedLM")
    lines = inlay_lines("sparse", tmp_path, TEXTS, ["--assume-splade", "--device", device, "--words"])
    for text, line in zip(TEXTS, lines, strict=True):
        expected = splade(tokenizer, model, text, 64).max(0).values.numpy()
        got = np.zeros_like(expected)
        got[line["indices"]] = line["values"]
        assert line["indices"] == sorted(line["indices"])
        assert np.abs(got - expected).max() <= 1e-5
        assert line["words"] == tokenizer.convert_ids_to_tokens(line["indices"])


@pytest.mark.parametrize("strategy", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_splade_folders(tmp_path, strategy, activation):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

    make(tmp_path / "raw", BERT, "Bert", "ForMaskedLM")
    encoder = SparseEncoder(
        modules=[
            MLMTransformer(str(tmp_path / "raw")),
            SpladePooling(pooling_strategy=strategy, activation_function=activation),
        ],
        device="cpu",
    )
    encoder.save(str(tmp_path / "folder"))
    lines = inlay_lines("sparse", tmp_path / "folder", TEXTS, [])
    for text, line in zip(TEXTS, lines, strict=True):
        expected = encoder.encode([text], convert_to_sparse_tensor=False)[0].numpy()
        got = np.zeros_like(expected)
        got[line["indices"]] = line["values"]
        assert np.abs(got - expected).max() <= 1e-5 * max(1, expected.max())


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize(
    ("source", "family", "names"),
    [
        (BERT, "Bert", None),
        (BERT, "Bert", ["input_ids", "token_type_ids", "attention_mask"]),
        (ROBERTA, "Roberta", None),
    ],
)
def test_cross_encoders(tmp_path, source, family, names, labels, device):
    from sentence_transformers import CrossEncoder

    make(tmp_path, source, family, "ForSequenceClassification", num_labels=labels)
    if names:
        file = tmp_path / "tokenizer_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model_input_names": names}))
    encoder = CrossEncoder(str(tmp_path), device="cpu")
    pairs = [[TEXTS[i % 7], text] for i, text in enumerate(TEXTS)] + [["word " * 50, "fox " * 70]]
    for arguments, activation in [([], None), (["--raw-scores"], torch.nn.Identity())]:
        lines = inlay_lines("rerank", tmp_path, pairs, ["--pairs", "--device", device, *arguments])
        for pair, line in zip(pairs, lines, strict=True):
            expected = np.atleast_1d(encoder.predict([pair], activation_fn=activation)[0])
            got = np.array(line["scores"] if labels > 1 else [line["score"]])
            assert np.abs(got - expected).max() <= 1e-5 * max(1, np.abs(expected).max()), pair
            if labels > 1:
                assert line["labels"] == ["LABEL_0", "LABEL_1", "LABEL_2"]


def test_ranking_is_the_order_of_scores(tmp_path):
    make(tmp_path, BERT, "Bert", "ForSequenceClassification", num_labels=1)
    pairs = inlay_lines("rerank", tmp_path, [["river bank", text] for text in TEXTS], ["--pairs"])
    ranked = inlay_lines("rerank", tmp_path, TEXTS, ["--query", "river bank", "--top", "9"])
    order = sorted(range(len(TEXTS)), key=lambda i: (-pairs[i]["score"], i))[:9]
    assert [line["index"] for line in ranked] == order
    assert [line["text"] for line in ranked] == [TEXTS[i] for i in order]
    assert [line["score"] for line in ranked] == [pairs[i]["score"] for i in order]


def test_a_model_of_another_task_is_refused(tmp_path):
    make(tmp_path, BERT, "Bert", "Model")
    for command, arguments, words in [
        ("sparse", ["--assume-splade"], ["masked language model", "BertModel", "Splade_PP_en_v1"]),
        ("sparse", [], ["SPLADE", "BertModel", "Splade_PP_en_v1"]),
        ("rerank", ["--query", "q"], ["sequence classifier", "BertModel", "bge-reranker-base"]),
    ]:
        code, message = inlay_lines(command, tmp_path, ["a"], arguments, expect_error=True)
        assert code == 65, message
        assert all(word in message for word in words), message
        assert message.count("\n") == 1


def test_splade_tiny_with_its_real_weights():
    """200 texts of the repository through the model that tools/fetch_model.py brings."""
    folder = model_path("splade-tiny")
    if not folder:
        pytest.skip("splade-tiny is not on this machine; python3 tools/fetch_model.py splade-tiny brings it")
    texts = (ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()
    texts += [line for file in ["README.md", "docs/cli.md"] for line in (ROOT / file).read_text().splitlines() if line]
    texts = texts[:200]
    assert len(texts) == 200
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    lines = inlay_lines("sparse", "splade-tiny", texts, [])
    for text, line in zip(texts, lines, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            expected = torch.log1p(torch.relu(model(**inputs).logits))[0].max(0).values.numpy()
        got = np.zeros_like(expected)
        got[line["indices"]] = line["values"]
        assert np.abs(got - expected).max() <= 1e-5, text
        # The ids are the same but for weights at the edge of zero, where rounding decides.
        differ = set(np.flatnonzero(expected)) ^ set(line["indices"])
        assert all(max(got[i], expected[i]) <= 1e-6 for i in differ), text

"""Every command on every kind of folder that it is not for: one sentence that names the place, what was found and, where
another model would do, which.
"""

import json
import shutil
import struct

import pytest
from conftest import MODELS, ROOT, expect

HEADS = ROOT / "tests" / "data" / "heads"
COMMANDS = {
    "embed": ["embed"],
    "sparse": ["sparse"],
    "assume": ["sparse", "--assume-splade"],
    "rerank": ["rerank", "--query", "q"],
}


def edit(path, **members):
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def remove(folder, *names):
    for name in names:
        shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def drop_tensors(folder, part):
    """Writes model.safetensors anew without the tensors whose name has `part`."""
    data = (folder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, data = json.loads(data[8 : 8 + size]), data[8 + size :]
    kept, body = {}, b""
    for name, tensor in header.items():
        if name != "__metadata__" and part not in name:
            begin, end = tensor["data_offsets"]
            kept[name] = tensor | {"data_offsets": [len(body), len(body) + end - begin]}
            body += data[begin:end]
    assert len(kept) < len(header) - ("__metadata__" in header)
    text = json.dumps(kept).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def splade(folder):
    modules = [("", "models.MLMTransformer"), ("1_SpladePooling", "models.SpladePooling")]
    modules = [{"idx": i, "name": str(i), "path": p, "type": t} for i, (p, t) in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_SpladePooling").mkdir()
    (folder / "1_SpladePooling/config.json").write_text('{"pooling_strategy": "max"}')


def causal(folder, name):
    edit(folder / "config.json", architectures=[name])
    remove(folder, "modules.json", "1_Pooling", "config_sentence_transformers.json", "sentence_bert_config.json")


# Each kind: where it is copied from, and what is done to the copy.
KINDS = {
    "embedder": (MODELS / "bert-mean", None),
    "splade": (HEADS / "bert-mlm", splade),
    "mlm": (HEADS / "bert-mlm", None),
    "cross-encoder": (HEADS / "bert-labels-1", None),
    "causal": (MODELS / "qwen2-last", lambda f: causal(f, "Qwen2ForCausalLM")),
    "causal-qwen3": (MODELS / "qwen3-last", lambda f: causal(f, "Qwen3ForCausalLM")),
    "reranker-without-yes": (MODELS / "qwen3-last", lambda f: causal(f, "Qwen3ForCausalLM")),
    "unknown": (MODELS / "bert-mean", lambda f: edit(f / "config.json", model_type="rwkv")),
    "unknown-mlm": (HEADS / "bert-mlm", lambda f: edit(f / "config.json", model_type="rwkv")),
    "unknown-classifier": (HEADS / "bert-labels-1", lambda f: edit(f / "config.json", model_type="rwkv")),
    "missing-tensor": (MODELS / "bert-mean", lambda f: drop_tensors(f, "layer.1.output.dense.weight")),
    "missing-tensors": (HEADS / "bert-labels-1", lambda f: drop_tensors(f, "layer.1.")),
    "missing-head": (HEADS / "bert-labels-1", lambda f: drop_tensors(f, "classifier")),
    "missing-mlm-head": (HEADS / "bert-mlm", lambda f: drop_tensors(f, "predictions")),
    "no-tokenizer": (MODELS / "bert-mean", lambda f: remove(f, "tokenizer.json")),
    "no-tokenizer-classifier": (HEADS / "bert-labels-1", lambda f: remove(f, "tokenizer.json")),
    "no-tokenizer-mlm": (HEADS / "bert-mlm", lambda f: remove(f, "tokenizer.json")),
    "no-weights": (MODELS / "bert-mean", lambda f: remove(f, "model.safetensors")),
    "no-config": (MODELS / "bert-mean", lambda f: remove(f, "config.json")),
}
SPLADE, RERANKER, JUDGE = "prithivida/Splade_PP_en_v1", "BAAI/bge-reranker-base", "Qwen/Qwen3-Reranker-0.6B"
FAMILY = ["config.json: /model_type", '"rwkv"', "modernbert", "docs/add-a-model.md"]
TENSOR = ["1 tensor that does not", "encoder.layer.1.output.dense.weight", "[32, 64]", "Fetch the model again"]
TOKENIZER = ["tokenizer.json", "vocab.txt"]


@pytest.mark.parametrize(
    ("kind", "command", "code", "words"),
    [
        ("embedder", "embed", 0, []),
        ("embedder", "sparse", 65, ["modules", '"Pooling"', SPLADE]),
        ("embedder", "assume", 65, ["modules", '"Pooling"', SPLADE]),
        ("embedder", "rerank", 65, ["config.json: /architectures", "classifier.weight", "BertModel", RERANKER]),
        ("splade", "embed", 65, ["made for sparse", "inlay sparse"]),
        ("splade", "sparse", 0, []),
        ("splade", "rerank", 65, ["config.json: /architectures", "BertForMaskedLM", RERANKER]),
        ("mlm", "embed", 0, []),  # the mean of its hidden states, as sentence-transformers takes it
        ("mlm", "sparse", 65, ["SPLADE", "--assume-splade", SPLADE]),
        ("mlm", "assume", 0, []),
        ("mlm", "rerank", 65, ["config.json: /architectures", "BertForMaskedLM", RERANKER]),
        ("cross-encoder", "embed", 65, ["made for rerank", "inlay rerank", "--pooling"]),
        ("cross-encoder", "sparse", 65, ["config.json: /architectures", "BertForSequenceClassification", SPLADE]),
        ("cross-encoder", "assume", 65, ["config.json: /architectures", "BertForSequenceClassification", SPLADE]),
        ("cross-encoder", "rerank", 0, []),
        ("causal", "embed", 0, []),  # its last token, as sentence-transformers takes it
        ("causal", "sparse", 65, ["config.json: /architectures", "Qwen2ForCausalLM", SPLADE]),
        ("causal", "assume", 65, ["config.json: /architectures", "Qwen2ForCausalLM", SPLADE]),
        ("causal", "rerank", 65, ["config.json: /architectures", '"qwen2"', '"rerank" in its name', RERANKER, JUDGE]),
        ("causal-qwen3", "rerank", 65, ["config.json: /architectures", '"qwen3"', '"rerank" in its name', JUDGE]),
        ("reranker-without-yes", "rerank", 65, ["without-yes: tokenizer", '"yes"', JUDGE]),
        ("unknown", "embed", 65, FAMILY),
        ("unknown", "rerank", 65, FAMILY),
        ("unknown-mlm", "assume", 65, FAMILY),
        ("unknown-classifier", "rerank", 65, FAMILY),
        ("missing-tensor", "embed", 65, TENSOR),
        ("missing-tensors", "rerank", 65, ["16 tensors that do not", "bert.encoder.layer.1.", "; and 4 more"]),
        ("missing-head", "rerank", 65, ["classifier.weight", "BertForSequenceClassification", RERANKER]),
        ("missing-mlm-head", "assume", 65, ["cls.predictions.transform.dense.weight", "BertForMaskedLM", SPLADE]),
        ("no-tokenizer", "embed", 66, TOKENIZER),
        ("no-tokenizer-classifier", "rerank", 66, TOKENIZER),
        ("no-tokenizer-mlm", "assume", 66, TOKENIZER),
        ("no-weights", "embed", 66, ["model.safetensors", "pytorch_model.bin", "model.onnx"]),
        ("no-weights", "rerank", 66, ["model.safetensors", "pytorch_model.bin", "model.onnx"]),
        *[("no-config", command, 66, ["config.json", "Fetch the model again"]) for command in COMMANDS],
    ],
)
def test_a_folder_that_is_not_for_the_command(inlay, tmp_path, kind, command, code, words):
    source, change = KINDS[kind]
    folder = tmp_path / kind
    shutil.copytree(source, folder)
    if change:
        change(folder)
    result = inlay(*COMMANDS[command], "-m", folder, "--quiet", "a")
    if code == 0:
        assert result.code == 0 and result.out, result.err
    else:
        expect(result, code, str(folder), *words)
        assert result.out == b""

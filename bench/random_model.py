#!/usr/bin/env python3
"""Writes a model folder of a published model's exact shape with random weights, for speed and memory where the real
weights are not at hand. Vectors of such a model mean nothing; time and memory are those of the real one.

    bench/random_model.py SHAPE FOLDER --tokenizer MODEL_FOLDER

SHAPE is one of bge-small, bge-base, bge-large, splade-base, bge-reranker-base, ms-marco-minilm. The tokenizer files come from
MODEL_FOLDER; every shape keeps its own vocabulary's size, so that the tokenizer must not have more tokens than that.
Needs numpy.
"""

import argparse
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

BERT = {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2}
XLM_R = {"model_type": "xlm-roberta", "vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1}
SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536}
MINILM = SMALL | {"num_hidden_layers": 6}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SHAPES = {  # name -> body, sizes, class
    "bge-small": (BERT, SMALL, "BertModel"),
    "bge-base": (BERT, BASE, "BertModel"),
    "bge-large": (BERT, LARGE, "BertModel"),
    "splade-base": (BERT, BASE, "BertForMaskedLM"),
    "bge-reranker-base": (XLM_R, BASE, "XLMRobertaForSequenceClassification"),
    "ms-marco-minilm": (BERT, MINILM, "BertForSequenceClassification"),
}
DEVIATION = 0.02  # initializer_range of these models


def norm(name: str, width: int) -> list:
    return [(f"{name}.weight", (width,), "one"), (f"{name}.bias", (width,), "zero")]


def linear(name: str, outputs: int, inputs: int) -> list:
    return [(f"{name}.weight", (outputs, inputs), "normal"), (f"{name}.bias", (outputs,), "normal")]


def tensors(body: dict, sizes: dict, kind: str) -> list:
    """(name, shape, fill) of every tensor, in the layout of transformers' classes."""
    hidden, wide = sizes["hidden_size"], sizes["intermediate_size"]
    prefix = "" if kind == "BertModel" else "bert." if body is BERT else "roberta."
    out = []
    for table, rows in [
        ("word", body["vocab_size"]),
        ("position", body["max_position_embeddings"]),
        ("token_type", body["type_vocab_size"]),
    ]:
        out.append((f"{prefix}embeddings.{table}_embeddings.weight", (rows, hidden), "normal"))
    out += norm(f"{prefix}embeddings.LayerNorm", hidden)
    for i in range(sizes["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{i}."
        for part in ("query", "key", "value"):
            out += linear(f"{layer}attention.self.{part}", hidden, hidden)
        out += linear(f"{layer}attention.output.dense", hidden, hidden)
        out += norm(f"{layer}attention.output.LayerNorm", hidden)
        out += linear(f"{layer}intermediate.dense", wide, hidden)
        out += linear(f"{layer}output.dense", hidden, wide)
        out += norm(f"{layer}output.LayerNorm", hidden)
    if kind == "BertForMaskedLM":
        out += linear("cls.predictions.transform.dense", hidden, hidden)
        out += norm("cls.predictions.transform.LayerNorm", hidden)
        out.append(("cls.predictions.bias", (body["vocab_size"],), "normal"))
    if kind == "BertForSequenceClassification":
        out += linear("bert.pooler.dense", hidden, hidden)
        out += linear("classifier", 1, hidden)
    if kind == "XLMRobertaForSequenceClassification":
        out += linear("classifier.dense", hidden, hidden)
        out += linear("classifier.out_proj", 1, hidden)
    return out


def write_safetensors(path: Path, entries: list, seed: int) -> None:
    header, offset = {}, 0
    for name, shape, _ in entries:
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = np.random.default_rng(seed)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, fill in entries:
            if fill == "normal":
                file.write((generator.standard_normal(shape, dtype=np.float32) * np.float32(DEVIATION)).tobytes())
            else:
                file.write(np.full(shape, 1 if fill == "one" else 0, np.float32).tobytes())


def type_everything_zero(file: Path) -> None:
    """Of a pair, too: such a model has one token type, while BERT's tokenizer calls the second part 1."""
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    templates = tokenizer.get("post_processor") or {}
    for piece in [*templates.get("single", []), *templates.get("pair", [])]:
        next(iter(piece.values()))["type_id"] = 0
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")


def write_model(shape: str, folder: Path, tokenizer: Path, seed: int = 20240607) -> None:
    body, sizes, kind = SHAPES[shape]
    tokens = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    if len(tokens) > body["vocab_size"]:
        sys.exit(f"{tokenizer}: expected at most {body['vocab_size']} tokens, as {shape} has, got {len(tokens)}.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)
    if body["type_vocab_size"] == 1:
        type_everything_zero(folder / "tokenizer.json")
    config = body | sizes | {"architectures": [kind], "hidden_act": "gelu", "torch_dtype": "float32"}
    config |= {"layer_norm_eps": 1e-12 if body is BERT else 1e-5, "pad_token_id": 0 if body is BERT else 1}
    if kind.endswith("Classification"):
        config |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if kind == "BertModel":  # bge: the first token's row, normalised
        types = ["Transformer", "Pooling", "Normalize"]
        modules = [
            {
                "idx": i,
                "name": str(i),
                "path": f"{i}_{name}" if i else "",
                "type": f"sentence_transformers.models.{name}",
            }
            for i, name in enumerate(types)
        ]
        (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
        (folder / "1_Pooling").mkdir(exist_ok=True)
        pooling = {"word_embedding_dimension": sizes["hidden_size"], "pooling_mode_cls_token": True}
        pooling |= {"pooling_mode_mean_tokens": False}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling, indent=2) + "\n", encoding="utf-8")
    write_safetensors(folder / "model.safetensors", tensors(body, sizes, kind), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a model folder with tokenizer.json")
    args = parser.parse_args()
    write_model(args.shape, args.folder, args.tokenizer)


if __name__ == "__main__":
    main()

"""JinaBERT v2, which is code of the Hub: stated here in plain PyTorch after jinaai/jina-bert-implementation and
jinaai/jina-bert-v2-qk-post-norm (modeling_bert.py), as text-embeddings-inference's jina.rs and jina_code.rs and vLLM's
jina_bert.py read the same checkpoints.

What differs from BERT: no position table; ALiBi to both sides; a gated feed-forward, whose halves the two
implementations have the other way round; in the second, layer norms of all heads' queries and keys together, and the
sum of layer input and attention normed twice.
"""

import json
import math

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from families import Drawn


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4, 6])
    return dict(
        model_type="bert",
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16, 20]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu"]),
        feed_forward_type=rng.choice(["geglu", "reglu"]),
        position_embedding_type="alibi",
        max_position_embeddings=300,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        auto_map={"AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"},
    )


def random_tensors(config, code, head=None, labels=1):
    h, f = config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def linear(name, out, inner, bias=True):
        tensors[name + ".weight"] = torch.randn(out, inner) * 0.2
        if bias:
            tensors[name + ".bias"] = torch.randn(out) * 0.1

    def norm(name):
        tensors[name + ".weight"] = 1 + torch.randn(h) * 0.1
        tensors[name + ".bias"] = torch.randn(h) * 0.1

    linear("embeddings.word_embeddings", config["vocab_size"], h, bias=False)
    linear("embeddings.token_type_embeddings", config["type_vocab_size"], h, bias=False)
    norm("embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        for name in ["self.query", "self.key", "self.value", "output.dense"]:
            linear(layer + "attention." + name, h, h)
        norm(layer + "attention.output.LayerNorm")
        if code:
            for name in ["attention.self.layer_norm_q", "attention.self.layer_norm_k", "layer_norm_1", "layer_norm_2"]:
                norm(layer + name)
            linear(layer + "mlp.up_gated_layer", 2 * f, h, bias=False)
            linear(layer + "mlp.down_layer", h, f)
        else:
            linear(layer + "mlp.gated_layers", 2 * f, h, bias=False)
            linear(layer + "mlp.wo", h, f)
            norm(layer + "mlp.layernorm")
    if head == "classifier":
        linear("pooler.dense", h, h)
        tensors["bert.pooler.dense.weight"] = tensors.pop("pooler.dense.weight")
        tensors["bert.pooler.dense.bias"] = tensors.pop("pooler.dense.bias")
        linear("classifier", labels, h)
    elif head == "masked_lm":
        linear("cls.predictions.transform.dense", h, h)
        norm("cls.predictions.transform.LayerNorm")
        tensors["cls.predictions.bias"] = torch.randn(config["vocab_size"]) * 0.1
    if head:  # the body of a model with a head stands behind "bert."
        tensors = {("bert." if n.startswith(("embeddings", "encoder")) else "") + n: t for n, t in tensors.items()}
    return tensors


def slopes(heads):
    if heads & (heads - 1) == 0:
        return [2 ** (-8 * (i + 1) / heads) for i in range(heads)]
    below = 2 ** int(math.log2(heads))
    return slopes(below) + slopes(2 * below)[::2][: heads - below]


class Model:
    def __init__(self, config, tensors, code):
        self.config, self.code = config, code
        self.tensors = {name.removeprefix("bert."): tensor.double() for name, tensor in tensors.items()}

    def linear(self, name, x):
        return F.linear(x, self.tensors[name + ".weight"], self.tensors.get(name + ".bias"))

    def norm(self, name, x):
        weight, bias = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        return F.layer_norm(x, weight.shape, weight, bias, self.config["layer_norm_eps"])

    def attention(self, layer, x):
        heads = self.config["num_attention_heads"]
        n, h = x.shape
        query, key, value = (self.linear(layer + "self." + name, x) for name in ["query", "key", "value"])
        if self.code:
            query, key = self.norm(layer + "self.layer_norm_q", query), self.norm(layer + "self.layer_norm_k", key)
        query, key, value = (t.view(n, heads, h // heads).transpose(0, 1) for t in [query, key, value])
        distance = (torch.arange(n)[:, None] - torch.arange(n)[None, :]).abs()
        bias = -torch.tensor(slopes(heads)).float().double()[:, None, None] * distance
        scores = query @ key.transpose(1, 2) / math.sqrt(h // heads) + bias
        context = (scores.softmax(-1) @ value).transpose(0, 1).reshape(n, h)
        return self.norm(layer + "output.LayerNorm", self.linear(layer + "output.dense", context) + x)

    def feed_forward(self, layer, x):
        f = self.config["intermediate_size"]
        act = F.gelu if self.config["feed_forward_type"] == "geglu" else F.relu
        if self.code:
            both = self.linear(layer + "up_gated_layer", x)
            return self.linear(layer + "down_layer", both[:, :f] * act(both[:, f:]))
        both = self.linear(layer + "gated_layers", x)
        return self.norm(layer + "layernorm", self.linear(layer + "wo", act(both[:, :f]) * both[:, f:]) + x)

    def hidden(self, ids):
        tensors = self.tensors
        x = tensors["embeddings.word_embeddings.weight"][ids] + tensors["embeddings.token_type_embeddings.weight"][0]
        x = self.norm("embeddings.LayerNorm", x)
        for i in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{i}."
            attended = self.attention(layer + "attention.", x)
            if self.code:
                x = self.norm(layer + "layer_norm_1", x + attended)
                x = self.norm(layer + "layer_norm_2", x + self.feed_forward(layer + "mlp.", x))
            else:
                x = self.feed_forward(layer + "mlp.", attended)
        return x

    def classifier(self, ids):
        return self.linear("classifier", torch.tanh(self.linear("pooler.dense", self.hidden(ids)[0])))

    def masked_lm(self, ids):
        act = {"gelu": F.gelu, "relu": F.relu}[self.config["hidden_act"]]
        x = self.norm(
            "cls.predictions.transform.LayerNorm", act(self.linear("cls.predictions.transform.dense", self.hidden(ids)))
        )
        logits = F.linear(x, self.tensors["embeddings.word_embeddings.weight"], self.tensors["cls.predictions.bias"])
        return torch.log1p(torch.relu(logits)).max(0).values


def saver(config, tensors):
    def save(folder):
        (folder / "config.json").write_text(json.dumps(config))
        save_file(tensors, folder / "model.safetensors")

    return save


def draw(rng, vocab_size):
    config = random_config(rng, vocab_size)
    code = rng.choice([False, True])
    tensors = random_tensors(config, code)
    model = Model(config, tensors, code)
    return Drawn(saver(config, tensors), lambda ids: model.hidden(ids[0])[None], 300, f"{config} code {code}")


def draw_head(head, rng, vocab_size):
    if head == "causal_lm":
        return None
    config = random_config(rng, vocab_size)
    code = rng.choice([False, True])
    tensors = random_tensors(config, code, head, rng.choice([1, 3]))
    model = Model(config, tensors, code)
    return Drawn(saver(config, tensors), lambda ids: getattr(model, head)(ids[0]), 300, f"{head} {config} code {code}")

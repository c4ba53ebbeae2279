"""NomicBERT as nomic-embed-text-v2-moe has it, stated in plain PyTorch: transformers has neither its experts nor its
biases. After two public implementations: text-embeddings-inference (candle/src/models/nomic.rs) and vLLM
(models/bert_with_rope.py, NomicMoE): every layer i with i % moe_every_n_layers == 1 has experts, the router's softmax
goes over all of them, the best moe_top_k are weighted by it and not renormalised, one bias is added behind their sum.
"""

import json

import torch
from safetensors.torch import save_file
from torch.nn.functional import gelu, layer_norm, linear, silu

from families import Drawn, spread

ACTIVATIONS = {"gelu": gelu, "gelu_pytorch_tanh": lambda x: gelu(x, approximate="tanh"), "swiglu": silu}


def shapes(c):
    h, f, n = c["n_embd"], c["n_inner"], c["num_experts"]
    yield "embeddings.word_embeddings.weight", (c["vocab_size"], h)
    if c["type_vocab_size"]:
        yield "embeddings.token_type_embeddings.weight", (c["type_vocab_size"], h)
    yield from norm("emb_ln", h)
    for i in range(c["n_layer"]):
        p = f"encoder.layers.{i}."
        yield from dense(p + "attn.Wqkv", 3 * h, h, c["qkv_proj_bias"])
        yield from dense(p + "attn.out_proj", h, h, c["qkv_proj_bias"])
        yield from norm(p + "norm1", h)
        yield from norm(p + "norm2", h)
        if has_experts(c, i):
            yield p + "mlp.router.layer.weight", (n, h)
            yield p + "mlp.experts.mlp.w1", (n * f, h)
            yield p + "mlp.experts.mlp.w2", (n * f, h)
            yield p + "mlp.experts.bias", (h,)
            continue
        gated = c["activation_function"] == "swiglu"
        for name in ("fc11", "fc12") if gated else ("fc1",):
            yield from dense(p + "mlp." + name, f, h, c["mlp_fc1_bias"])
        yield from dense(p + "mlp.fc2", h, f, c["mlp_fc2_bias"])


def dense(name, out, width, bias):
    yield name + ".weight", (out, width)
    if bias:
        yield name + ".bias", (out,)


def norm(name, width):
    yield name + ".weight", (width,)
    yield name + ".bias", (width,)


def has_experts(c, layer):
    every = c["moe_every_n_layers"]
    return every > 0 and layer % every == 1


def rotate(x, c):  # [tokens, heads, head_size]
    tokens, _, size = x.shape
    columns = int(size * c["rotary_emb_fraction"])
    inv_freq = 1 / c["rotary_emb_base"] ** (torch.arange(0, columns, 2, dtype=torch.float32) / columns)
    angles = torch.arange(tokens, dtype=torch.float32)[:, None] * inv_freq  # rounded to float, as the reference does
    cos, sin = angles.double().cos()[:, None], angles.double().sin()[:, None]
    turning, rest = x[..., :columns], x[..., columns:]
    if c["rotary_emb_interleaved"]:
        a, b = turning[..., 0::2], turning[..., 1::2]
        turned = torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)
    else:
        a, b = turning.chunk(2, dim=-1)
        turned = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
    return torch.cat([turned, rest], dim=-1)


def forward(c, w, ids):  # [tokens] -> [tokens, n_embd]
    h, heads, eps = c["n_embd"], c["n_head"], c["layer_norm_epsilon"]
    act = ACTIVATIONS[c["activation_function"]]

    def apply(name, x):
        return linear(x, w[name + ".weight"], w.get(name + ".bias"))

    def normed(name, x):
        return layer_norm(x, (h,), w[name + ".weight"], w[name + ".bias"], eps)

    def attention(p, x):
        q, k, v = apply(p + "attn.Wqkv", x).view(-1, 3, heads, h // heads).unbind(1)
        q, k = rotate(q, c), rotate(k, c)
        scores = torch.einsum("ihd,jhd->hij", q, k) / (h // heads) ** 0.5
        return apply(p + "attn.out_proj", torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).reshape(-1, h))

    def experts(p, x):
        up = w[p + "mlp.experts.mlp.w1"].view(c["num_experts"], -1, h)
        down = w[p + "mlp.experts.mlp.w2"].view(c["num_experts"], -1, h)
        best, chosen = apply(p + "mlp.router.layer", x).softmax(-1).topk(c["moe_top_k"], dim=-1)
        rows = []
        for row, shares, indices in zip(x, best, chosen):
            rows.append(sum(s * (act(up[e] @ row) @ down[e]) for s, e in zip(shares, indices)))
        return torch.stack(rows) + w[p + "mlp.experts.bias"]

    def feed_forward(i, p, x):
        if has_experts(c, i):
            return experts(p, x)
        if c["activation_function"] == "swiglu":
            return apply(p + "mlp.fc2", apply(p + "mlp.fc11", x) * act(apply(p + "mlp.fc12", x)))
        return apply(p + "mlp.fc2", act(apply(p + "mlp.fc1", x)))

    x = w["embeddings.word_embeddings.weight"][ids]
    if c["type_vocab_size"]:
        x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = normed("emb_ln", x)
    for i in range(c["n_layer"]):
        p = f"encoder.layers.{i}."
        x = normed(p + "norm1", x + attention(p, x))
        x = normed(p + "norm2", x + feed_forward(i, p, x))
    return x


def draw(rng, vocab_size):
    heads = rng.choice([1, 2, 3])
    every = rng.choice([0, 2, 2, 3])
    biases = rng.choice([True, False])
    config = dict(
        model_type="nomic_bert",
        architectures=["NomicBertModel"],
        vocab_size=vocab_size,
        n_embd=heads * rng.choice([8, 16, 20]),
        n_head=heads,
        n_layer=rng.choice([2, 3, 4]),
        n_inner=rng.choice([24, 64, 100]),
        n_positions=300,
        type_vocab_size=rng.choice([0, 1, 2]),
        layer_norm_epsilon=rng.choice([1e-5, 1e-12]),
        activation_function=rng.choice(["gelu", "gelu_pytorch_tanh"]) if every else "swiglu",
        qkv_proj_bias=biases,
        mlp_fc1_bias=biases,
        mlp_fc2_bias=biases,
        moe_every_n_layers=every,
        moe_normalize_expert_weights=False,
        num_experts=rng.choice([2, 5, 8]),
        moe_top_k=rng.choice([1, 2]),
        num_shared_experts=0,
        prenorm=False,
        parallel_block=False,
        rotary_emb_base=rng.choice([1000, 10000]),
        rotary_emb_fraction=rng.choice([1.0, 1.0, 0.5]),
        rotary_emb_interleaved=rng.random() < 0.25,
        rotary_emb_scale_base=None,
        rotary_scaling_factor=None,
    )
    scale = spread(config["n_embd"])
    weights = {name: torch.randn(shape) * (0.1 if len(shape) == 1 else scale) for name, shape in shapes(config)}
    for name in weights:
        if "norm" in name.rsplit(".", 2)[-2] or "emb_ln" in name:
            weights[name] += name.endswith(".weight")

    def save(folder):
        (folder / "config.json").write_text(json.dumps(config))
        save_file(weights, folder / "model.safetensors")

    def hidden(ids):
        return forward(config, {name: tensor.double() for name, tensor in weights.items()}, ids[0])[None]

    return Drawn(save, hidden, 300, str(config))

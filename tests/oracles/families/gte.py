"""GTE: transformers' GteModel; its tensors as transformers keeps, as it saves, and as the Hub's model_type "new" has
them, packed or not. The Hub's ntk scaling is stated here on GteModel: base * factor, frequencies divided by
factor ** (2 / head_size), as in Alibaba-NLP/new-impl's NTKScalingRotaryEmbedding, vLLM's ntk_scaling_rope.py and
text-embeddings-inference's gte.rs.
"""

import torch
from transformers import GteConfig, GteForMaskedLM, GteForSequenceClassification, GteModel

from families import from_transformers, head_of, spread
from families._layouts import edit_config, rename_tensors, split_tensors


def draw(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    head_size = rng.choice([8, 16, 20, 32])
    theta = rng.choice([1000.0, 160000.0])
    layout = rng.choice(["kept", "saved", "hub", "hub apart"])
    rope = {"rope_type": "default", "rope_theta": theta}
    if not layout.startswith("hub"):
        rope = rng.choice([rope, {"rope_type": "linear", "rope_theta": theta, "factor": 3.0}])
    config = GteConfig(
        vocab_size=vocab_size,
        hidden_size=heads * head_size,
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu", "silu"]),
        max_position_embeddings=300,
        type_vocab_size=rng.choice([0, 1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        rope_parameters=rope,
        initializer_range=spread(heads * head_size),
        pad_token_id=0,
    )
    drawn = from_transformers(config, GteModel, 300)
    drawn.note += f" layout {layout}"
    model = drawn.model
    factor = rng.choice([None, 2.0, 8.0]) if layout.startswith("hub") else None
    if factor:
        exponents = torch.arange(0, head_size, 2, dtype=torch.float) / head_size
        model.rotary_emb.inv_freq = 1 / (theta * factor) ** exponents / factor ** (2 / head_size)
        drawn.note += f" ntk {factor}"

    def save(folder):
        model.float().save_pretrained(folder, save_original_format=layout != "kept")
        if not layout.startswith("hub"):
            return
        edit_config(
            folder,
            remove=["rope_parameters"],
            model_type="new",
            rope_theta=theta,
            rope_scaling={"type": "ntk", "factor": factor} if factor else None,
            position_embedding_type="rope",
            layer_norm_type="layer_norm",
            logn_attention_scale=False,
            logn_attention_clip1=False,
            pack_qkv=layout == "hub",
        )
        rename_tensors(folder, (r"^", "new."))
        if layout == "hub apart":
            split_tensors(folder, r"qkv_proj", "q_proj", "k_proj", "v_proj")

    drawn.save = save
    return drawn


def draw_head(head, rng, vocab_size):
    heads = rng.choice([1, 2, 4])
    config = GteConfig(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2]),
        intermediate_size=40,
        hidden_act="gelu",
        max_position_embeddings=300,
        type_vocab_size=rng.choice([0, 1]),
        initializer_range=0.2,
        pad_token_id=0,
    )
    layout = rng.choice(["kept", "saved", "hub"])

    def save(model, folder):
        model.save_pretrained(folder, save_original_format=layout != "kept")
        if layout == "hub":
            edit_config(folder, remove=["rope_parameters"], model_type="new", rope_theta=160000.0)
            rename_tensors(folder, (r"^gte\.", "new."))

    return head_of(config, {"classifier": GteForSequenceClassification, "masked_lm": GteForMaskedLM}, head, save)

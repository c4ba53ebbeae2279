"""NomicBERT: transformers' NomicBertModel, its tensors as transformers keeps and saves them, and with the Hub's config."""

from transformers import (
    NomicBertConfig,
    NomicBertForMaskedLM,
    NomicBertForSequenceClassification,
    NomicBertModel,
)

from families import from_transformers, head_of, spread
from families._layouts import edit_config


def draw(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    head_size = rng.choice([8, 16, 20, 32])
    theta = rng.choice([1000.0, 10000.0])
    layout = rng.choice(["kept", "saved", "hub"])
    activation = rng.choice(["silu", "gelu"])
    free = layout != "hub"  # head_dim and scaling are of transformers' config alone
    rope = {"rope_type": "default", "rope_theta": theta}
    config = NomicBertConfig(
        vocab_size=vocab_size,
        hidden_size=heads * head_size,
        head_dim=rng.choice([8, 12]) if free and rng.random() < 0.5 else head_size,
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=activation,
        max_position_embeddings=300,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        rope_parameters={**rope, "rope_type": "linear", "factor": 2.0} if free and rng.random() < 0.3 else rope,
        initializer_range=spread(heads * head_size),
        pad_token_id=0,
    )
    drawn = from_transformers(config, NomicBertModel, 300)
    drawn.note += f" layout {layout}"
    model = drawn.model

    def save(folder):
        model.float().save_pretrained(folder, save_original_format=layout != "kept")
        if layout != "hub":
            return
        edit_config(
            folder,
            remove=[
                *("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "hidden_act"),
                *("max_position_embeddings", "layer_norm_eps", "rope_parameters", "head_dim"),
            ],
            n_embd=config.hidden_size,
            n_head=heads,
            n_layer=config.num_hidden_layers,
            n_inner=config.intermediate_size,
            n_positions=300,
            activation_function={"silu": "swiglu", "gelu": "geglu"}[activation],
            layer_norm_epsilon=config.layer_norm_eps,
            rotary_emb_base=theta,
            rotary_emb_fraction=1.0,
            rotary_emb_interleaved=False,
            rotary_emb_scale_base=None,
            rotary_scaling_factor=None,
            qkv_proj_bias=False,
            mlp_fc1_bias=False,
            mlp_fc2_bias=False,
            prenorm=False,
            moe_every_n_layers=0,
        )

    drawn.save = save
    return drawn


def draw_head(head, rng, vocab_size):
    heads = rng.choice([1, 2, 4])
    config = NomicBertConfig(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2]),
        intermediate_size=40,
        hidden_act=rng.choice(["silu", "gelu"]),
        max_position_embeddings=300,
        initializer_range=0.2,
        pad_token_id=0,
    )
    original = rng.choice([False, True])
    return head_of(
        config,
        {"classifier": NomicBertForSequenceClassification, "masked_lm": NomicBertForMaskedLM},
        head,
        lambda model, folder: model.save_pretrained(folder, save_original_format=original),
    )

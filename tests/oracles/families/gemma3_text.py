"""Gemma 3's text model: four norms a layer, two rope bases, windows of both kinds."""

from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Gemma3TextForSequenceClassification,
    Gemma3TextModel,
)

from families._decoders import draw_head_of, draw_hidden, draw_sizes


def hub_spelling(values):
    rope = values.pop("rope_parameters")
    values["rope_theta"] = rope["full_attention"].pop("rope_theta")
    values["rope_local_base_freq"] = rope["sliding_attention"].pop("rope_theta")
    scaled = rope["full_attention"].get("rope_type", "default") != "default"
    values["rope_scaling"] = rope["full_attention"] if scaled else None
    values.pop("layer_types")
    values["sliding_window_pattern"] = 2


def random_config(rng, vocab_size):
    full = {"rope_type": "default", "rope_theta": rng.choice([1e5, 1e6])}
    if rng.random() < 0.4:
        full |= {"rope_type": "linear", "factor": 8.0}
    return Gemma3TextConfig(
        **draw_sizes(rng, vocab_size),
        head_dim=rng.choice([8, 16]),
        query_pre_attn_scalar=rng.choice([16, 24]),
        attention_bias=rng.random() < 0.3,
        sliding_window=rng.choice([4, 9, 64]),
        sliding_window_pattern=2,
        use_bidirectional_attention=rng.random() < 0.6,
        rope_parameters={
            "full_attention": full,
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    )


def draw(rng, vocab_size):
    return draw_hidden(rng, random_config(rng, vocab_size), Gemma3TextModel, hub_spelling)


def draw_head(head, rng, vocab_size):
    return draw_head_of(
        head, rng, random_config(rng, vocab_size), Gemma3TextForSequenceClassification, Gemma3ForCausalLM
    )

"""Qwen3: head norms, heads wider than their share of the hidden size, windows on the upper layers."""

from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification, Qwen3Model

from families._decoders import draw_head_of, draw_hidden, draw_rope, draw_sizes


def random_config(rng, vocab_size):
    config = Qwen3Config(
        **draw_sizes(rng, vocab_size),
        head_dim=rng.choice([8, 16, 18]),
        rope_parameters=draw_rope(rng),
        attention_bias=rng.random() < 0.3,
        use_sliding_window=rng.random() < 0.4,
        sliding_window=rng.choice([1, 5, 16]),
        max_window_layers=rng.choice([0, 1]),
    )
    if rng.random() < 0.3:
        config.is_causal = False
    return config


def draw(rng, vocab_size):
    return draw_hidden(rng, random_config(rng, vocab_size), Qwen3Model)


def draw_head(head, rng, vocab_size):
    return draw_head_of(head, rng, random_config(rng, vocab_size), Qwen3ForSequenceClassification, Qwen3ForCausalLM)

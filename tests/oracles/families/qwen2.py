"""Qwen2: biases of queries, keys and values; causal, and bidirectional as gte-Qwen2's config asks (is_causal)."""

from decoders import draw_rope, draw_sizes, drawn
from transformers import Qwen2Config, Qwen2Model


def draw(rng, vocab_size):
    config = Qwen2Config(
        **draw_sizes(rng, vocab_size),
        rope_parameters=draw_rope(rng),
        hidden_act=rng.choice(["silu", "gelu"]),
        use_sliding_window=rng.random() < 0.4,
        sliding_window=rng.choice([1, 5, 16]),
        max_window_layers=rng.choice([0, 1]),
    )
    if rng.random() < 0.5:
        config.is_causal = False
    return drawn(rng, config, Qwen2Model, 128)

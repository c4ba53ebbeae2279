"""Mistral: a window on every layer, or none."""

from decoders import draw_rope, draw_sizes, drawn
from transformers import MistralConfig, MistralModel


def draw(rng, vocab_size):
    config = MistralConfig(
        **draw_sizes(rng, vocab_size),
        head_dim=rng.choice([8, 16]),
        rope_parameters=draw_rope(rng),
        sliding_window=rng.choice([None, 1, 7, 4096]),
    )
    if rng.random() < 0.3:
        config.is_causal = False
    return drawn(rng, config, MistralModel, 128)

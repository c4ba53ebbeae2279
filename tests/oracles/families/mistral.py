"""Mistral: a window on every layer, or none."""

from transformers import MistralConfig, MistralForCausalLM, MistralForSequenceClassification, MistralModel

from families._decoders import draw_head_of, draw_hidden, draw_rope, draw_sizes


def random_config(rng, vocab_size):
    config = MistralConfig(
        **draw_sizes(rng, vocab_size),
        head_dim=rng.choice([8, 16]),
        rope_parameters=draw_rope(rng),
        sliding_window=rng.choice([None, 1, 7, 4096]),
    )
    if rng.random() < 0.3:
        config.is_causal = False
    return config


def draw(rng, vocab_size):
    return draw_hidden(rng, random_config(rng, vocab_size), MistralModel)


def draw_head(head, rng, vocab_size):
    return draw_head_of(head, rng, random_config(rng, vocab_size), MistralForSequenceClassification, MistralForCausalLM)

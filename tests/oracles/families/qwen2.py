"""Qwen2: biases of queries, keys and values; causal, and bidirectional as gte-Qwen2's config asks (is_causal)."""

from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2ForSequenceClassification, Qwen2Model

from families._decoders import draw_head_of, draw_hidden, draw_rope, draw_sizes


def random_config(rng, vocab_size):
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
    return config


def draw(rng, vocab_size):
    return draw_hidden(rng, random_config(rng, vocab_size), Qwen2Model)


def draw_head(head, rng, vocab_size):
    return draw_head_of(head, rng, random_config(rng, vocab_size), Qwen2ForSequenceClassification, Qwen2ForCausalLM)

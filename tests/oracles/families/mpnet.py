"""MPNet: heads, widths and depths; texts longer than the greatest distance that has a bucket of its own."""

from transformers import MPNetConfig, MPNetForMaskedLM, MPNetForSequenceClassification, MPNetModel

from families import from_transformers, head_of


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    return MPNetConfig(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16, 20, 32]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu", "silu"]),
        max_position_embeddings=302,
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        pad_token_id=rng.choice([0, 1]),
        initializer_range=0.15,
    )


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), MPNetModel, 300, add_pooling_layer=False)


def draw_head(head, rng, vocab_size):
    classes = {"classifier": MPNetForSequenceClassification, "masked_lm": MPNetForMaskedLM}
    return head_of(random_config(rng, vocab_size), classes, head)

"""ELECTRA: embeddings as wide as the layers and narrower."""

from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForSequenceClassification, ElectraModel

from families import from_transformers, head_of


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    width = heads * rng.choice([8, 16, 20, 32])
    return ElectraConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        embedding_size=rng.choice([width, 24, 50]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu", "silu"]),
        max_position_embeddings=128,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        initializer_range=0.2,
    )


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), ElectraModel, 128)


def draw_head(head, rng, vocab_size):
    classes = {"classifier": ElectraForSequenceClassification, "masked_lm": ElectraForMaskedLM}
    return head_of(random_config(rng, vocab_size), classes, head)

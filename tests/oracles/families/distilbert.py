"""DistilBERT: learned and sinusoidal positions, heads tied and not."""

from transformers import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
)

from families import from_transformers, head_of


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    return DistilBertConfig(
        vocab_size=vocab_size,
        dim=heads * rng.choice([8, 16, 20, 32]),
        n_heads=heads,
        n_layers=rng.choice([1, 2, 3]),
        hidden_dim=rng.choice([24, 64, 100]),
        activation=rng.choice(["gelu", "relu"]),
        max_position_embeddings=128,
        sinusoidal_pos_embds=rng.choice([False, True]),
        initializer_range=0.2,
    )


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), DistilBertModel, 128)


def draw_head(head, rng, vocab_size):
    config = random_config(rng, vocab_size)
    config.tie_word_embeddings = rng.choice([False, True])
    classes = {"classifier": DistilBertForSequenceClassification, "masked_lm": DistilBertForMaskedLM}
    return head_of(config, classes, head)

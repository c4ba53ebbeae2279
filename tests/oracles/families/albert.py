"""ALBERT: groups of layers, repetitions inside a group, narrow and wide embeddings."""

from transformers import AlbertConfig, AlbertForMaskedLM, AlbertForSequenceClassification, AlbertModel

from families import from_transformers, head_of


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    width = heads * rng.choice([8, 16, 20, 32])
    layers = rng.choice([1, 2, 3, 5])
    return AlbertConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        embedding_size=rng.choice([width, 24, 50]),
        num_attention_heads=heads,
        num_hidden_layers=layers,
        num_hidden_groups=rng.randint(1, layers),
        inner_group_num=rng.choice([1, 1, 2]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu_new", "gelu", "relu"]),
        max_position_embeddings=128,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        initializer_range=0.2,
    )


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), AlbertModel, 128, add_pooling_layer=False)


def draw_head(head, rng, vocab_size):
    classes = {"classifier": AlbertForSequenceClassification, "masked_lm": AlbertForMaskedLM}
    return head_of(random_config(rng, vocab_size), classes, head)

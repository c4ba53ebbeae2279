"""BERT: heads, widths, depths and activations."""

from transformers import BertConfig, BertModel

from families import from_transformers


def draw(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16, 20, 32]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu", "gelu_new", "silu"]),
        max_position_embeddings=128,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        initializer_range=0.2,
    )
    return from_transformers(config, BertModel, 128, add_pooling_layer=False)

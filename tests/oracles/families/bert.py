"""BERT: heads, widths, depths and activations."""

from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

from families import from_transformers, head_of


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), BertModel, 128, add_pooling_layer=False)


def draw_head(head, rng, vocab_size):
    classes = {"classifier": BertForSequenceClassification, "masked_lm": BertForMaskedLM}
    return head_of(random_config(rng, vocab_size), classes, head)


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    return BertConfig(
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

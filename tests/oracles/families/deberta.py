"""DeBERTa v2 and v3: which position scores there are, shared projections, buckets, normed relative embeddings, absolute
positions, narrow embeddings, both masked language models' heads."""

from transformers import DebertaV2Config, DebertaV2ForMaskedLM, DebertaV2ForSequenceClassification, DebertaV2Model

from families import from_transformers, head_of


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    width = heads * rng.choice([8, 16, 20, 32])
    buckets, reach = rng.choice([(-1, -1), (-1, 40), (8, 60), (16, 50), (32, -1), (7, 100), (2, 20)])
    return DebertaV2Config(
        vocab_size=vocab_size,
        hidden_size=width,
        embedding_size=rng.choice([width, width, 24]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "relu", "gelu_new"]),
        max_position_embeddings=150,
        type_vocab_size=rng.choice([0, 0, 2]),
        layer_norm_eps=rng.choice([1e-7, 1e-5]),
        initializer_range=0.2,
        relative_attention=rng.random() < 0.85,
        position_buckets=buckets,
        max_relative_positions=reach,
        pos_att_type=rng.choice([["p2c", "c2p"], "p2c|c2p", ["c2p"], ["p2c"], None]),
        share_att_key=rng.choice([False, True]),
        norm_rel_ebd=rng.choice(["none", "layer_norm"]),
        position_biased_input=rng.choice([False, True]),
        pooler_hidden_act=rng.choice(["gelu", "tanh"]),
    )


def draw(rng, vocab_size):
    return from_transformers(random_config(rng, vocab_size), DebertaV2Model, 150)


def draw_head(head, rng, vocab_size):
    config = random_config(rng, vocab_size)
    config.legacy = rng.choice([False, True])
    if not config.legacy:
        config.embedding_size = config.hidden_size
    classes = {"classifier": DebertaV2ForSequenceClassification, "masked_lm": DebertaV2ForMaskedLM}
    return head_of(config, classes, head)

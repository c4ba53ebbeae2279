"""Encoders near BERT: DeBERTa v2 and v3, MPNet, DistilBERT, ELECTRA, ALBERT, jina-embeddings-v3."""

import transformers

from goldens.common import unigram, wordpiece

SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40)
DISTILBERT_SIZES = dict(dim=32, n_layers=2, n_heads=4, hidden_dim=40)


def tiny(family, sizes, model_arguments=None, **more):
    def model(fast):
        config = getattr(transformers, family + "Config")(
            vocab_size=len(fast),
            max_position_embeddings=66 if family == "MPNet" else 64,
            pad_token_id=fast.pad_token_id,
            initializer_range=0.3,
            **sizes,
            **more,
        )
        return getattr(transformers, family + "Model")(config, **(model_arguments or {})).eval()

    return model


def lower():
    return wordpiece(True)


BARE = {"add_pooling_layer": False}
CASES = {
    "deberta-mean": dict(  # as v3 is
        tokenizer=unigram,
        model=tiny(
            "DebertaV2",
            SIZES,
            relative_attention=True,
            position_buckets=16,
            max_relative_positions=-1,
            pos_att_type=["p2c", "c2p"],
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_biased_input=False,
        ),
        modules=["mean", "normalize"],
    ),
    "deberta-cls": dict(  # projections of its own, absolute positions too, narrow embeddings
        tokenizer=lower,
        model=tiny(
            "DebertaV2",
            SIZES,
            relative_attention=True,
            pos_att_type="c2p|p2c",
            max_relative_positions=20,
            embedding_size=24,
            type_vocab_size=2,
        ),
        modules=["cls"],
    ),
    "mpnet-mean": dict(tokenizer=lower, model=tiny("MPNet", SIZES, BARE), modules=["mean", "normalize"]),
    "distilbert-mean": dict(
        tokenizer=lower,
        model=tiny("DistilBert", DISTILBERT_SIZES, sinusoidal_pos_embds=True),
        modules=["mean", "normalize"],
    ),
    "electra-cls": dict(tokenizer=lower, model=tiny("Electra", SIZES, embedding_size=24), modules=["cls"]),
    "albert-mean": dict(
        tokenizer=unigram,
        model=tiny("Albert", dict(SIZES, num_hidden_layers=3), BARE, embedding_size=24, num_hidden_groups=2),
        modules=["mean", "normalize"],
    ),
    "jina-v3-mean": dict(
        tokenizer=unigram,
        model=tiny("JinaEmbeddingsV3", SIZES, BARE, rope_parameters={"rope_type": "default", "rope_theta": 2000.0}),
        modules=["mean", "normalize"],
    ),
}

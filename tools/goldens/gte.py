"""GTE with and without token types and scaled rotary positions."""

import transformers

from goldens.common import unigram, wordpiece


def gte(**more):
    def model(fast):
        config = transformers.GteConfig(
            vocab_size=len(fast),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=40,
            max_position_embeddings=64,
            pad_token_id=fast.pad_token_id,
            initializer_range=0.3,
            **more,
        )
        return transformers.GteModel(config).eval()

    return model


CASES = {
    "gte-cls": dict(tokenizer=unigram, model=gte(), modules=["cls", "normalize"]),
    "gte-mean": dict(
        tokenizer=lambda: wordpiece(True),
        model=gte(type_vocab_size=0, rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0}),
        modules=["mean"],
    ),
}

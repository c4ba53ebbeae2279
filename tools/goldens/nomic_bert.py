"""NomicBERT as transformers saves it."""

import transformers

from goldens.common import wordpiece


def model(fast):
    config = transformers.NomicBertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=64,
        pad_token_id=fast.pad_token_id,
        initializer_range=0.3,
    )
    return transformers.NomicBertModel(config).eval()


CASES = {
    "nomic-bert-mean": dict(tokenizer=lambda: wordpiece(True), model=model, modules=["mean", "normalize"]),
}

"""ModernBERT: a window shorter than the texts, global layers with a rotary base of their own."""

import transformers

from goldens.common import byte_bpe


def model(fast):
    config = transformers.ModernBertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=64,
        local_attention=12,
        pad_token_id=fast.pad_token_id,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        cls_token_id=fast.cls_token_id,
        sep_token_id=fast.sep_token_id,
        initializer_range=0.3,
    )
    return transformers.ModernBertModel(config).eval()


CASES = {
    "modernbert-mean": dict(tokenizer=byte_bpe, model=model, modules=["mean", "normalize"]),
    "modernbert-cls": dict(tokenizer=byte_bpe, model=model, modules=["cls", "normalize"]),
}

"""Decoders as embedders: an end token by the post-processor, last-token pooling, instruct prompts; Gemma 3's mean
over a bidirectional stack and its two Dense modules."""

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from goldens.common import CORPUS, byte_bpe


def end_bpe():
    """Qwen's form: no token before the text, <|endoftext|> after it, which is the padding token too."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=340,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>",
        pair="$A <|endoftext|> $B <|endoftext|>",
        special_tokens=[("<|endoftext|>", 0)],
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, dict(eos_token="<|im_end|>", pad_token="<|endoftext|>")


SIZES = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=48,
    max_position_embeddings=128,
    initializer_range=0.15,
)


def qwen3(fast):
    return transformers.Qwen3Model(transformers.Qwen3Config(vocab_size=len(fast), head_dim=16, **SIZES)).eval()


def qwen2(fast):
    config = transformers.Qwen2Config(
        vocab_size=len(fast), use_sliding_window=True, sliding_window=8, max_window_layers=1, **SIZES
    )
    return transformers.Qwen2Model(config).eval()


def mistral(fast):
    return transformers.MistralModel(
        transformers.MistralConfig(vocab_size=len(fast), sliding_window=16, **SIZES)
    ).eval()


def gemma3(fast):
    config = transformers.Gemma3TextConfig(
        vocab_size=len(fast),
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=12,
        sliding_window_pattern=2,
        use_bidirectional_attention=True,
        pad_token_id=fast.pad_token_id,
        **SIZES,
    )
    return transformers.Gemma3TextModel(config).eval()


CASES = {
    "qwen3-last": dict(
        tokenizer=end_bpe,
        model=qwen3,
        modules=["lasttoken", "normalize"],
        prompts={"query": "Instruct: Find what answers the query\nQuery:", "document": ""},
    ),
    "qwen2-last": dict(tokenizer=end_bpe, model=qwen2, modules=["lasttoken", "normalize"]),
    "mistral-mean": dict(tokenizer=byte_bpe, model=mistral, modules=["mean", "normalize"]),
    "gemma3-dense": dict(
        tokenizer=byte_bpe,
        model=gemma3,
        modules=["mean", "dense:48:Identity", "dense:24:Identity", "normalize"],
        prompts={"query": "task: search result | query: ", "document": "title: none | text: "},
    ),
}

"""BERT and its relatives: activations, poolings, dense modules, prompts, sharded files."""

from goldens.common import byte_bpe, unigram, wordpiece

CASES = {
    "bert-mean": dict(tokenizer=lambda: wordpiece(True), family="Bert", modules=["mean", "normalize"]),
    "bert-cased-cls": dict(
        tokenizer=lambda: wordpiece(False),
        family="Bert",
        config=dict(hidden_act="gelu_new"),
        modules=["cls", "normalize"],
    ),
    "bert-relu-max": dict(
        tokenizer=lambda: wordpiece(True), family="Bert", config=dict(hidden_act="relu"), modules=["max"]
    ),
    "bert-dense": dict(
        tokenizer=lambda: wordpiece(True),
        family="Bert",
        modules=["mean", "dense:24:Tanh", "dense:12:Identity", "normalize"],
    ),
    "bert-several": dict(
        tokenizer=lambda: wordpiece(True),
        family="Bert",
        config=dict(hidden_act="silu", num_attention_heads=2),
        modules=["cls+mean+mean_sqrt_len_tokens+weightedmean+lasttoken"],
    ),
    "bert-prompt": dict(
        tokenizer=lambda: wordpiece(True),
        family="Bert",
        modules=["mean", "normalize"],
        prompts={"query": "find this: ", "passage": "text: "},
        include_prompt=False,
    ),
    "roberta-mean": dict(tokenizer=byte_bpe, family="Roberta", modules=["mean", "normalize"]),
    "roberta-last": dict(
        tokenizer=byte_bpe, family="Roberta", config=dict(hidden_act="quick_gelu"), modules=["lasttoken", "normalize"]
    ),
    "xlm-roberta-cls": dict(tokenizer=unigram, family="XLMRoberta", modules=["cls", "normalize"]),
    "camembert-mean": dict(tokenizer=unigram, family="Camembert", modules=["mean"], sharded=True),
}

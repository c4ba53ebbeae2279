"""Folders of BM42 and miniCOIL as fastembed reads them, around tiny random BERTs; and texts for them."""

import json
import math
import random

import numpy as np
import onnx_models as make
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = (
    "the of and a to in is you that it he was for on are as with his they i at be this have from or one had by word "
    "but not what all were we when your can said there use an each which she do how their if will up other about out "
    "many then them these so some her would make like him into time has look two more write go see number no way could "
    "people my than first water been call who oil its now find long down day did get come made may part running runs "
    "run ran quickly quick foxes fox happily happiness dogs dog swim swimming swimmer vector vectors der die das und "
    "nicht ein mit auf les des est une pour dans los las por con para и в не на я быть он с что а это этот"
).split()
LETTERS = (
    "abcdefghijklmnopqrstuvwxyz0123456789абвгдежзийклмнопрстуфхцчшщъыьэюяαβγδεζηθικλμνξοπρσςτυφχψω日本語テキスト漢字"
)
MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~°«»…—€"
STOP_WORDS = "the\nof\nand\na\nbeing\nis\nund\nто\nnot\n"
HIDDEN, LAYERS, HEADS, WIDE = 64, 3, 4, 96


def tokenizer():
    vocab = [*SPECIAL, *sorted(set(WORDS)), *LETTERS, *MARKS]
    vocab += ["##" + letter for letter in LETTERS] + ["##ing", "##s", "##ed", "##ly"]
    ids = {token: i for i, token in enumerate(dict.fromkeys(vocab))}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(SPECIAL)
    return made


class Bert(torch.nn.Module):
    """What comes out of the published graph, by name: the hidden state, then each layer's attention."""

    def __init__(self, vocab):
        super().__init__()
        self.config = transformers.BertConfig(
            vocab_size=vocab, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=WIDE, max_position_embeddings=128, pad_token_id=0,
        )  # fmt: skip
        self.model = transformers.BertModel._from_config(self.config, attn_implementation="eager")
        self.settings = {"architectures": ["BertModel"], **self.config.to_diff_dict(), "model_type": "bert"}

    def forward(self, input_ids, attention_mask, token_type_ids):
        out = self.model(input_ids, attention_mask, token_type_ids, output_attentions=True)
        return (out.last_hidden_state, *out.attentions)


class JinaSelf(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (torch.nn.Linear(HIDDEN, HIDDEN) for _ in range(3))

    def forward(self, x, bias):
        def split(t):
            return t.view(t.shape[0], t.shape[1], HEADS, HIDDEN // HEADS).transpose(1, 2)

        scores = split(self.query(x)) @ split(self.key(x)).transpose(-1, -2) / math.sqrt(HIDDEN // HEADS) + bias
        return (scores.softmax(-1) @ split(self.value(x))).transpose(1, 2).flatten(2)


class JinaSelfOutput(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.LayerNorm = torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.LayerNorm(HIDDEN)

    def forward(self, context, x):
        return self.LayerNorm(self.dense(context) + x)


class JinaAttention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.self, self.output = JinaSelf(), JinaSelfOutput()

    def forward(self, x, bias):
        return self.output(self.self(x, bias), x)


class JinaMlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gated_layers = torch.nn.Linear(HIDDEN, 2 * WIDE, bias=False)
        self.wo, self.layernorm = torch.nn.Linear(WIDE, HIDDEN), torch.nn.LayerNorm(HIDDEN)

    def forward(self, x):
        both = self.gated_layers(x)
        return self.layernorm(self.wo(torch.nn.functional.gelu(both[..., :WIDE]) * both[..., WIDE:]) + x)


class JinaLayer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.mlp = JinaAttention(), JinaMlp()

    def forward(self, x, bias):
        return self.mlp(self.attention(x, bias))


class JinaEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.ModuleList(JinaLayer() for _ in range(LAYERS))

    def forward(self, x, bias):
        for layer in self.layer:
            x = layer(x, bias)
        return x


class JinaEmbeddings(torch.nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.word_embeddings = torch.nn.Embedding(vocab, HIDDEN)
        self.token_type_embeddings = torch.nn.Embedding(2, HIDDEN)
        self.LayerNorm = torch.nn.LayerNorm(HIDDEN)

    def forward(self, ids, types):
        return self.LayerNorm(self.word_embeddings(ids) + self.token_type_embeddings(types))


class Jina(torch.nn.Module):
    """JinaBERT v2, miniCOIL's encoder (families/jina_bert.py states the same without modules). Modules and their names
    are those of jinaai/jina-bert-implementation: they are what an export keeps."""

    def __init__(self, vocab):
        super().__init__()
        self.embeddings, self.encoder = JinaEmbeddings(vocab), JinaEncoder()
        self.settings = dict(
            architectures=["JinaBertForMaskedLM"], model_type="bert", vocab_size=vocab, hidden_size=HIDDEN,
            num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=WIDE, type_vocab_size=2,
            max_position_embeddings=8192, layer_norm_eps=1e-5, hidden_act="gelu", position_embedding_type="alibi",
            feed_forward_type="geglu", pad_token_id=0,
            auto_map={"AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"},
        )  # fmt: skip

    def forward(self, input_ids, attention_mask, token_type_ids):
        at = torch.arange(input_ids.shape[1])
        slopes = torch.tensor([2.0 ** (-8 * (i + 1) / HEADS) for i in range(HEADS)])
        bias = -slopes[:, None, None] * (at[:, None] - at[None, :]).abs().float()
        bias = bias + (1 - attention_mask[:, None, None, :].float()) * -1e9
        return (self.encoder(self.embeddings(input_ids, token_type_ids), bias),)


def write_folder(folder, graph, outputs, body=Bert, max_length=40, model_max_length=96, seed=0):
    """config.json, the tokenizer's files and the graph; `outputs` are its outputs' names."""
    tokens = tokenizer()
    model = body(tokens.get_vocab_size()).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():  # no two alike: exporters merge those that are
            noise = torch.randn(parameter.shape, generator=generator) * 0.15
            parameter.copy_(noise + 1 if parameter.ndim == 1 else noise)
    (folder / graph).parent.mkdir(parents=True, exist_ok=True)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.randint(5, tokens.get_vocab_size(), (2, 9), generator=generator)
    with make.quiet(), torch.no_grad():
        torch.onnx.export(
            model, (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(folder / graph), input_names=names,
            output_names=outputs, opset_version=17, dynamic_axes={n: {0: "b", 1: "s"} for n in names}, dynamo=False,
        )  # fmt: skip
    tokens.save(str(folder / "tokenizer.json"))
    named = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], SPECIAL))
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": model_max_length, "max_length": max_length}
    files = {
        "config.json": model.settings,
        "tokenizer_config.json": settings | named,
        "special_tokens_map.json": named,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "stopwords.txt").write_text(STOP_WORDS)


def texts(count, seed=7):
    rng = random.Random(seed)

    def word():
        kind = rng.random()
        if kind < 0.55:
            return rng.choice(WORDS) + rng.choice(["", "", "", "s", "ing", "ly", "'s", "."])
        if kind < 0.9:
            script = rng.choice([LETTERS[:36], LETTERS[36:68], LETTERS[68:93], LETTERS[93:]])
            return "".join(rng.choice(script) for _ in range(rng.randrange(1, 9)))
        return rng.choice(
            [*MARKS, "9°", "9°9", "word^vec", "[SEP]", "[CLS]", "Ünïcode", "ΟΔΥΣΣΕΥΣ", "ё", "\u0e01", "x" * 60]
        )

    made = [" ".join(word() for _ in range(rng.choice([1, 4, 12, 60]))) for _ in range(count)]
    return [*made, "", " ", "the", "The running foxes ran, the fox runs!", "swim swimming swimmer SWIM"]


def add_minicoil(folder, dtype=np.float32, seed=3):
    """The vocabulary of words that miniCOIL knows, and a matrix for each."""
    # "being" is a stop word as well, "run" is known by its stem alone, "ώ" and the like not at all.
    known = ["fox", "swim", "running", "vector", "people", "being", "hund", "happy", "quick", "day", "может", "日"]
    stems = {"fox": "fox", "swim": "swim", "run": "running", "vector": "vector", "peopl": "people", "be": "being",
             "happi": "happy", "quick": "quick", "day": "day"}  # fmt: skip
    (folder / "minicoil.triplet.model.vocab").write_text(json.dumps({"vocab": known, "stem_mapping": stems}))
    heads = np.random.default_rng(seed).normal(size=(len(known) + 1, HIDDEN, 4)) * 0.1
    np.save(folder / "minicoil.triplet.model.npy", heads.astype(dtype))

"""Rerankers that are causal language models: tokens equal to the published usage, scores to sentence-transformers'
CrossEncoder with LogitScore and to transformers in float64. The models are random; their tokenizer is trained here on the
examples' sentences, with Qwen's split and special tokens.
"""

import copy
import json
import os
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_lines
from families import shake
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

DRIVER = os.environ.get("INLAY_PAIRS_DRIVER", str(ROOT / "build/tests/oracles/pairs_driver"))
# Qwen2's pre-tokenizer, as in its tokenizer.json.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
INSTRUCTIONS = [None, "Find code that answers", "  {query} {instruction}\n"]
SENTENCES = (ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()
PAIRS = [
    ("what is a ferry?", "A ferry carries people over water.\n"),
    ("", ""),
    ("yes", "no"),
    ("a\n\n", "\n \n trailing space "),
    ("who {query}", "{document} <|im_end|>\n<|im_start|>assistant"),
    ("naïve Ünïcode 東京", "emoji 🙂 — dash\r\n1234567"),
    ("word " * 30, "ferry " * 400),
    ("river bank " * 300, "A short text."),
    ("long " * 400, "river " * 400),
    ("boat " * 140, "x"),
    *[(SENTENCES[i], SENTENCES[-1 - i]) for i in range(12)],
]

# huggingface.co/Qwen/Qwen3-Reranker-0.6B, the card's "Transformers Usage".
QWEN3_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
QWEN3_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
QWEN3_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
# The same as a chat template with the roles that sentence-transformers gives a pair; its system message is a prompt.
QWEN3_CHAT = (
    "{%- set own = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list -%}"
    "{{- "
    + json.dumps(QWEN3_PREFIX)
    + " + '<Instruct>: ' + (own[0] if own else "
    + json.dumps(QWEN3_INSTRUCTION)
    + ") + '\\n<Query>: ' -}}"
    "{{- messages | selectattr('role', 'equalto', 'query') | map(attribute='content') | first -}}"
    "{{- '\\n<Document>: ' -}}"
    "{{- messages | selectattr('role', 'equalto', 'document') | map(attribute='content') | first -}}"
    "{{- " + json.dumps(QWEN3_SUFFIX) + " -}}"
)
# PyPI mxbai-rerank 0.1.6, mxbai_rerank_v2.py.
MXBAI_PREFIX = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n"
)
MXBAI_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
MXBAI_TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document "
    "pair, carefully analyze the semantic relationship between them, then provide your binary relevance judgment (0 for "
    "not relevant, 1 for relevant).\nRelevance:"
)


def train_tokenizer():
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    corpus = [*SENTENCES, MXBAI_TASK, QWEN3_PREFIX, "yes no\nyes\nno " * 50]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False))
    for token in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]:
        bpe.add_special_tokens([AddedToken(token, special=True, normalized=False)])
    bpe.add_tokens([AddedToken(token, normalized=False) for token in ["<think>", "</think>"]])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=131072
    )
    assert all(fast.convert_tokens_to_ids(token) is not None for token in ["yes", "no", "0", "1"])
    return fast


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer()


def make(folder, tokenizer, family, **config):
    sizes = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
    config = dict(vocab_size=len(tokenizer), num_key_value_heads=2, max_position_embeddings=32768) | sizes | config
    config |= dict(initializer_range=0.3, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id)
    torch.manual_seed(11)
    if family == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(head_dim=16, tie_word_embeddings=True, **config))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=True, **config))
    model = shake(model.eval())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model.double()


def ids_of(folder, pairs, limit, *options):
    lines = "".join(json.dumps([x for x in pair if x is not None]) + "\n" for pair in pairs)
    done = subprocess.run([DRIVER, folder, str(limit), *options], input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    numbers = [[int(x) for x in line.split()] for line in done.stdout.splitlines()]
    return [(bool(line[0]), line[1:]) for line in numbers]


def plain(tokenizer, text, **options):
    return tokenizer(text, add_special_tokens=False, **options)["input_ids"]


def qwen3_ids(tokenizer, query, text, instruction, limit=8192):
    """The card's process_inputs()."""
    prefix, suffix = plain(tokenizer, QWEN3_PREFIX), plain(tokenizer, QWEN3_SUFFIX)
    body = f"<Instruct>: {instruction or QWEN3_INSTRUCTION}\n<Query>: {query}\n<Document>: {text}"
    room = limit - len(prefix) - len(suffix)
    return prefix + plain(tokenizer, body, truncation="longest_first", max_length=room) + suffix


def mxbai_ids(tokenizer, query, text, instruction, limit=None, own_limit=8192, model_limit=32768):
    """MxbaiRerankV2.prepare_inputs(): its max_length counts what the template does not; `limit` is of the whole."""
    prefix, suffix = plain(tokenizer, MXBAI_PREFIX), plain(tokenizer, MXBAI_SUFFIX)
    task, between = plain(tokenizer, MXBAI_TASK), plain(tokenizer, "\n")
    around = len(prefix) + len(task) + len(suffix) + len(between)
    most = min(own_limit, (limit or model_limit) - around)
    asked = f"instruction: {instruction}\nquery: {query}" if instruction else f"query: {query}"
    question = plain(tokenizer, asked, truncation=True, max_length=most * 3 // 4)
    room = min(model_limit - len(question) - around, most)
    document = plain(tokenizer, f"document: {text}", truncation=True, max_length=room)
    pair = question + (between + document)[: most - len(question)]
    return prefix + pair + between + task + suffix


FAMILIES = {"qwen3": ("qwen3-reranker", qwen3_ids), "qwen2": ("mxbai-rerank", mxbai_ids)}


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
@pytest.mark.parametrize("limit", [None, 400, 190])
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_the_published_ones(tmp_path, tokenizer, family, limit, instruction):
    name, published = FAMILIES[family]
    make(tmp_path / name, tokenizer, family)
    own = AutoTokenizer.from_pretrained(tmp_path / name)
    pairs = PAIRS
    if limit is None:
        pairs = [*PAIRS, ("q", "river bank, " * 9000), ("fox " * 9000, "river " * 9000)]
    got = ids_of(tmp_path / name, [(*pair, instruction) for pair in pairs], limit or 0)
    cut = 0
    whole = {"limit": 10**6} if family == "qwen3" else {"own_limit": 10**6, "model_limit": 10**6}
    for (query, text), (truncated, ids) in zip(pairs, got, strict=True):
        expected = published(own, query, text, instruction, **({"limit": limit} if limit else {}))
        assert ids == expected, (query[:40], text[:40])
        assert truncated == (len(published(own, query, text, instruction, **whole)) > len(ids))
        if limit:
            assert len(ids) <= limit
        cut += truncated
    assert cut >= 2  # the list has pairs that do not fit


@pytest.mark.parametrize("family", FAMILIES)
def test_the_template_stays_whole_when_the_left_end_gives_way(tmp_path, tokenizer, family):
    name, published = FAMILIES[family]
    make(tmp_path / name, tokenizer, family)
    own = AutoTokenizer.from_pretrained(tmp_path / name)
    text = "river bank, " * 300 + "the end"
    [(truncated, ids)] = ids_of(tmp_path / name, [("q", text)], 300, "left")
    whole = published(own, "q", text, None)
    assert truncated and len(ids) == 300
    # Everything but the document's beginning: what stands before it, its own end, what follows it.
    label = "<Document>:" if family == "qwen3" else "document:"
    ahead = next(n for n in range(300) if own.decode(whole[:n]).endswith(label))
    assert ids[:ahead] == whole[:ahead]
    assert ids[ahead:] == whole[len(whole) - (300 - ahead) :]


def logits(model, tokenizer, ids, yes="yes", no="no"):
    with torch.no_grad():
        last = model(torch.tensor([ids])).logits[0, -1]
    return (last[tokenizer.convert_tokens_to_ids(yes)] - last[tokenizer.convert_tokens_to_ids(no)]).item()


def close(got, expected):
    return abs(got - expected) <= 1e-5 * max(1, abs(expected))


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_the_published_ones(tmp_path, tokenizer, family, device):
    name, published = FAMILIES[family]
    model = make(tmp_path / name, tokenizer, family)
    answers = ("yes", "no") if family == "qwen3" else ("1", "0")
    for instruction in INSTRUCTIONS[:2]:
        arguments = ["--pairs", "--device", device, "--max-length", "400"]
        arguments += ["--instruction", instruction] if instruction else []
        raw = inlay_lines("rerank", tmp_path / name, PAIRS, [*arguments, "--raw-scores"])
        scores = inlay_lines("rerank", tmp_path / name, PAIRS, arguments)
        for pair, logit, score in zip(PAIRS, raw, scores, strict=True):
            ids = published(tokenizer, *pair, instruction, limit=400)
            expected = logits(model, tokenizer, ids, *answers)
            assert logit["tokens"] == len(ids)
            assert close(logit["score"], expected), pair[0][:40]
            # The card's softmax over "no" and "yes" is this sigmoid.
            assert close(score["score"], 1 / (1 + np.exp(-expected)))


def cross_encoder(folder, tokenizer, family, chat, **score):
    """A folder as sentence-transformers saves it, and the model that it loads from there."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore

    own = copy.deepcopy(tokenizer)
    own.chat_template = chat
    make(folder / "raw", own, family)
    modules = [Transformer(str(folder / "raw"), transformer_task="text-generation"), LogitScore(**score)]
    saved = CrossEncoder(modules=modules, device="cpu", prompts={"code": INSTRUCTIONS[1]})
    saved.save_pretrained(str(folder / "saved"))
    return CrossEncoder(str(folder / "saved"), device="cpu").double()


@pytest.mark.parametrize("no", [True, False])
def test_sentence_transformers_cross_encoder(tmp_path, tokenizer, no):
    """Padded on the left in batches there, packed here: padding has no part in a score."""
    score = {"true_token_id": tokenizer.convert_tokens_to_ids("yes")}
    if no:
        score["false_token_id"] = tokenizer.convert_tokens_to_ids("no")
    encoder = cross_encoder(tmp_path, tokenizer, "qwen3", QWEN3_CHAT, **score)
    assert encoder.tokenizer.padding_side == "left"
    pairs = [pair for pair in PAIRS if len(pair[0] + pair[1]) < 1000]
    for arguments, options in [
        ([], {}),
        (["--prompt", "code"], {"prompt_name": "code"}),
        (["--instruction", INSTRUCTIONS[1]], {"prompt": INSTRUCTIONS[1]}),
        (["--raw-scores"], {"activation_fn": torch.nn.Identity()}),
    ]:
        lines = inlay_lines("rerank", tmp_path / "saved", pairs, ["--pairs", *arguments])
        alone = encoder.predict(pairs, batch_size=1, **options)
        padded = encoder.predict(pairs, batch_size=7, **options)
        for pair, line, one, value in zip(pairs, lines, alone, padded, strict=True):
            assert close(line["score"], float(one)), pair
            # There, padding moves a score by up to 1e-5 of itself: that much is not ours.
            assert abs(line["score"] - float(value)) <= 1e-5 * max(1, abs(value)) + abs(value - one), pair
        assert lines[0]["prompt"] == ("code" if arguments == ["--prompt", "code"] else None)


def test_long_documents_lose_their_end_as_in_sentence_transformers(tmp_path, tokenizer):
    """There the rendered text is cut and the template's tail written over the last tokens; here the document gives way."""
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    encoder = cross_encoder(tmp_path, tokenizer, "qwen3", QWEN3_CHAT, true_token_id=yes, false_token_id=no)
    encoder.max_seq_length = 300
    pairs = [("q", "river bank, " * 300), ("what is a ferry?", "boats and trains " * 200)]
    lines = inlay_lines("rerank", tmp_path / "saved", pairs, ["--pairs", "--max-length", "300"])
    for line, value in zip(lines, encoder.predict(pairs), strict=True):
        assert (line["tokens"], line["truncated"]) == (300, True)
        assert close(line["score"], float(value))


@pytest.mark.parametrize("family", FAMILIES)
def test_one_query_for_many_texts_is_the_pairs_one_by_one(tmp_path, tokenizer, family):
    name = FAMILIES[family][0]
    make(tmp_path / name, tokenizer, family)
    query = "what is a ferry?"
    texts = [text for _, text in PAIRS]
    ranked = inlay_lines("rerank", tmp_path / name, texts, ["--query", query, "--max-length", "500"])
    alone = [
        inlay_lines("rerank", tmp_path / name, [(query, text)], ["--pairs", "--max-length", "500"])[0]["score"]
        for text in texts
    ]
    assert sorted(line["index"] for line in ranked) == list(range(len(texts)))
    assert all(line["score"] == alone[line["index"]] for line in ranked)


def test_templates_and_tokenizers_that_are_others_are_refused(tmp_path, tokenizer):
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    chat = "{{ messages[0].role }}: {{ messages[0].content }}\ndocument: {{ messages[1].content }}"
    cross_encoder(tmp_path, tokenizer, "qwen3", chat, true_token_id=yes, false_token_id=no)
    code, message = inlay_lines("rerank", tmp_path / "saved", ["a"], ["--query", "q"], expect_error=True)
    assert code == 65 and "chat_template" in message and message.count("\n") == 1
    # Qwen2 is the base of many models: only one that calls itself a reranker is taken for one.
    make(tmp_path / "chatty", tokenizer, "qwen2")
    code, message = inlay_lines("rerank", tmp_path / "chatty", ["a"], ["--query", "q"], expect_error=True)
    assert code == 65 and "qwen2" in message and "mxbai-rerank" in message
    arguments = ["--query", "q", "--max-length", "200", "--truncate", "error"]
    make(tmp_path / "qwen3-reranker", tokenizer, "qwen3")
    assert inlay_lines("rerank", tmp_path / "qwen3-reranker", ["a"], arguments)[0]["truncated"] is False
    code, message = inlay_lines("rerank", tmp_path / "qwen3-reranker", ["a " * 200], arguments, expect_error=True)
    assert code == 65 and "text 0" in message and "--truncate error" in message
    arguments = ["--query", "q", "--max-length", "60"]
    code, message = inlay_lines("rerank", tmp_path / "qwen3-reranker", ["a"], arguments, expect_error=True)
    assert code == 2 and "--max-length" in message and "template" in message


@pytest.mark.parametrize("activation", ["Identity", "Sigmoid", None])
@pytest.mark.parametrize("labels", [1, 3])
def test_activations_that_a_folder_names(tmp_path, labels, activation):
    from sentence_transformers import CrossEncoder
    from test_tasks import BERT
    from test_tasks import make as make_bert

    make_bert(tmp_path / "raw", BERT, "Bert", "ForSequenceClassification", num_labels=labels)
    function = getattr(torch.nn, activation)() if activation else None
    CrossEncoder(str(tmp_path / "raw"), device="cpu", activation_fn=function).save_pretrained(str(tmp_path / "saved"))
    encoder = CrossEncoder(str(tmp_path / "saved"), device="cpu").double()
    pairs = [(SENTENCES[i], SENTENCES[-1 - i]) for i in range(8)]
    lines = inlay_lines("rerank", tmp_path / "saved", pairs, ["--pairs"])
    for line, value in zip(lines, encoder.predict(pairs), strict=True):
        got = line["scores"] if labels > 1 else [line["score"]]
        assert np.abs(np.array(got) - np.atleast_1d(value)).max() <= 1e-5 * max(1, np.abs(value).max())

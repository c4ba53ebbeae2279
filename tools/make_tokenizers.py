"""Makes the tokenizers and golden cases of tests/data/tokens: the published layouts over small vocabularies.

Every file is written deterministically, offline: vocabularies.py trains the vocabularies, pipelines are
restated from the published tokenizer.json files, answers come from the pinned `tokenizers` wheel. Run it again after a
change and commit what it writes; tests/oracles/test_tokens.py checks that nothing differs.

  python tools/make_tokenizers.py [--out tests/data/tokens]
"""

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from vocabularies import (  # noqa: E402
    SENTENCES,
    SPACE,
    WORDS,
    bpe,
    byte_bpe,
    charsmap,
    train_bpe,
    unigram,
    wordpiece,
)

# -------------------------------------------------------------------------------------------------- pipelines


def added(content, id_=0, **flags):
    token = {
        "id": id_,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    token.update(flags)
    return token


def tokenizer(model, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None, added_tokens=()):
    vocab = model["vocab"]
    ids = vocab if isinstance(vocab, dict) else {entry[0]: i for i, entry in enumerate(vocab)}
    tokens, free = [], len(vocab)
    for token in added_tokens:
        token = dict(token, id=ids.get(token["content"], free))
        free += token["content"] not in ids
        tokens.append(token)
    tokens.sort(key=lambda token: token["id"])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": model,
    }


def template(single, pair, ids):
    def piece(text):
        name, _, type_id = text.partition(":")
        if name in ("A", "B"):
            return {"Sequence": {"id": name, "type_id": int(type_id or 0)}}
        return {"SpecialToken": {"id": name, "type_id": int(type_id or 0)}}

    names = [p.partition(":")[0] for p in (single + " " + pair).split()]
    tokens = {n: {"id": n, "ids": [ids[n]], "tokens": [n]} for n in names if n not in ("A", "B")}
    return {
        "type": "TemplateProcessing",
        "single": [piece(p) for p in single.split()],
        "pair": [piece(p) for p in pair.split()],
        "special_tokens": dict(sorted(tokens.items())),
    }


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def metaspace(scheme="always", split=True):
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": split}


def byte_level_part(add_prefix_space=False, trim_offsets=True, use_regex=True):
    return {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
        "use_regex": use_regex,
    }


def split(pattern, behavior="Isolated", invert=False):
    kind = "Regex" if isinstance(pattern, str) else "String"
    return {
        "type": "Split",
        "pattern": {kind: pattern if kind == "Regex" else pattern[0]},
        "behavior": behavior,
        "invert": invert,
    }


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDPIECE_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
LLAMA_DECODER = sequence(
    "decoders",
    replace({"String": SPACE}, " "),
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
)


def bert(lower):
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return tokenizer(
        wordpiece(specials, lower, 430),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
         "lowercase": lower},
        {"type": "BertPreTokenizer"},
        template("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]:1", {"[CLS]": 2, "[SEP]": 3}),
        WORDPIECE_DECODER, [added(s) for s in specials])  # fmt: skip


def mpnet():
    specials = ["<s>", "<pad>", "</s>", "[UNK]"]
    return tokenizer(
        wordpiece([*specials, "<mask>"], True, 300),
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
         "lowercase": True},
        {"type": "BertPreTokenizer"},
        {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
         "add_prefix_space": False},
        WORDPIECE_DECODER, [added(s) for s in specials] + [added("<mask>", lstrip=True, normalized=True)])  # fmt: skip


def gpt2():
    return tokenizer(
        byte_bpe(100, ["<|endoftext|>"]),
        None,
        byte_level_part(),
        byte_level_part(trim_offsets=False),
        byte_level_part(),
        [added("<|endoftext|>", normalized=True)],
    )


def roberta(add_prefix_space):
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    return tokenizer(
        byte_bpe(90, ["<mask>"], specials), None, byte_level_part(add_prefix_space),
        {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
         "add_prefix_space": add_prefix_space},
        byte_level_part(), [added(s, normalized=True) for s in specials] + [added("<mask>", lstrip=True)])  # fmt: skip


def llama3():
    model = byte_bpe(90, pairs=True, ignore_merges=True)
    for word in ("Ġembedding", "Ġvectors", "Ġunbelievable"):
        model["vocab"][word] = len(model["vocab"])
    begin = len(model["vocab"])
    return tokenizer(
        model, None, sequence("pretokenizers", split(LLAMA3), byte_level_part(use_regex=False)),
        sequence("processors", byte_level_part(True, False),
                 template("<|begin_of_text|> A", "<|begin_of_text|> A <|begin_of_text|>:1 B:1",
                          {"<|begin_of_text|>": begin})),
        byte_level_part(True), [added("<|begin_of_text|>"), added("<|end_of_text|>"), added("<|eot_id|>")])  # fmt: skip


def qwen2(pattern=QWEN2, merges=80):
    return tokenizer(
        byte_bpe(merges), {"type": "NFC"},
        sequence("pretokenizers", split(pattern), byte_level_part(trim_offsets=False, use_regex=False)),
        byte_level_part(trim_offsets=False, use_regex=False), byte_level_part(use_regex=False),
        [added("<|endoftext|>"), added("<|im_start|>"), added("<|im_end|>"), added("<tool>", special=False)])  # fmt: skip


def deepseek():
    return tokenizer(
        byte_bpe(50), sequence("normalizers"),
        sequence("pretokenizers", split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK),
                 byte_level_part(use_regex=False)),
        byte_level_part(True, False), byte_level_part(),
        [added("<｜begin▁of▁sentence｜>"), added("<think>", special=False, normalized=True)])  # fmt: skip


def xlmr(charsmap_text):
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    return tokenizer(
        unigram(specials, "<unk>", 400),
        sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": charsmap_text},
                 replace({"Regex": " {2,}"}, " ")),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace()),
        template("<s> A </s>", "<s> A </s> </s> B </s>", {"<s>": 0, "</s>": 2}), metaspace(),
        [added(s) for s in specials] + [added("<mask>", lstrip=True)])  # fmt: skip


def albert(charsmap_text):
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return tokenizer(
        unigram(specials, "<unk>", 260, lower=True),
        sequence("normalizers", replace({"String": "``"}, '"'), replace({"String": "''"}, '"'), {"type": "NFKD"},
                 {"type": "StripAccents"}, {"type": "Lowercase"},
                 {"type": "Precompiled", "precompiled_charsmap": charsmap_text}, replace({"Regex": " {2,}"}, " ")),
        metaspace(), template("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]:1", {"[CLS]": 2, "[SEP]": 3}), metaspace(),
        [added(s) for s in specials[:4]] + [added("[MASK]", lstrip=True)])  # fmt: skip


def t5(charsmap_text):
    specials = ["<pad>", "</s>", "<unk>"]
    extra = [added(f"<extra_id_{i}>", rstrip=i == 1, lstrip=i == 2) for i in range(3)]
    return tokenizer(
        unigram(specials, "<unk>", 240), {"type": "Precompiled", "precompiled_charsmap": charsmap_text},
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("first")),
        template("A </s>", "A </s> B </s>", {"</s>": 1}), metaspace("first"),
        [added(s) for s in specials] + extra)  # fmt: skip


def deberta_v3(charsmap_text):
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    return tokenizer(
        unigram(specials, "[UNK]", 240),
        sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True},
                 {"type": "Precompiled", "precompiled_charsmap": charsmap_text}, replace({"Regex": " {2,}"}, " ")),
        sequence("pretokenizers", {"type": "Punctuation", "behavior": "Isolated"}, metaspace()),
        template("[CLS] A [SEP]", "[CLS] A [SEP] B:1 [SEP]:1", {"[CLS]": 1, "[SEP]": 2}), metaspace(),
        [added(s, normalized=s == "[UNK]") for s in specials] + [added("[MASK]")])  # fmt: skip


def camembert(charsmap_text):
    specials = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    return tokenizer(
        unigram(specials, "<unk>", 240),
        sequence("normalizers", {"type": "Precompiled", "precompiled_charsmap": charsmap_text},
                 replace({"Regex": " {2,}"}, SPACE)),
        sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace()),
        {"type": "RobertaProcessing", "sep": ["</s>", 6], "cls": ["<s>", 5], "trim_offsets": True,
         "add_prefix_space": True},
        metaspace(), [added(s) for s in ("<s>NOTUSED", "<pad>", "<s>", "</s>", "<unk>")]
        + [added("<mask>", lstrip=True)])  # fmt: skip


def sentencepiece_bpe(merges, specials, **options):
    words = [SPACE + word for word in WORDS if word.isascii()]
    tokens, pairs = train_bpe(words, merges)
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    return bpe(
        [*specials, *bytes_, *tokens],
        [" ".join(pair) for pair in pairs],
        byte_fallback=True,
        fuse_unk=True,
        unk_token="<unk>",
        **options,
    )


def llama2():
    return tokenizer(
        sentencepiece_bpe(90, ["<unk>", "<s>", "</s>"]),
        sequence("normalizers", {"type": "Prepend", "prepend": SPACE}, replace({"String": " "}, SPACE)), None,
        template("<s> A", "<s> A <s>:1 B:1", {"<s>": 1}), LLAMA_DECODER,
        [added(s) for s in ("<unk>", "<s>", "</s>")])  # fmt: skip


def gemma():
    return tokenizer(
        sentencepiece_bpe(70, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]), replace({"String": " "}, SPACE),
        split([" "], "MergedWithPrevious"), template("<bos> A", "<bos> A <bos>:1 B:1", {"<bos>": 2}),
        sequence("decoders", replace({"String": SPACE}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}),
        [added(s) for s in ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")]
        + [added("\n\n", special=False), added("<start_of_turn>")])  # fmt: skip


def mistral():
    return tokenizer(
        sentencepiece_bpe(60, ["<unk>", "<s>", "</s>"], ignore_merges=True),
        None,
        metaspace("first", False),
        template("<s> A", "<s> A <s>:1 B:1", {"<s>": 1}),
        LLAMA_DECODER,
        [added(s) for s in ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")],
    )


def suffix_bpe():
    """CLIP and GPT-1: the end of a word is marked, unknown characters are a token."""
    words = [[*word[:-1], word[-1] + "</w>"] for word in SENTENCES.lower().split() if word.isascii()]
    tokens, pairs = train_bpe(words, 100, ["<unk>"])
    model = bpe(tokens, [" ".join(pair) for pair in pairs], unk_token="<unk>", end_of_word_suffix="</w>")
    return tokenizer(
        model,
        {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        {"type": "BertPreTokenizer"},
        None,
        {"type": "BPEDecoder", "suffix": "</w>"},
        [added("<unk>")],
    )


def prefix_bpe(fuse_unk):
    words = [["##" + c if i else c for i, c in enumerate(word)] for word in WORDS if word.isascii()]
    tokens, _ = train_bpe(words, 0, ["<unk>"])
    merges, known = [], dict.fromkeys(tokens)
    plain, pairs = train_bpe([word for word in WORDS if word.isascii()], 70)
    for left, right in pairs:
        for first in (left, "##" + left):
            if first in known and "##" + right in known:
                known[first + right] = None
                merges.append([first, "##" + right])
    model = bpe(list(known), merges, unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=fuse_unk)
    return tokenizer(model, None, {"type": "Whitespace"}, None, WORDPIECE_DECODER, [added("<unk>")])


def word_level(pre_tokenizer=None, normalizer=None, added_tokens=(), post_processor=None, decoder=None):
    vocab = {token: i for i, token in enumerate(["[UNK]", "the", "dog", ".", "a", "b", "ab", " ", "1", "-", SPACE])}
    return tokenizer(
        {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
        normalizer,
        pre_tokenizer,
        post_processor,
        decoder,
        added_tokens,
    )


def unigram_bytes():
    return tokenizer(
        unigram(["<unk>", "<s>", "</s>"], "<unk>", 400, byte_fallback=True),
        None,
        metaspace("always"),
        template("<s> A </s>", "<s> A </s> B </s>", {"<s>": 1, "</s>": 2}),
        sequence("decoders", {"type": "ByteFallback"}, metaspace()),
        [added("<s>"), added("</s>")],
    )


def families():
    small = charsmap()
    return {
        "bert_uncased": bert(True), "bert_cased": bert(False), "mpnet": mpnet(), "gpt2": gpt2(),
        "roberta": roberta(False), "roberta_prefix": roberta(True), "llama3": llama3(), "qwen2": qwen2(),
        "o200k": qwen2(O200K, 60), "deepseek": deepseek(), "xlmr": xlmr(small), "albert": albert(small),
        "t5": t5(small), "deberta_v3": deberta_v3(small), "camembert": camembert(small), "llama2": llama2(),
        "gemma": gemma(), "mistral": mistral(), "suffix_bpe": suffix_bpe(), "prefix_bpe": prefix_bpe(False),
        "prefix_bpe_fused": prefix_bpe(True), "unigram_bytes": unigram_bytes(),
    }  # fmt: skip


def variants():
    """One small vocabulary under every pre-tokenizer behaviour, added-token flag and post-processor."""
    result = {}
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for behavior in behaviors:
        result[f"punctuation_{behavior}"] = word_level({"type": "Punctuation", "behavior": behavior})
        for invert in (False, True):
            tail = f"{behavior}{'_inverted' if invert else ''}"
            result[f"split_regex_{tail}"] = word_level(split(r"\d+|[a-b]\s?", behavior, invert))
            result[f"split_string_{tail}"] = word_level(split(["ab"], behavior, invert))
        result[f"split_empty_{behavior}"] = word_level(split(r"x*", behavior))
    for pattern in (r"\b", r"(?i)THE|ſ", r"^\w+$", r"(?<=a)b|\Ba", r"[[:punct:]&&[^-]]+", r"[^\W\d_]{2,3}+",
                    r"\h{2}", r"(?m:a.b)", r"\p{Han}|\p{Greek}+|\p{^L}", r"(a|ab)(?:c|\1)", "[é-ü]+", r"(?x) a b # c",
                    r"\s+$", r"\p{Lu}\p{Ll}*|\p{M}", r"[\x{4e00}-\u9fff]", r"\P{Alpha}+"):  # fmt: skip
        result[f"regex {pattern}"] = word_level(split(pattern))
    for name in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"):
        result[name] = word_level({"type": name})
    result["digits"] = word_level({"type": "Digits", "individual_digits": False})
    result["digits_individual"] = word_level({"type": "Digits", "individual_digits": True})
    result["delimiter"] = word_level({"type": "CharDelimiterSplit", "delimiter": "-"})
    result["fixed_length"] = word_level({"type": "FixedLength", "length": 3})
    for scheme in ("always", "never", "first"):
        for cut in (True, False):
            flags = [added("[X]"), added("y", normalized=True, special=False)]
            result[f"metaspace_{scheme}_{cut}"] = word_level(
                metaspace(scheme, cut), {"type": "Strip", "strip_left": True, "strip_right": False}, flags,
                None, metaspace(scheme, cut))  # fmt: skip
    result["metaspace_old"] = word_level({"type": "Metaspace", "replacement": "_", "add_prefix_space": True})
    result["nested"] = word_level(
        sequence(
            "pretokenizers",
            {"type": "WhitespaceSplit"},
            sequence("pretokenizers", {"type": "Punctuation"}, {"type": "Digits", "individual_digits": True}),
        )
    )
    for prefix in (False, True):
        for regex in (False, True):
            result[f"byte_level_{prefix}_{regex}"] = word_level(
                byte_level_part(prefix, True, regex), None, [added("[X]")], byte_level_part(prefix, True)
            )
    for bits in range(32):
        flags = {
            name: bool(bits >> i & 1)
            for i, name in enumerate(("single_word", "lstrip", "rstrip", "normalized", "special"))
        }
        result[f"added_{bits}"] = word_level(
            {"type": "WhitespaceSplit"},
            {"type": "Lowercase"},
            [added("Dog", **flags), added("<é>", **flags), added("ab c", **flags), added("ab", **flags)],
        )
    result["no_unk_needed"] = word_level(None)
    a_b = {"$": 5, "@@": 6}
    many = template("A $", "$ B:1 A:2 @@:3 $", a_b)
    many["special_tokens"]["@@"].update(ids=[6, 7, 8], tokens=["@@", "x", "y"])
    result["template_many"] = word_level({"type": "Whitespace"}, None, (), many)
    result["template_twice"] = word_level({"type": "Whitespace"}, None, (), template("A A:1 $", "A B:1 A:2", a_b))
    result["post_bert"] = word_level(
        {"type": "Whitespace"}, None, (), {"type": "BertProcessing", "sep": ["s", 4], "cls": ["c", 5]}
    )
    result["post_sequence"] = word_level(
        byte_level_part(True),
        None,
        (),
        sequence(
            "processors",
            byte_level_part(True),
            template("$ A", "A B:1", a_b),
            byte_level_part(False),
            {"type": "BertProcessing", "sep": ["s", 4], "cls": ["c", 5]},
        ),
    )
    result["post_roberta_no_trim"] = word_level(
        byte_level_part(False),
        None,
        (),
        {
            "type": "RobertaProcessing",
            "sep": ["s", 4],
            "cls": ["c", 5],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
    )
    decoders = {
        "ctc": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "-", "cleanup": True},
        "ctc_raw": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "-", "cleanup": False},
        "strip": {"type": "Strip", "content": "a", "start": 1, "stop": 0},
        "fuse": {"type": "Fuse"}, "replace_regex": replace({"Regex": "[a-d]+"}, "<>"),
        "replace_empty": replace({"String": ""}, "."), "bpe": {"type": "BPEDecoder", "suffix": "b"},
        "wordpiece_raw": {"type": "WordPiece", "prefix": "d", "cleanup": False},
        "byte_level": byte_level_part(), "metaspace": metaspace("never"),
    }  # fmt: skip
    for name, decoder in decoders.items():
        result[f"decoder_{name}"] = word_level({"type": "Whitespace"}, None, (), None, decoder)
    return result


# ----------------------------------------------------------------------------------------------------- goldens

TEXTS = [
    "", " ", "The quick brown fox didn't jump.", "Hello, y'all! How are you 😁 ?", "don't DON'T we'll WE'LL i'ſ",
    "  leading and   double  spaces\t\ttabs\n\nlines \r\n end  ", "café naïve Ångström Å e\u0301 o\u0302\u0323 ﬁne",
    "東京は日本の首都です。北京是首都", "서울 대한민국 \u1100\u1161\u11a8", "Москва и Ελλάδα מלך العربية भारत ไทย",
    "123 4567 3.14 ١٢٣ ½ ② 1,000,000", "👩\u200d👩\u200d👧\u200d👦 👍🏽 🇩🇪 \u2764\ufe0f", "a\u0000b\u0007c\u200bd\ufeffe\u00adf\ufffdg",
    "x\u00a0y\u3000z\u2003w\u0085v\u2028u", "[CLS] text [SEP] <s> </s> <mask> [MASK]  <unk> <|endoftext|>",
    "dogs Dog dog DOG <é> <É> abab ab c AB C [X]y[X] y", "unbelievable internationalization " + "a" * 120,
    "▁meta ▁▁space _under_ ##ing Ġbyte </w> <0x41>", "foo-bar--baz.qux!?...(a)[b]{c}", "ﷺ 𝔘𝔫𝔦 𠮷 \U0010ffff \ue000 ͸",
    "if (x[i] != 0) { return \"y\"; }  // comment\n\tz();", "<extra_id_1>   a   <extra_id_2>b\n\n\n<start_of_turn>",
]  # fmt: skip
VARIANT_TEXTS, FLAG_TEXTS = (4, 5, 6, 12, 15, 18), (5, 15)
PAIRS = [("How old are you?", "I'm 6 years old."), ("", "x"), ("a b c d e f g h i", "one two"), ("東京 café", " ")]
OPTIONS = [{}, {"add_special_tokens": False}, {"max_length": 8}, {"max_length": 7, "direction": "left"}]
PAIR_OPTIONS = [{}, {"max_length": 9}, {"max_length": 9, "strategy": "only_first"}]


def prepare(reference, options):
    reference.no_padding()
    reference.no_truncation()
    if options.get("max_length"):
        reference.enable_truncation(
            options["max_length"],
            strategy=options.get("strategy", "longest_first"),
            direction=options.get("direction", "right"),
        )


def golden(name, reference, text, pair, options, wanted=()):
    """None where the reference refuses. Offsets are the wheel's: in characters."""
    prepare(reference, options)
    try:
        encoding = reference.encode(text, pair, add_special_tokens=options.get("add_special_tokens", True))
    except BaseException as error:  # a panic of the wheel is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    case = {"tokenizer": name, "text": text, "ids": encoding.ids}
    if pair is not None:
        case["pair"] = pair
    if options:
        case["options"] = options
    if any(encoding.type_ids):
        case["type_ids"] = encoding.type_ids
    if "offsets" in wanted:
        case["offsets"] = [n for offset in encoding.offsets for n in offset]
    if "special" in wanted:
        case["special"] = encoding.special_tokens_mask
    if "decode" in wanted:
        case["decode"] = [reference.decode(encoding.ids, skip_special_tokens=skip) for skip in (False, True)]
    return case


def goldens(tokenizers_by_name, plain):
    """Families: every text, with offsets and decoding for some. Variants: what tells the parts apart."""
    import tokenizers

    cases = []
    for name, data in tokenizers_by_name.items():
        reference = tokenizers.Tokenizer.from_str(json.dumps(data))
        decode = ("decode",) if plain or name.startswith(("decoder", "metaspace")) else ()
        for i, text in enumerate(TEXTS):
            if plain or (i in FLAG_TEXTS if name.startswith("added") else i in VARIANT_TEXTS):
                wanted = ("offsets", "special") if not plain or i % 4 == 0 else ()
                cases.append(golden(name, reference, text, None, {}, wanted + (decode if i % 3 == 0 else ())))
            if plain and i % 7 == 2:
                cases += [golden(name, reference, text, None, options) for options in OPTIONS[1:]]
        for i, (first, second) in enumerate(PAIRS):
            if plain or name.startswith(("post", "template")):
                cases.append(golden(name, reference, first, second, {}, ("offsets", "special")))
            if plain and i == 2:
                cases += [golden(name, reference, first, second, options) for options in PAIR_OPTIONS[1:]]
    return [case for case in cases if case is not None]


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def files():
    """Everything that belongs into tests/data/tokens, by name."""
    by_name, small = families(), variants()
    result = {f"{name}.json": dump(data) + "\n" for name, data in by_name.items()}
    result["variants.jsonl"] = "".join(dump({"name": name, "tokenizer": data}) + "\n" for name, data in small.items())
    cases = goldens(by_name, True) + goldens(small, False)
    result["goldens.jsonl"] = "".join(dump(case) + "\n" for case in cases)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "data" / "tokens")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{len(text.encode()):8} {name}")


if __name__ == "__main__":
    main()

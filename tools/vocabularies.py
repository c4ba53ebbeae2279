"""Small vocabularies for tools/make_tokenizers.py, trained on the sentences below: the same bytes on every run."""

import base64
import collections
import math
import pathlib
import tempfile

SENTENCES = """
The quick brown fox jumps over the lazy dog, and the dog didn't mind at all.
She said that they'll be there in 2024, or in 1999; we've no idea.
Embedding models turn sentences into vectors; similar sentences lie close together.
A man is playing a guitar while another man is singing a song in the street.
Don't put all your eggs in one basket: it isn't wise, I'm sure you'd agree.
Tokenization of unbelievable, internationalization and misunderstanding takes several pieces.
Le café de la gare est fermé, mais l'hôtel où j'ai dormi était très agréable.
Der Straßenbahnfahrer grüßte freundlich; die Übersetzung kostet zwölf Euro.
El niño comió una manzana y después corrió hacia la montaña.
Москва является столицей России, а река Волга длинная.
Η Αθήνα είναι η πρωτεύουσα της Ελλάδας.
東京は日本の首都です。京都は古い都です。
北京是中华人民共和国的首都,上海是最大的城市。
서울은 대한민국의 수도입니다.
القاهرة هي عاصمة مصر.
भारत की राजधानी नई दिल्ली है।
for i in range(10): print(f"{i:02d}", x[i] + 1)  # a comment
https://example.com/path?query=1&other=two user@example.org $1,234.56 50% (50 + 50)
"""
WORDS = SENTENCES.split()
SPACE = "\u2581"


def train_bpe(words, merges, alphabet=()):
    """Pairs by count, ties by text. Returns tokens and merges in order; alphabet first."""
    counts = collections.Counter(tuple(word) for word in words)
    tokens = dict.fromkeys(alphabet)
    tokens.update(dict.fromkeys(sorted({symbol for word in counts for symbol in word})))
    list_of_merges = []
    for _ in range(merges):
        pairs = collections.Counter()
        for word, count in counts.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        list_of_merges.append((left, right))
        tokens[left + right] = None
        merged = collections.Counter()
        for word, count in counts.items():
            symbols, at = [], 0
            while at < len(word):
                if word[at : at + 2] == (left, right):
                    symbols.append(left + right)
                    at += 2
                else:
                    symbols.append(word[at])
                    at += 1
            merged[tuple(symbols)] += count
        counts = merged
    return list(tokens), list_of_merges


def train_wordpiece(words, size, specials):
    tokens, _ = train_bpe([["##" + c if i else c for i, c in enumerate(word)] for word in words], 0)
    counts = collections.Counter(words)
    pieces = collections.Counter()
    for word, count in counts.items():
        for begin in range(len(word)):
            for end in range(begin + 2, min(len(word), begin + 9) + 1):
                pieces[("##" if begin else "") + word[begin:end]] += count
    best = sorted(pieces, key=lambda piece: (-pieces[piece] * math.log(len(piece)), piece))
    characters = sorted({c for word in words for c in word})
    singles = dict.fromkeys(characters + ["##" + c for c in characters if ord(c) < 0x250])
    vocabulary = dict.fromkeys([*specials, *tokens, *singles])
    for piece in best:
        if len(vocabulary) >= size:
            break
        vocabulary[piece] = None
    return {token: i for i, token in enumerate(vocabulary)}


def train_unigram(words, size, specials):
    """Frequent substrings with the logarithm of their share: enough to give Viterbi real choices."""
    pieces = collections.Counter()
    for word in words:
        for begin in range(len(word)):
            for end in range(begin + 1, min(len(word), begin + 8) + 1):
                pieces[word[begin:end]] += 1
    total = sum(pieces.values())
    characters = sorted(c for c in pieces if len(c) == 1)
    longer = sorted((p for p in pieces if len(p) > 1), key=lambda p: (-pieces[p] * (len(p) - 1), p))
    chosen = characters + longer[: max(0, size - len(characters) - len(specials))]
    chosen.sort(key=lambda p: (-pieces[p], p))
    return [[s, 0.0] for s in specials] + [[p, round(math.log(pieces[p] / total), 6)] for p in chosen]


def byte_alphabet():
    bytes_ = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    table, extra = {}, 0
    for byte in range(256):
        if byte in bytes_:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


BYTES = byte_alphabet()


def byte_level(text):
    return "".join(BYTES[byte] for byte in text.encode())


def bpe(tokens, merges, **options):
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
    }
    model.update(options)
    model["vocab"] = {token: i for i, token in enumerate(tokens)}
    model["merges"] = merges
    return model


def byte_bpe(merges, specials_last=(), specials_first=(), **options):
    words = [byte_level(" " + word) for word in WORDS] + [byte_level(word) for word in WORDS[::3]]
    tokens, pairs = train_bpe(words, merges, BYTES.values())
    spelled = [list(p) for p in pairs] if options.pop("pairs", False) else [" ".join(p) for p in pairs]
    return bpe([*specials_first, *tokens, *specials_last], spelled, **options)


def wordpiece(specials, lower, size, unk="[UNK]"):
    words = [word.strip(".,;:!?()") for word in (SENTENCES.lower() if lower else SENTENCES).split()]
    words = [word for word in words if word] + list(".,;:!?()'\"-#@$%&")
    return {
        "type": "WordPiece",
        "unk_token": unk,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": train_wordpiece(words, size, specials),
    }


def unigram(specials, unk, size, byte_fallback=False, lower=False):
    words = [SPACE + word for word in (SENTENCES.lower() if lower else SENTENCES).split()]
    if byte_fallback:
        specials = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
        words = [word for word in words if word.isascii() or word[1:].isascii()]
    return {
        "type": "Unigram",
        "unk_id": specials.index(unk),
        "vocab": train_unigram(words, size, specials),
        "byte_fallback": byte_fallback,
    }


def charsmap():
    """A small precompiled map in SentencePiece's own format: a few of nmt_nfkc's rules."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    rules = {"\u00a0": " ", "\u3000": " ", "\u2003": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": " ", "\ufeff": "",
             "\u00ad": "", "\u2126": "\u03a9", "\ufb01": "fi", "\uff21": "A", "\uff22": "B", "\uff10": "0",
             "\u2460": "1", "e\u0301": "\u00e9", "\u304b\u3099": "\u304c", "\uff76\uff9e": "\u30ac", "\u2026": "...",
             "\u212b": "\u00c5", "A\u030a": "\u00c5", "\u1100\u1161": "\uac00", "\x07": ""}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        lines = ["\t".join(" ".join(f"{ord(c):x}" for c in side) for side in rule) for rule in sorted(rules.items())]
        tsv = pathlib.Path(folder, "rules.tsv")
        tsv.write_text("\n".join(lines) + "\n")
        text = pathlib.Path(folder, "text.txt")
        text.write_text("\n".join(f"the quick brown fox {i} jumps over {i * 7} lazy dogs" for i in range(300)))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/m", vocab_size=60, normalization_rule_tsv=str(tsv),
            minloglevel=2, hard_vocab_limit=False)  # fmt: skip
        model = sentencepiece_model_pb2.ModelProto()
        model.ParseFromString(pathlib.Path(folder, "m.model").read_bytes())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()

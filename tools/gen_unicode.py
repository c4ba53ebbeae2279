#!/usr/bin/env python3
"""Writes src/tokens/unicode_tables.inc by asking the `tokenizers` wheel about every code point.

The wheel mixes tables of several Unicode ages, so no Unicode library has the right answers: each table is what one
component of the wheel was seen to do. Nothing else is consulted. Run it in an environment with the pinned wheel:

    python tools/gen_unicode.py > src/tokens/unicode_tables.inc

About two minutes. tests/oracles/test_unicode.py then proves the built program against the same wheel, independently of
the reasoning here.
"""

import base64
import json
import struct
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

WHEEL = "0.23.3"
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
CHUNK = 1 << 15

# Order and meaning: enum CharFlag in src/tokens/unicode.h.
FLAGS = [
    "whitespace", "punctuation", "numeric", "bert_removed", "cjk", "bert_accent", "accent", "word",
    "nfd_safe", "nfkd_safe", "nfc_safe", "nfkc_safe", "composes",
    "lu", "ll", "lt", "lm", "lo", "nd", "nl", "no", "mark", "punct", "symbol", "separator", "regex_space", "regex_word",
]  # fmt: skip

CATEGORIES = (
    "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co Cs LC"
).split()
POSIX = "alnum alpha blank cntrl digit graph lower print punct space upper xdigit word".split()
ESCAPES = "s d w h".split()
PROPERTIES = (
    "Any Assigned Alphabetic Uppercase Lowercase White_Space Ideographic Unified_Ideograph Emoji Emoji_Presentation "
    "Extended_Pictographic"
).split()
SCRIPTS = (
    "Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki "
    "Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee "
    "Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan "
    "Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati "
    "Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic "
    "Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi "
    "Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian "
    "Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui "
    "Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari "
    "New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian Old_Italic "
    "Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya "
    "Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada "
    "Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog "
    "Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri "
    "Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square"
).split()


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def chunks():
    for i in range(0, len(CODE_POINTS), CHUNK):
        yield CODE_POINTS[i : i + CHUNK]


def spans(pre_tokenizer, text):
    return [span for _, span in pre_tokenizer.pre_tokenize_str(text)]


# ------------------------------------------------------------------------------------------ pre-tokenizers


def isolated_between_letters(pre_tokenizer):
    """(cut, gone): characters that part the two letters around them, and those that vanish doing so."""
    cut, gone = set(), set()
    for chunk in chunks():
        text = "a" + "".join(chr(c) + "a" for c in chunk)
        covered = bytearray(len(text))
        starts = bytearray(len(text) + 1)
        for start, end in spans(pre_tokenizer, text):
            covered[start:end] = b"\1" * (end - start)
            starts[start] = 1
        for i, c in enumerate(chunk):
            at = 2 * i + 1
            if not covered[at]:
                gone.add(c)
            if starts[at + 1]:
                cut.add(c)
    return cut, gone


def regex_class(pattern):
    """Code points that a regular expression for one character matches, through the Split pre-tokenizer."""
    found = set()
    splitter = pre_tokenizers.Split(Regex(f"(?:{pattern})+"), "removed")
    for chunk in chunks():
        left = bytearray(len(chunk))
        for start, end in spans(splitter, "".join(map(chr, chunk))):
            left[start:end] = b"\1" * (end - start)
        found.update(c for i, c in enumerate(chunk) if not left[i])
    return found


def fixed_scripts():
    """Script ids by who is kept together with whom; 0 for those that never cut."""
    splitter = pre_tokenizers.UnicodeScripts()
    any_script = set()
    for chunk in chunks():
        # Any: cut neither after Latin nor after Han.
        text = "".join("A" + chr(c) + "\u4e00" + chr(c) for c in chunk)
        starts = {start for start, _ in spans(splitter, text)}
        for i, c in enumerate(chunk):
            if 4 * i + 1 not in starts and 4 * i + 3 not in starts:
                any_script.add(c)
    rest = [c for c in CODE_POINTS if c not in any_script]
    text = "".join(map(chr, rest))
    script = dict.fromkeys(any_script, 0)
    representatives = []
    for start, end in spans(splitter, text):
        kept = (i for i, other in enumerate(representatives, 1) if len(spans(splitter, other + text[start])) == 1)
        number = next(kept, 0)
        if number == 0:
            representatives.append(text[start])
            number = len(representatives)
        for c in rest[start:end]:
            script[c] = number
    assert len(representatives) < 255
    return script


# --------------------------------------------------------------------------------------- normalization forms


class Forms:
    def __init__(self):
        nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
        nfc, nfkc = normalizers.NFC().normalize_str, normalizers.NFKC().normalize_str
        hangul = range(0xAC00, 0xD7A4)
        self.canonical, self.compatible, self.nfc_same, self.nfkc_same = {}, {}, set(), set()
        for c in CODE_POINTS:
            s = chr(c)
            d, k = nfd(s), nfkd(s)
            if c not in hangul:
                if d != s:
                    self.canonical[c] = d
                if k != s:
                    self.compatible[c] = k
            if nfc(s) == s:
                self.nfc_same.add(c)
            if nfkc(s) == s:
                self.nfkc_same.add(c)
        self.hangul = hangul
        self.combining = self.combining_classes(nfd)
        self.pairs = self.compositions(nfd, nfc)
        say(len(self.canonical), "canonical,", len(self.compatible), "compatibility decompositions,",
            len(self.pairs), "pairs,", len(self.combining), "combining")  # fmt: skip

    def combining_classes(self, nfd):
        """Only the order of classes can be observed; the marks below carry their published numbers into the table."""
        low, high = "\u0334", "\u0345"  # classes 1 and 240
        marks = []
        for c in CODE_POINTS:
            if c in self.canonical or c in self.hangul:
                continue
            s = chr(c)
            if nfd(s + low) != s + low or nfd(high + s) != high + s or s in (low, high):
                marks.append(s)
        # A character that swaps with neither neighbour of its own class stands in that class.
        anchors = {}
        for number, mark in (
            (1, 0x334), (7, 0x93C), (8, 0x3099), (9, 0x94D), (10, 0x5B0), (11, 0x5B1), (12, 0x5B2), (13, 0x5B3),
            (14, 0x5B4), (15, 0x5B5), (16, 0x5B6), (17, 0x5B7), (18, 0x5B8), (19, 0x5B9), (20, 0x5BB), (21, 0x5BC),
            (22, 0x5BD), (23, 0x5BF), (24, 0x5C1), (25, 0x5C2), (26, 0xFB1E), (27, 0x64B), (28, 0x64C), (29, 0x64D),
            (30, 0x64E), (31, 0x64F), (32, 0x650), (33, 0x651), (34, 0x652), (35, 0x670), (36, 0x711), (84, 0xC55),
            (91, 0xC56), (103, 0xE38), (107, 0xE48), (118, 0xEB8), (122, 0xEC8), (129, 0xF71), (130, 0xF72),
            (132, 0xF74), (202, 0x321), (214, 0x1DCE), (216, 0x31B), (218, 0x302A), (220, 0x316), (222, 0x59A),
            (224, 0x302E), (226, 0x1D16D), (228, 0x5AE), (230, 0x300), (232, 0x315), (233, 0x35C), (234, 0x35D),
            (240, 0x345),
        ):  # fmt: skip
            anchors[number] = chr(mark)
        numbers = sorted(anchors)
        for a, b in zip(numbers, numbers[1:]):
            assert nfd(anchors[b] + anchors[a]) == anchors[a] + anchors[b], (a, b)
        classes = {}
        for mark in marks:
            equal = [n for n in numbers if nfd(mark + anchors[n]) == mark + anchors[n]
                     and nfd(anchors[n] + mark) == anchors[n] + mark]  # fmt: skip
            assert len(equal) == 1, (hex(ord(mark)), equal)
            classes[ord(mark)] = equal[0]
        return classes

    def compositions(self, nfd, nfc):
        pairs = {}
        for c in self.canonical:
            d = nfd(chr(c))
            if len(d) < 2 or nfc(d) != chr(c):
                continue
            head = nfc(d[:-1])
            assert len(head) == 1, hex(c)
            pairs[(ord(head), ord(d[-1]))] = c
        # Any pair of a known first and a known second that composes must be known, and what is known must compose.
        firsts, seconds = {a for a, _ in pairs}, {b for _, b in pairs}
        for a in firsts:
            for b in seconds:
                made = nfc(chr(a) + chr(b))
                if (a, b) in pairs:
                    assert made == chr(pairs[(a, b)])
                elif self.combining.get(ord(nfd(chr(a))[-1]), 0) <= self.combining.get(b, 0):
                    assert len(made) == 2, (hex(a), hex(b))  # else b passes a's own marks and meets its base
        return pairs

    def safe(self, c, decomposition, same, seconds):
        """An NFC-safe character begins a stretch that can be composed apart from what is before it."""
        first = ord((decomposition.get(c) or chr(c))[0])
        return c in same and first not in self.combining and first not in seconds and c not in seconds


# ------------------------------------------------------------------------------------------------- graphemes


def charsmap(entries):
    """A Precompiled normalizer from a graph of {byte: node}; a node's "" is its replacement. Shared nodes stay shared."""
    strings, offsets = bytearray(), {}
    units, place, used = [0] * 256, {}, set()

    def base_for(node):
        if id(node) in place:
            return place[id(node)]
        labels = [k for k in node if k != ""]
        slots = labels + ([0] if "" in node else [])
        base = 256
        while any(base ^ s in used for s in slots) or base in used:
            base += 1
        while len(units) <= base | 255:
            units.append(0)
        place[id(node)] = base
        used.update(base ^ s for s in slots)
        used.add(base)
        if "" in node:
            text = node[""]
            if text not in offsets:
                offsets[text] = len(strings)
                strings.extend(text.encode() + b"\0")
            units[base] = offsets[text] | 1 << 31
        for label in labels:
            child = node[label]
            target = base_for(child)
            offset = (base ^ label) ^ target
            assert offset < 1 << 21
            units[base ^ label] = offset << 10 | label | (256 if "" in child else 0)
        return base

    units[0] = base_for(entries) << 10
    blob = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + bytes(strings)
    text = json.dumps({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(blob).decode()})
    pipeline = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "pre_tokenizer": None,
                "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}}  # fmt: skip
    return tokenizers.Tokenizer.from_str(json.dumps(pipeline | {"normalizer": json.loads(text)})).normalizer


def every_character_to_x():
    """A charsmap that turns each character but NUL into X: whole clusters below six bytes then become one X."""
    leaf = {"": "X"}
    tail = {b: leaf for b in range(0x80, 0xC0)}
    tail2 = {b: tail for b in range(0x80, 0xC0)}
    tail3 = {b: tail2 for b in range(0x80, 0xC0)}
    root = {b: leaf for b in range(1, 0x80)}
    root |= {b: tail for b in range(0xC2, 0xE0)}
    root |= {b: tail2 for b in range(0xE0, 0xF0)}
    root |= {b: tail3 for b in range(0xF0, 0xF5)}
    return charsmap(root)


def grapheme_classes():
    """Each class by a string whose number of X tells whether the clusters joined (see every_character_to_x)."""
    run = every_character_to_x().normalize_str
    count = lambda *parts: len(run("".join(p if isinstance(p, str) else chr(p) for p in parts)))
    acute, zwj = "\u0301", "\u200d"
    assert count("a", acute) == 1 and count("a", "b") == 2 and count("\u1100\u1161", acute) == 3

    names = ["other", "cr", "lf", "control", "extend", "zwj", "prepend", "spacing_mark", "l", "v", "t", "lv", "lvt",
             "pictographic"]  # fmt: skip
    number = {name: i for i, name in enumerate(names)}
    classes, conjunct = {}, {}
    for c in CODE_POINTS:
        if c == 0:
            classes[c] = number["control"]
            continue
        after_letter = count("a", c) == 1
        if after_letter:
            if c == 0x200D:
                name = "zwj"
            elif count("\u00a9", c, zwj, "\u00a9", acute) == 5:
                name = "extend"
            else:
                name = "spacing_mark"
        elif count(c, acute, acute) == 2:
            name = {0x0D: "cr", 0x0A: "lf"}.get(c, "control")
        elif c not in (0x0D,) and count(c, "a") == 1:
            name = "prepend"
        elif count("\u00a9", zwj, c) == 3:
            name = "pictographic"
        else:
            # What joins it on the left, behind a two-byte prepended character, and on the right.
            after_l = count("\u0600\u1100", c) == 3
            after_lv = count("\u0600\uac00", c) == 3
            after_lvt = count("\u0600\uac01", c) == 3
            before_l = count(c, "\u1100", acute) == 3
            before_v = count(c, "\u1161", acute) == 3
            before_t = count(c, "\u11a8", acute) == 3
            name = {
                (False, False, False, False, False, False): "other",
                (True, False, False, True, True, False): "l",
                (True, True, False, False, True, True): "v",
                (False, True, True, False, False, True): "t",
                (True, False, False, False, True, True): "lv",
                (True, False, False, False, False, True): "lvt",
            }[(after_l, after_lv, after_lvt, before_l, before_v, before_t)]
        classes[c] = number[name]
        # Consonant + linker + consonant hold together (Indic conjuncts).
        ka, virama = "\u0915", "\u094d"
        if after_letter:
            if count(ka, c, ka, acute) == 4:
                conjunct[c] = 2
            elif count(ka, virama, c, ka, acute) == 5:
                conjunct[c] = 3
        elif count(c, virama, ka, acute) == 4 and name != "prepend":
            conjunct[c] = 1
    for name in names:
        say(f"grapheme {name}:", sum(1 for v in classes.values() if v == number[name]))
    say("conjunct:", [sum(1 for v in conjunct.values() if v == i) for i in (1, 2, 3)])
    return classes, conjunct


# ---------------------------------------------------------------------------------------------------- writing


def numbers(values, form="{}"):
    lines, line = [], "   "
    for value in values:
        word = " " + form.format(value) + ","
        if len(line) + len(word) > 100:
            lines.append(line)
            line = "   "
        line += word
    lines.append(line)
    return "\n".join(lines)


def array(out, kind, name, values, form="{}"):
    out.append(f"constexpr {kind} {name}[] = {{\n{numbers(values, form)}\n}};")


def two_stage(out, name, values):
    """values[code point] -> index tables; the block size that needs least room."""
    best = None
    for bits in (4, 5, 6, 7, 8):
        size = 1 << bits
        blocks, stage1, known = [], [], {}
        for start in range(0, len(values), size):
            block = tuple(values[start : start + size])
            block += (0,) * (size - len(block))
            if block not in known:
                known[block] = len(known)
                blocks.extend(block)
            stage1.append(known[block])
        wide = lambda items: 1 if max(items) < 256 else 2
        room = len(stage1) * wide(stage1) + len(blocks) * wide(blocks)
        if best is None or room < best[0]:
            best = (room, bits, stage1, blocks)
    room, bits, stage1, blocks = best
    kind = lambda items: "std::uint8_t" if max(items) < 256 else "std::uint16_t"
    say(name, "block bits", bits, "bytes", room)
    out.append(f"constexpr std::uint32_t k{name}Bits = {bits};")
    out.append(f"constexpr char32_t k{name}End = {hex(len(values))};")
    array(out, kind(stage1), f"k{name}Stage1", stage1)
    array(out, kind(blocks), f"k{name}Stage2", blocks)


def ranges(members):
    result = []
    for c in sorted(members):
        if result and (result[-1][1] == c - 1 or (result[-1][1] == 0xD7FF and c == 0xE000)):
            result[-1][1] = c
        else:
            result.append([c, c])
    # Surrogates are no characters: a range must not run over them.
    split = []
    for first, last in result:
        if first <= 0xD7FF and last >= 0xE000:
            split += [[first, 0xD7FF], [0xE000, last]]
        else:
            split.append([first, last])
    return split


def main():
    if tokenizers.__version__ != WHEEL:
        sys.exit(f"expected tokenizers {WHEEL}, got {tokenizers.__version__}. Install the pinned wheel.")
    flags = {name: set() for name in FLAGS}

    say("pre-tokenizers")
    everything = set(CODE_POINTS)
    cut, gone = isolated_between_letters(pre_tokenizers.WhitespaceSplit())
    assert cut == gone
    flags["whitespace"] = gone
    flags["punctuation"], gone = isolated_between_letters(pre_tokenizers.Punctuation("isolated"))
    assert not gone
    cut, gone = isolated_between_letters(pre_tokenizers.BertPreTokenizer())
    assert gone == flags["whitespace"] and cut - gone == flags["punctuation"]
    flags["numeric"], gone = isolated_between_letters(pre_tokenizers.Digits(individual_digits=True))
    assert not gone
    cut, gone = isolated_between_letters(pre_tokenizers.Whitespace())
    assert gone == flags["whitespace"]
    flags["word"] = everything - cut
    script = fixed_scripts()

    say("normalizers")
    bert = lambda **on: (
        normalizers.BertNormalizer(
            **({"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False} | on)
        ).normalize_str
    )
    clean, chinese, accents = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True)
    strip_accents, lower = normalizers.StripAccents().normalize_str, normalizers.Lowercase().normalize_str
    lowered = {}
    for c in CODE_POINTS:
        s = chr(c)
        cleaned = clean(s)
        if cleaned == "":
            flags["bert_removed"].add(c)
        else:
            assert cleaned == (" " if c in flags["whitespace"] else s)
        spaced = chinese(s)
        if spaced != s:
            assert spaced == f" {s} "
            flags["cjk"].add(c)
        if accents(s) == "":
            flags["bert_accent"].add(c)
        if strip_accents(s) == "":
            flags["accent"].add(c)
        low = lower(s)
        if low != s:
            lowered[c] = low
    special = {c: low for c, low in lowered.items() if len(low) != 1}
    assert special == {0x130: "i\u0307"}, special

    say("normalization forms")
    forms = Forms()
    seconds = {b for _, b in forms.pairs} | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    flags["composes"] = seconds
    for c in CODE_POINTS:
        starter = c not in forms.combining and c not in forms.hangul
        if starter and c not in forms.canonical:
            flags["nfd_safe"].add(c)
        if starter and c not in forms.compatible:
            flags["nfkd_safe"].add(c)
        if forms.safe(c, forms.canonical, forms.nfc_same, seconds):
            flags["nfc_safe"].add(c)
        if forms.safe(c, forms.compatible, forms.nfkc_same, seconds):
            flags["nfkc_safe"].add(c)

    say("regular expressions")
    classes = {}
    for name in CATEGORIES + PROPERTIES + SCRIPTS:
        try:
            classes[name] = regex_class(rf"\p{{{name}}}")
        except Exception as error:  # a name that this Oniguruma does not have
            say("no class", name, error)
    for name in POSIX:
        classes[name] = regex_class(rf"\p{{{name}}}")
        bracket = regex_class(f"[[:{name}:]]")
        if bracket != classes[name]:
            say(f"[:{name}:] differs from \\p{{{name}}}")
            classes[f"[:{name}:]"] = bracket
    for name in ESCAPES:
        classes[name] = regex_class(rf"\{name}")
    for flag in "lu ll lt lm lo nd nl no".split():
        flags[flag] = classes[flag.capitalize()]
    flags["mark"], flags["punct"], flags["symbol"] = classes["M"], classes["P"], classes["S"]
    flags["separator"], flags["regex_space"], flags["regex_word"] = classes["Z"], classes["s"], classes["w"]
    assert classes["d"] == classes["Nd"] == classes["digit"]
    partners = {}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        more = regex_class(f"(?i:{letter})") - {ord(letter), ord(letter.upper())}
        assert more == regex_class(f"(?i:{letter.upper()})") - {ord(letter), ord(letter.upper())} and len(more) < 2
        if more:
            partners[letter] = more.pop()

    say("graphemes")
    graphemes, conjunct = grapheme_classes()

    records, index = {}, []
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            record = (0, 0, 0, 0, 0)
        else:
            bits = sum(1 << i for i, name in enumerate(FLAGS) if c in flags[name])
            delta = ord(lowered[c]) - c if c in lowered and c not in special else 0
            grapheme = graphemes[c] | conjunct.get(c, 0) << 5
            record = (bits, delta, forms.combining.get(c, 0), script[c], grapheme)
        index.append(records.setdefault(record, len(records)))
    say(len(records), "records")

    out = [
        "// Generated by tools/gen_unicode.py from the behaviour of the wheel `tokenizers` " + WHEEL + "; do not edit.",
        "// What the tables mean is said in unicode.h.",
        "// clang-format off",
    ]
    out.append("constexpr CharRecord kRecords[] = {")
    out += [f"    {{0x{b:X}, {d}, {k}, {s}, {g}}}," for b, d, k, s, g in records]
    out.append("};")
    two_stage(out, "Record", index)

    pool, entries = "", [(0, 0, 0, 0)]
    decomposition = [0] * (max(forms.compatible) + 1)
    for c in sorted(set(forms.canonical) | set(forms.compatible)):
        place = []
        for text in (forms.canonical.get(c, ""), forms.compatible.get(c, "")):
            if text not in pool:
                pool += text
            place += [pool.index(text), len(text)]
        decomposition[c] = len(entries)
        entries.append(tuple(place))
    out.append("// Offset and length in the pool: canonical, compatibility.")
    out.append("constexpr Decomposition kDecompositions[] = {")
    out.append(numbers("{%d,%d,%d,%d}" % entry for entry in entries))
    out.append("};")
    array(out, "char32_t", "kDecompositionPool", map(ord, pool), "0x{:X}")
    two_stage(out, "Decomposition", decomposition)
    out.append("constexpr Composition kCompositions[] = {  // by first, then second")
    out.append(numbers("{0x%X,0x%X,0x%X}" % (a, b, c) for (a, b), c in sorted(forms.pairs.items())))
    out.append("};")
    out.append("constexpr FoldPartner kFoldPartners[] = {")
    out.append(numbers("{U'%s',0x%X}" % pair for pair in sorted(partners.items())))
    out.append("};")

    plain = lambda name: name if len(name) == 1 else name.lower().replace("_", "")
    listed, kept, places = [], [], {}
    for name in sorted(classes, key=plain):
        found = ranges(classes[name])
        key = str(found)
        if key not in places:
            places[key] = len(kept)
            kept += found
        listed.append((plain(name), places[key], len(found)))
    assert len({name for name, _, _ in listed}) == len({plain(n) for n in classes})
    say(len(listed), "classes,", len(kept), "ranges")
    out.append("constexpr CodeRange kClassRanges[] = {")
    out.append(numbers("{0x%X,0x%X}" % tuple(r) for r in kept))
    out.append("};")
    out.append("constexpr ClassName kClassNames[] = {  // sorted")
    out.append(numbers('{"%s",%d,%d}' % entry for entry in listed))
    out.append("};")
    print("\n".join(out))


if __name__ == "__main__":
    main()

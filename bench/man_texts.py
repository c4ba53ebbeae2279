#!/usr/bin/env python3
"""Texts of realistic length out of Debian's manual pages, for bench/tokenizer.py.

    apt-get install mandoc
    apt-get download manpages manpages-dev perl-doc manpages-{cs,de,el,es,fr,it,ja,ja-dev,pl,pt-br,ro,ru,tr,uk,zh}
    for package in *.deb; do dpkg -x $package FOLDER; done
    bench/man_texts.py FOLDER -o OUT      # OUT/english.jsonl, OUT/multilingual.jsonl, and for training OUT/*-train.jsonl

A page is rendered as plain text and cut between paragraphs into texts of some thousand characters, one JSON string a
line. Every second page goes to the training files, so that vocabularies are measured on pages that they have not seen.
Files with the same text count once. Standard library only.
"""

import argparse
import concurrent.futures
import gzip
import json
import os
import random
import re
import subprocess
from pathlib import Path

PASSAGE = 1000  # characters; a text ends with the paragraph that reaches them (about 250 tokens of English)
LONGEST = 8 * PASSAGE  # of a paragraph, which is cut anywhere
INDENT = 7  # mandoc's, of a page's body


def render(path: Path) -> list[str]:
    command = ["mandoc", "-K", "utf-8", "-T", "utf8", "-O", "width=1000"]
    done = subprocess.run(command, input=gzip.decompress(path.read_bytes()), capture_output=True)
    text = re.sub(".\b", "", done.stdout.decode(errors="replace"))
    text = re.sub("[─┬┼┴]{4,}", "───", text)  # tables are ruled over the whole width
    lines = text.split("\n")[1:-2]  # without the page's head and foot
    lines = [line[INDENT:] if line[:INDENT].isspace() else line for line in lines]
    texts, current = [], ""
    paragraphs = re.split(r"\n(?:\s*\n)+", "\n".join(lines).strip())
    for paragraph in (p[at : at + LONGEST] for p in paragraphs for at in range(0, len(p), LONGEST)):
        current += ("\n\n" if current else "") + paragraph.rstrip()
        if len(current) >= PASSAGE:
            texts.append(current)
            current = ""
    return texts + ([current] if current else [])


def pages(folder: Path) -> tuple[list[Path], list[Path]]:
    """English pages and the others."""
    found = [p for p in sorted(folder.glob("**/man/**/*.gz")) if p.is_file() and not p.is_symlink()]
    return [p for p in found if p.parent.parent.name == "man"], [p for p in found if p.parent.parent.name != "man"]


def write(paths: list[Path], out: Path, name: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        rendered = list(pool.map(render, paths))
    seen: set[str] = set()
    for suffix, part in (("", rendered[::2]), ("-train", rendered[1::2])):
        texts = [text for page in part for text in page if text not in seen and not seen.add(text)]
        random.Random(1).shuffle(texts)  # any first part of a file is a sample of all of it
        path = out / f"{name}{suffix}.jsonl"
        path.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
        print(f"{path}: {len(texts)} texts, {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the packages were unpacked")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, paths in zip(("english", "multilingual"), pages(args.folder)):
        write(paths, args.out, name)


if __name__ == "__main__":
    main()

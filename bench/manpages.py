"""A retrieval set that anyone on Debian can make: the Linux manual pages of two pinned packages. A page's NAME line is
the query, its DESCRIPTION the document, and the one document that is right. Standard library, apt-get and dpkg-deb."""

import gzip
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

PACKAGES = {  # name=version (Debian 12) -> sha256 of its .deb
    "manpages=6.03-2": "efa1ba4cd19ad7baeae959c9209a7eb74be2ebb858bcabb412597bfc9f588c91",
    "manpages-dev=6.03-2": "96f55cb5e26231d5567c89b692bced63825a14a2d5bd18fdf16ea2ed44eb9838",
}
SHORTEST = 40  # characters of a description: shorter ones say "see that page"
CHARACTERS = {
    "aq": "'", "dq": '"', "lq": '"', "rq": '"', "oq": "'", "cq": "'", "bu": "*", "em": " - ", "en": "-", "ha": "^",
    "ti": "~", "ga": "`", "rs": "\\", "co": "(c)", "mu": "x", "+-": "+-", "->": "->", "<=": "<=", ">=": ">=", "sc": "",
}  # fmt: skip
FONT_MACROS = {"B", "I", "SM", "SB"}
PAIRED_MACROS = {"BR", "BI", "IB", "IR", "RB", "RI"}  # their arguments are joined without spaces
DROPPED_BLOCKS = {"TS": "TE"}  # tables: layout lines, not sentences


class Missing(Exception):
    """The packages are not to be had, and what to do."""


def packages(folder: Path) -> list[Path]:
    """The .debs in `folder`, downloaded when they are not there; checked by their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for name, wanted in PACKAGES.items():
        file = folder / f"{name.replace('=', '_')}_all.deb"
        if not file.is_file():
            command = ["apt-get", "download", "-qq", name]
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0 or not file.is_file():
                raise Missing(
                    f"apt-get cannot download {name}: {done.stderr.strip()} Put {file.name} of Debian 12 into {folder}."
                )
        got = hashlib.sha256(file.read_bytes()).hexdigest()
        if got != wanted:
            raise Missing(f"{file}: expected sha256 {wanted}, got {got}. Remove it and run this again.")
        out.append(file)
    return out


def arguments(line: str) -> list[str]:
    """A macro's arguments: words, or strings in quotes."""
    return [quoted or word for quoted, word in re.findall(r'"((?:[^"]|"")*)"?|(\S+)', line)]


def unescape(text: str) -> str:
    text = re.sub(r'\\["#].*', "", text)  # comments
    text = re.sub(r"\\f(?:\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&%:/,^|]|\\n\(..|\\c$", "", text)
    text = re.sub(r"\\\[([^]]*)\]|\\\((..)", lambda found: CHARACTERS.get(found[1] or found[2], ""), text)
    text = text.replace(r"\-", "-").replace(r"\~", " ").replace(r"\ ", " ").replace(r"\0", " ")
    return text.replace(r"\(aq", "'").replace(r"\`", "`").replace(r"\'", "'").replace(r"\t", " ").replace(r"\e", "\\")


def sections(source: str) -> dict[str, str]:
    """The text of each section of a page in man(7), markup removed and white space folded."""
    source = re.sub(r"\\\n", "", source)  # continued lines
    out: dict[str, list[str]] = {}
    name, until = "", None
    for line in source.splitlines():
        macro = re.match(r"[.']\s*([A-Za-z]+)\s*(.*)", line)
        if until is not None:
            until = None if macro and macro[1] == until else until
            continue
        if not macro:
            if not re.match(r"[.']", line):
                out.setdefault(name, []).append(unescape(line))
            continue
        word, rest = macro[1], macro[2]
        if word == "SH":
            name = unescape(" ".join(arguments(rest)))
        elif word in DROPPED_BLOCKS:
            until = DROPPED_BLOCKS[word]
        elif word in FONT_MACROS or word == "SS":
            out.setdefault(name, []).append(unescape(" ".join(arguments(rest))))
        elif word in PAIRED_MACROS:
            out.setdefault(name, []).append(unescape("".join(arguments(rest))))
        elif word == "IP" and rest:
            out.setdefault(name, []).append(unescape(arguments(rest)[0]))
    return {name: " ".join(" ".join(lines).split()) for name, lines in out.items()}


def pairs(folder: Path) -> list[tuple[str, str]]:
    """(NAME line, DESCRIPTION) of every page that has both, by path; pages of the same description count once."""
    out, seen = [], set()
    for package in packages(folder):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["dpkg-deb", "-x", package, work], check=True)
            for file in sorted(path for path in Path(work).rglob("*.gz") if not path.is_symlink()):
                if "/man/man" not in str(file):
                    continue
                page = sections(gzip.decompress(file.read_bytes()).decode("utf-8", "replace"))
                query, document = page.get("NAME", ""), page.get("DESCRIPTION", "")
                if query and len(document) >= SHORTEST and document not in seen:
                    seen.add(document)
                    out.append((query, document))
    return out

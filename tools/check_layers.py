#!/usr/bin/env python3
"""Checks what a compiler does not: which way includes go, how long files are, and what must not be in the tree.

The arrows are those of src/README.md. Each finding is one line, file:line: the rule. Exit 1 when there is any.
Standard library only; reads the files that git tracks or would track.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Folder of src/ -> folders of src/ that it may include. Every folder may include itself, base and inlay/inlay.hpp.
# backend/backend.h is a door: engine, report and the rooms see it; a room sees no other room.
ARROWS = {
    "base": set(),
    "files": set(),
    "tokens": {"files"},
    "batch": set(),
    "program": {"files"},
    "arch": {"files", "program"},
    "task": {"tokens", "files", "program"},
    "backend": {"program", "batch"},
    "engine": {"files", "tokens", "batch", "program", "arch", "task", "backend"},
    "io": {"engine"},
    "report": {"engine"},
}
# Folders of backend/ that are no rooms: several rooms stand on them.
SHARED_BY_ROOMS = {"padded"}
FRONTENDS = {"io", "report"}
MAX_LINES = 600

SOURCES = {".cc", ".h", ".hpp", ".c", ".inl", ".cu", ".cuh"}
PRODUCT = ("src/", "frontends/", "include/")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
# Spelled in pieces so that this file does not find itself.
UNFINISHED = re.compile(
    "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "not " + "implemented", "st" + "ub", "place" + "holder"])
)
MACHINE_PATH = re.compile(r"(?:^|[^a-zA-Z.])/(?:work|root|home/[a-z]+|tmp/[a-z_]+_jobs)/")
GENERATED = re.compile(r"\.(inc|json|jsonl|txt|csv)$")


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return [Path(name) for name in sorted(names) if name and (ROOT / name).is_file()]


def room_of(path: Path) -> tuple[str, str]:
    """(folder of src/ or '', room of backend/ or '')."""
    parts = path.parts
    if parts[0] != "src" or len(parts) < 3:
        return "", ""
    return parts[1], parts[2] if parts[1] == "backend" and len(parts) > 3 else ""


def check_include(path: Path, quoted: bool, target: str) -> str | None:
    """The rule that an include of `target` in `path` breaks, or None."""
    folder, room = room_of(path)
    head = target.split("/")[0]
    if target.startswith("inlay/"):
        if folder and target != "inlay/inlay.hpp":
            return f"src/ may include inlay/inlay.hpp only; {target} belongs to frontends/c"
        return None
    if head == "frontends":
        return "src/ and others never include frontends/" if path.parts[0] != "frontends" else None
    if head not in ARROWS:
        return None  # a system header, a library's, or one beside the file
    if not quoted:
        return f'a header of the project is included as "{target}"'
    if path.parts[0] == "include":
        return "public headers include no private header"
    if path.parts[0] == "frontends":
        if head in FRONTENDS or head == "base":
            return None
        return f"frontends/ may include inlay/inlay.hpp, io/ and report/ only, not {head}/"
    if not folder or (head in (folder, "base") and folder != "backend"):
        return None
    if folder == "base":
        return f"base/ includes no other folder, not {head}/"
    if folder == "backend":
        target_room = target.split("/")[1] if target.count("/") > 1 else ""
        if head == "base":
            return None
        if head == "backend":
            if target_room and target_room != room and (target_room not in SHARED_BY_ROOMS or not room):
                return f"a room never includes another room ({target})"
            if room and not target_room and target != "backend/backend.h":
                return f"a room includes backend/backend.h and its own files only, not {target}"
            return None
    if head == "backend" and target.count("/") > 1:
        return f"{folder}/ sees the door backend/backend.h, never inside a room ({target})"
    if head not in ARROWS[folder]:
        allowed = ", ".join(sorted(ARROWS[folder] | {"base"}))
        return f"{folder}/ may include {allowed}, not {head}/"
    return None


def check_file(path: Path) -> list[str]:
    findings = []
    try:
        lines = (ROOT / path).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        return findings  # binary data
    name = path.as_posix()
    in_product = name.startswith(PRODUCT)
    is_source = path.suffix in SOURCES
    for number, line in enumerate(lines, 1):
        if is_source and (match := INCLUDE.match(line)):
            rule = check_include(path, match[1] == '"', match[2])
            if rule:
                findings.append(f"{name}:{number}: {rule}")
        if in_product and (match := UNFINISHED.search(line)):
            findings.append(f"{name}:{number}: '{match[0]}': finish it, or refuse with a sentence and a remedy")
        if not name.startswith("tests/fuzz/corpus/") and MACHINE_PATH.search(line):
            findings.append(f"{name}:{number}: a path of one machine; paths are relative or come as arguments")
    if is_source or path.suffix == ".py":
        count = len(lines) - (lines[-1] == "")
        if count > MAX_LINES and not GENERATED.search(name):
            findings.append(f"{name}:1: {count} lines, over {MAX_LINES}; split it by what it holds")
        first = next((line for line in lines if line and not line.startswith("#!")), "")
        if first and not first.startswith(("//", "/*", '"""', "#")):
            findings.append(f"{name}:1: the first lines say what the file is and what it leaves to whom")
    if name.endswith("requirements.txt"):
        for number, line in enumerate(lines, 1):
            if line and not line.startswith("#") and not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line):
                findings.append(f"{name}:{number}: expected NAME==VERSION, got '{line}'")
    return findings


def check_licence(paths: list[Path]) -> list[str]:
    names = {path.as_posix() for path in paths}
    findings = [f"{name}:1: missing" for name in ("LICENSE", "THIRD_PARTY_NOTICES.md") if name not in names]
    weights = {".safetensors", ".bin", ".pt", ".onnx", ".gguf"}
    for path in paths:
        # Tiny random models are data of the tests; real weights are never committed.
        if path.suffix in weights and (ROOT / path).stat().st_size > 2**20:
            findings.append(f"{path.as_posix()}:1: over 1 MiB of weights; models are fetched, not committed")
    return findings


def main() -> int:
    paths = tracked()
    findings = check_licence(paths)
    for path in paths:
        findings += check_file(path)
    for finding in findings:
        print(finding)
    print(f"check_layers: {len(paths)} files, {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

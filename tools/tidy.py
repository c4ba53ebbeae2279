#!/usr/bin/env python3
"""Runs clang-tidy over src/ and frontends/, only where something changed since it last passed.

A file's stamp is the sha256 of its text, of every project file that it reaches, of .clang-tidy and of clang-tidy's
version; stamps lie in BUILD/lint. Needs BUILD/compile_commands.json, so configure first. In a unity build (the presets
asan and tsan) eight sources are looked at as one, which reads the headers once. Standard library only.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


class Closure:
    """Project files that a source reaches by #include "...", found as the compiler finds them."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self.direct: dict[Path, list[Path]] = {}

    def includes(self, path: Path) -> list[Path]:
        if path not in self.direct:
            found = []
            for name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
                for folder in [path.parent, *self.folders]:
                    if (folder / name).is_file():
                        found.append((folder / name).resolve())
                        break
            self.direct[path] = found
        return self.direct[path]

    def of(self, path: Path) -> list[Path]:
        reached, waiting = {path}, [path]
        while waiting:
            for target in self.includes(waiting.pop()):
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return sorted(reached)


def main() -> int:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build-asan")
    commands = json.loads((build / "compile_commands.json").read_text())
    sources = sorted({Path(entry["file"]) for entry in commands})
    folders = [top / name for top in (ROOT, build.resolve()) for name in ("src", "frontends")]
    wanted = [path for path in sources if any(path.is_relative_to(folder) for folder in folders)]

    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    base = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes()).hexdigest()
    closure = Closure([ROOT / "src", ROOT / "include", ROOT, (build / "generated").resolve()])
    stamps = build / "lint"
    stamps.mkdir(exist_ok=True)

    def stamp(path: Path) -> Path:
        digest = hashlib.sha256(base.encode())
        for reached in closure.of(path):
            digest.update(reached.read_bytes())
        name = path.relative_to(ROOT).as_posix().replace("/", "-")
        return stamps / f"{name}.{digest.hexdigest()[:24]}"

    stale = {path: stamp(path) for path in wanted}
    stale = {path: mark for path, mark in stale.items() if not mark.exists()}

    def tidy(path: Path) -> str:
        command = ["clang-tidy", "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            for old in stamps.glob(stale[path].name.rsplit(".", 1)[0] + ".*"):
                old.unlink()
            stale[path].touch()
            return ""
        return done.stdout or done.stderr

    jobs = int(os.environ.get("INLAY_JOBS", "0")) or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(jobs) as pool:
        findings = [text for text in pool.map(tidy, stale) if text]
    for text in findings:
        print(text.replace(f"{ROOT}/", ""))
    print(
        f"clang-tidy: {len(wanted)} files, {len(stale)} looked at again, {len(findings)} with findings", file=sys.stderr
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

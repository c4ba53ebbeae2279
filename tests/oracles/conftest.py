"""What the oracle tests share: the built program, the models, and the pins that make a comparison mean something."""

import json
import os
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ["HF_HUB_OFFLINE"] = "1"  # a reference that downloads something else than we read proves nothing
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_report_header() -> list[str]:
    """Fails early on another version than the pinned one: answers are recorded from exactly these."""
    lines = []
    for line in (Path(__file__).parent / "requirements.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, wanted = line.split("==")
        got = metadata.version(name)
        if got.split("+")[0] != wanted:
            raise pytest.UsageError(f"{name}: expected {wanted}, got {got}. Run ./test --oracles.")
        lines.append(f"{name} {got}")
    return ["oracles: " + ", ".join(lines)]


@pytest.fixture(scope="session")
def inlay():
    """Runs build/inlay with arguments and bytes or texts on standard input; returns standard output as bytes."""
    program = ROOT / "build" / "inlay"
    if not program.is_file():
        pytest.fail("build/inlay is not built. Run: ./run hello")

    def run(*arguments: object, texts: list[str] | None = None, data: bytes | None = None) -> bytes:
        if texts is not None:
            data = "".join(json.dumps(text) + "\n" for text in texts).encode()
        command = [str(program), *map(str, arguments)]
        done = subprocess.run(command, input=data or b"", capture_output=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode(errors='replace')}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def default_model(inlay) -> Path:
    """Folder of all-MiniLM-L6-v2; skips where it is not on this machine."""
    program = ROOT / "build" / "inlay"
    done = subprocess.run([program, "model", "list", "--json"], capture_output=True, text=True)
    if done.returncode == 0:
        for entry in json.loads(done.stdout):
            if entry["name"] == "minilm" and entry["path"]:
                return Path(entry["path"])
    pytest.skip("the default model is not on this machine; tools/fetch_model.py obtains it")

"""What the oracle tests share: the default model, and the pins that make a comparison mean something."""

import json
import os
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ["HF_HUB_OFFLINE"] = "1"  # a reference that downloads something else than we read proves nothing
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["INLAY_PACKED_CACHE"] = "0"  # no test writes into the user's cache


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


def model_path(name: str) -> str | None:
    """Where build/inlay finds a model of its list; None where it is not on this machine."""
    program = ROOT / "build" / "inlay"
    if not program.is_file():
        return None
    done = subprocess.run([program, "model", "list", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        return None
    return next((entry["path"] for entry in json.loads(done.stdout) if entry["name"] == name), None) or None


# The tests read it when they are imported, which is after this file.
if "INLAY_MODEL_DIR" not in os.environ and (folder := model_path("minilm")):
    os.environ["INLAY_MODEL_DIR"] = folder


def inlay_vectors(model, texts: list[str], arguments: list[str]):
    """The vectors that `inlay embed` gives for texts, as float32 [texts, dim]."""
    import numpy as np

    program = os.environ.get("INLAY_BIN", str(ROOT / "build" / "inlay"))
    with tempfile.TemporaryDirectory() as folder:
        lines, vectors = Path(folder, "texts.jsonl"), Path(folder, "vectors.npy")
        lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        command = [program, "embed", "-m", str(model), "-i", str(lines), "-o", str(vectors), "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return np.load(vectors)


def inlay_lines(command: str, model, items: list, arguments: list[str], expect_error: bool = False):
    """The jsonl lines of a command over items (texts or pairs); or its exit code and message."""
    program = os.environ.get("INLAY_BIN", str(ROOT / "build" / "inlay"))
    text = "".join(json.dumps(item) + "\n" for item in items)
    call = [program, command, "-m", str(model), "--input-format", "jsonl", "--quiet", *arguments]
    done = subprocess.run(call, input=text, capture_output=True, text=True)
    if expect_error:
        return done.returncode, done.stderr
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def fastembed_vectors(model: str, folder, texts: list[str], **options):
    """What fastembed_reference.py answers: {"documents": [[indices, values], ...], "queries": ...}."""
    python = Path(os.environ.get("INLAY_FASTEMBED_PYTHON", ROOT / ".venv" / "fastembed" / "bin" / "python"))
    if not python.is_file():
        pytest.skip("no .venv/fastembed: ./test --oracles makes it")
    request = json.dumps({"model": model, "folder": str(folder), "options": options, "texts": texts})
    script = Path(__file__).with_name("fastembed_reference.py")
    done = subprocess.run([python, script], input=request, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)

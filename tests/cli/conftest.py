"""Black-box tests of the command line: they run the built program and look at what it prints, writes and returns.

INLAY_BIN names the program (build/inlay when unset); INLAY_MODEL_DIR a folder of the default model for the tests that
want the real one (when unset, the program looks for it itself, and those tests skip when it is not there). All other
tests use the tiny models of tests/golden.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hub_server import Cache, FakeHub

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("INLAY_BIN", ROOT / "build" / "inlay")).resolve()
MODELS = ROOT / "tests" / "golden" / "models"
CASES = ROOT / "tests" / "golden" / "cases"


def environment(**changes):
    """The caller's environment without options of its own, and with `changes`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("INLAY_") or k == "INLAY_CPU_ISA"}
    if "INLAY_HOME" in os.environ:
        kept["INLAY_HOME"] = os.environ["INLAY_HOME"]
    kept["HF_HUB_OFFLINE"] = "1"  # no test asks the real Hub
    kept["INLAY_PACKED_CACHE"] = "0"  # nor writes into the user's cache
    kept.update(changes)
    return kept


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err.decode(errors="replace")

    @property
    def lines(self):
        return self.out.decode().splitlines()

    @property
    def json(self):
        """One value a line, as jsonl has it."""
        return [json.loads(line) for line in self.out.decode().split("\n")[:-1]]


def run_inlay(*args, stdin=b"", cwd=None, timeout=120, **env):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run(
        [BINARY, *map(os.fsencode, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        env=environment(**env),
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def inlay():
    """run(*args, stdin=..., **environment) -> Result"""
    return run_inlay


@pytest.fixture
def tiny():
    """A BERT of random weights without prompts."""
    return str(MODELS / "bert-mean")


@pytest.fixture
def with_prompts():
    """The same kind with the prompts query, document and passage, and no default."""
    return str(MODELS / "bert-prompt")


@pytest.fixture(scope="session")
def real_model():
    """The default model's folder."""
    folder = os.environ.get("INLAY_MODEL_DIR")
    if folder:
        return folder
    listed = json.loads(run_inlay("model", "list", "--json").out)
    path = next(model["path"] for model in listed if model["name"] == "minilm")
    if not path:
        pytest.skip("the default model is not on this machine")
    return path


@pytest.fixture
def hub():
    server = FakeHub()
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "hub")


@pytest.fixture
def at(hub, cache, tmp_path):
    """The environment of a user of that Hub and cache."""
    return {
        "HF_ENDPOINT": hub.url(),
        "HF_HUB_CACHE": str(cache.folder),
        "HF_HOME": str(tmp_path / "hf"),
        "INLAY_HOME": str(tmp_path / "own"),
        "HF_HUB_OFFLINE": "",
        "TRANSFORMERS_OFFLINE": "",
        "HF_TOKEN": "",
        "no_proxy": "127.0.0.1",
    }


def preloaded(tmp_path, name, code):
    """A library for LD_PRELOAD, made of C code."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("no C compiler")
    source, library = tmp_path / f"{name}.c", tmp_path / f"lib{name}.so"
    source.write_text(code)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return str(library)


def expect(result, code, *words):
    """A refusal: the exit code, and one sentence on standard error with each of `words`."""
    assert result.code == code, result.err
    for word in words:
        assert word in result.err, result.err
    if code != 0:
        assert result.err.startswith("inlay: [")
        assert result.err.count("\n") == 1, result.err

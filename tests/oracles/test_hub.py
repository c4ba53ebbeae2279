"""The shared cache against huggingface_hub: each finds what the other wrote, both hold the same locks.

The Hub is tests/cli/hub_server.py on this machine. huggingface_hub reads its settings when it is imported, so it runs in
processes of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from hub_server import MODELS, NAME, Cache, FakeHub, big_files, etag, folder_files, sha256  # noqa: E402

INLAY = ROOT / "build" / "inlay"
ONLINE, OFFLINE = {"HF_HUB_OFFLINE": "0"}, {"HF_HUB_OFFLINE": "1"}


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
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "INLAY_", "TRANSFORMERS_"))}
    return {
        **kept,
        "HF_ENDPOINT": hub.url(),
        "HF_HUB_CACHE": str(cache.folder),
        "HF_HOME": str(tmp_path / "hf"),
        "INLAY_HOME": str(tmp_path / "own"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "no_proxy": "127.0.0.1",
    }


def inlay(env, *args):
    done = subprocess.run([INLAY, *args], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(env, code):
    """Runs code that prints one JSON value."""
    begin = "import json, huggingface_hub as h\n"
    done = subprocess.run([sys.executable, "-c", begin + code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SCAN = """
r = h.scan_cache_dir()
print(json.dumps([[str(w) for w in r.warnings],
                  [[i.repo_id, i.repo_type, i.nb_files, [[v.commit_hash, sorted(v.refs)] for v in i.revisions]]
                   for i in r.repos]]))
"""


@pytest.mark.parametrize("links", ["", "1"], ids=["links", "HF_HUB_DISABLE_SYMLINKS"])
def test_huggingface_hub_finds_what_inlay_fetched(hub, cache, at, links):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, {**files, "README.md": b"# text"})
    at["HF_HUB_DISABLE_SYMLINKS"] = links
    path = inlay({**at, **ONLINE}, "model", "get", NAME).strip()
    found = python({**at, **OFFLINE}, f"print(json.dumps(h.snapshot_download({NAME!r}, local_files_only=True)))")
    assert found == path == str(cache.snapshot(commit))
    for file, data in files.items():
        one = python({**at, **OFFLINE}, f"print(json.dumps(h.hf_hub_download({NAME!r}, {file!r})))")
        assert Path(one).read_bytes() == data
    warnings, repositories = python({**at, **OFFLINE}, SCAN)
    assert warnings == []
    assert repositories == [[NAME, "model", len(files), [[commit, ["main"]]]]]
    # Online it takes up what is there: README.md alone is fetched.
    before = len(hub.requests)
    assert python({**at, **ONLINE}, f"print(json.dumps(h.snapshot_download({NAME!r})))") == path
    sent = [r.path for r in hub.requests[before:] if r.method == "GET" and r.sent]
    assert sent == [f"/{NAME}/resolve/{commit}/README.md"]


def test_what_is_not_in_a_commit_is_known_to_both(hub, cache, at):
    files = {f: d for f, d in folder_files(MODELS / "bert-mean").items() if "/" not in f and f != "modules.json"}
    commit = hub.add(NAME, files)
    inlay({**at, **ONLINE}, "model", "get", NAME)
    assert (cache.repository / ".no_exist" / commit / "modules.json").read_bytes() == b""
    code = "from huggingface_hub.file_download import _CACHED_NO_EXIST as n\n"
    code += f"print(json.dumps(h.try_to_load_from_cache({NAME!r}, 'modules.json') is n))"
    assert python({**at, **OFFLINE}, code) is True


def test_sentence_transformers_loads_what_inlay_fetched(hub, at):
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    inlay({**at, **ONLINE}, "model", "get", NAME)
    line = json.loads(inlay({**at, **OFFLINE}, "embed", "-m", NAME, "a text"))
    code = "from sentence_transformers import SentenceTransformer as S\n"
    code += f"print(json.dumps(S({NAME!r}, device='cpu').encode(['a text'])[0].tolist()))"
    expected = python({**at, **OFFLINE}, code)
    assert max(abs(a - b) for a, b in zip(line["embedding"], expected, strict=True)) < 1e-5


@pytest.mark.parametrize("links", ["", "1"], ids=["links", "HF_HUB_DISABLE_SYMLINKS"])
def test_inlay_finds_what_huggingface_hub_fetched(hub, cache, at, links):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, {**files, "README.md": b"# text", "pytorch_model.bin": b"x" * 9000})
    at["HF_HUB_DISABLE_SYMLINKS"] = links
    python({**at, **ONLINE}, f"print(json.dumps(h.snapshot_download({NAME!r}, ignore_patterns=['*.bin'])))")
    before = len(hub.requests)
    here = inlay({**at, **OFFLINE}, "embed", "-m", str(MODELS / "bert-mean"), "a text")
    for mode in (OFFLINE, ONLINE):
        assert inlay({**at, **mode}, "embed", "-m", NAME, "a text") == here
        shown = json.loads(inlay({**at, **mode}, "model", "show", NAME))
        assert shown["revision"] == commit and shown["cached"] is True
    assert len(hub.requests) == before, "the cache was complete"


def test_what_sentence_transformers_fetched_needs_no_network(hub, at):
    hub.add(NAME, {**folder_files(MODELS / "bert-mean"), "README.md": b"# text"})
    code = "from sentence_transformers import SentenceTransformer as S\n"
    code += f"print(json.dumps(S({NAME!r}, device='cpu').get_max_seq_length()))"
    python({**at, **ONLINE}, code)
    before = len(hub.requests)
    inlay({**at, **ONLINE}, "embed", "-m", NAME, "a text")
    assert len(hub.requests) == before


def test_inlay_completes_what_transformers_fetched(hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    code = "from transformers import AutoModel, AutoTokenizer\n"
    code += f"AutoModel.from_pretrained({NAME!r}); AutoTokenizer.from_pretrained({NAME!r}); print(1)"
    python({**at, **ONLINE}, code)
    weights = sha256(files["model.safetensors"])
    assert len(hub.gets(weights)) == 1 and not (cache.snapshot(commit) / "modules.json").exists()
    here = inlay({**at, **OFFLINE}, "embed", "-m", str(MODELS / "bert-mean"), "a text")
    assert inlay({**at, **ONLINE}, "embed", "-m", NAME, "a text") == here
    assert len(hub.gets(weights)) == 1
    assert cache.check(files, commit)


def test_blobs_in_the_shared_store_are_followed_and_kept(hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    inlay({**at, **ONLINE}, "model", "get", NAME)
    blob = cache.repository / "blobs" / etag(files["model.safetensors"])
    shared = cache.folder / "blobs" / "ab" / ("ab" + "0" * 62)
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    (cache.snapshot(commit) / "model.safetensors").unlink()
    before = len(hub.gets(sha256(files["model.safetensors"])))
    inlay({**at, **ONLINE}, "embed", "-m", NAME, "a text")
    assert blob.is_symlink() and shared.read_bytes() == files["model.safetensors"]
    assert len(hub.gets(sha256(files["model.safetensors"]))) == before


def test_both_at_once_fetch_once(hub, cache, at):
    files = big_files(4 << 20)
    commit = hub.add(NAME, files)
    hub.fault = lambda r: {"rate": 2e6} if r.server == "store" else None
    env = {**at, **ONLINE}
    code = f"import huggingface_hub as h; h.snapshot_download({NAME!r})"
    processes = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in range(2)]
    processes += [
        subprocess.Popen([INLAY, "model", "get", NAME, "-q"], env=env, stdout=subprocess.DEVNULL) for _ in "ab"
    ]
    assert [p.wait(timeout=120) for p in processes] == [0] * 4
    assert cache.check(files, commit)
    assert len(hub.gets(sha256(files["model.safetensors"]))) == 1
    warnings, _ = python({**at, **OFFLINE}, SCAN)
    assert warnings == []

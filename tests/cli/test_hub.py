"""Models from a Hub: what is fetched, the layout of the shared cache, machines that do not play along. The Hub is
hub_server.py on this machine; test_hub_faults.py has the faults of servers and networks.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import BINARY, MODELS, environment, expect, preloaded, run_inlay
from hub_server import NAME, big_files, etag, folder_files, sha256

# what is fetched, and where it lies


def test_a_model_is_fetched_once_and_then_needs_no_network(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    others = {"README.md": b"# a model", "onnx/model.onnx": b"x" * 9000, "pytorch_model.bin": b"y" * 9000}
    commit = hub.add(NAME, {**files, **others})
    first = inlay("embed", "-m", NAME, "a text", **at)
    assert first.code == 0, first.err
    here = inlay("embed", "-m", str(MODELS / "bert-mean"), "a text", **at)
    assert first.json[0]["embedding"] == here.json[0]["embedding"]
    assert cache.check(files, commit)
    assert {
        str(p.relative_to(cache.snapshot(commit))) for p in cache.snapshot(commit).rglob("*") if p.is_file()
    } == set(files)
    for file in files:
        link = cache.snapshot(commit) / file
        assert os.readlink(link) == os.path.relpath(cache.repository / "blobs" / etag(files[file]), link.parent)
    assert (cache.repository / "refs/main").read_bytes() == commit.encode()
    assert not [name for name in cache.blobs() if len(name) not in (40, 64)]
    before = len(hub.requests)
    assert inlay("embed", "-m", NAME, "a text", **at).out == first.out
    assert inlay("tokens", "-m", NAME, "a text", **at).code == 0
    assert len(hub.requests) == before
    shown = json.loads(inlay("model", "show", NAME, **at).out)
    assert shown["revision"] == commit and shown["cached"] is True and shown["model"] == NAME


def test_get_prints_the_folder_and_follows_the_branch(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    old = hub.add(NAME, files)
    got = inlay("model", "get", NAME, **at)
    assert got.code == 0 and got.out.decode() == f"{cache.snapshot(old)}\n"
    assert old in got.err
    files["config_sentence_transformers.json"] = b'{"prompts": {"query": "q: "}}'
    new = hub.add(NAME, files)
    sent = hub.sent()
    told = json.loads(inlay("model", "get", NAME, "--json", "--quiet", **at).out)
    assert told["revision"] == new and told["received"] == len(files["config_sentence_transformers.json"])
    assert hub.sent() == sent  # the weights are the old blob
    assert (cache.repository / "refs/main").read_text() == new
    pinned = json.loads(inlay("model", "get", f"{NAME}@{old}", "--json", **at).out)
    assert pinned["path"] == str(cache.snapshot(old))


def test_revisions(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    main = hub.add(NAME, files)
    other = hub.add(NAME, {**files, "vocab.txt": b"other"}, "refs/pr/1")
    assert json.loads(inlay("model", "get", NAME + "@refs/pr/1", "--json", **at).out)["revision"] == other
    assert (cache.repository / "refs/refs/pr/1").read_text() == other
    assert not (cache.repository / "refs/main").exists()
    assert json.loads(inlay("model", "get", f"{NAME}@{main}", "--json", **at).out)["revision"] == main
    assert not (cache.repository / "refs" / main).exists()
    expect(inlay("model", "get", NAME + "@none", **at), 66, "at revision none", "Invalid rev id")


def test_what_lacks_is_completed(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    assert inlay("model", "get", NAME, **at).code == 0
    for file in ("1_Pooling/config.json", "model.safetensors", "modules.json", "config.json", "tokenizer.json"):
        (cache.snapshot(commit) / file).unlink()
        before = len(hub.requests)
        assert inlay("embed", "-m", NAME, "a", **at).code == 0
        assert len(hub.requests) == before + 1, "one listing; the blob is still there"
        assert cache.check(files, commit)


def test_a_listing_without_hashes_is_asked_file_by_file(inlay, hub, cache, at):
    hub.blobs = False
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    assert inlay("model", "get", NAME, **at).code == 0
    assert cache.check(files, commit)
    assert {r.method for r in hub.requests if "/resolve/" in r.path} == {"HEAD", "GET"}
    assert not [r for r in hub.requests if r.method == "HEAD" and r.server == "store"]


def test_pytorch_weights_only_without_safetensors_and_onnx_only_without_both(inlay, hub, cache, at):
    base = {"config.json": b"{}", "tokenizer.json": b"{}"}
    weights = {
        "model-00001-of-00002.safetensors": b"a" * 5000,
        "model-00002-of-00002.safetensors": b"b" * 5000,
        "model.safetensors.index.json": b'{"weight_map": {}}',
        "pytorch_model.bin": b"c" * 5000,
        "onnx/model.onnx": b"d" * 5000,
    }
    for dropped, wanted in (
        ((), {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}),
        (("model", "onnx"), {"pytorch_model.bin"}),
        (("model", "pytorch"), {"onnx/model.onnx"}),
    ):
        kept = {f: data for f, data in weights.items() if not f.startswith(dropped)} if dropped else weights
        commit = hub.add(NAME, {**base, **kept})
        assert inlay("model", "get", NAME, **at).code == 0
        snapshot = cache.snapshot(commit)
        there = {str(p.relative_to(snapshot)) for p in snapshot.rglob("*") if p.is_file()}
        assert there == set(base) | wanted


def test_without_links_the_files_themselves_are_in_the_snapshot(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    at["HF_HUB_DISABLE_SYMLINKS"] = "1"
    assert inlay("embed", "-m", NAME, "a", **at).code == 0
    assert cache.check(files, commit)
    assert not [p for p in cache.repository.rglob("*") if p.is_symlink()]
    before = len(hub.requests)
    assert inlay("embed", "-m", NAME, "a", **at).code == 0
    assert len(hub.requests) == before


# refusals


def test_a_machine_without_libcurl(hub, cache, at, tmp_path):
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    code = "void* dlopen(const char* name, int how) { (void)name; (void)how; return 0; }\n"
    code += 'char* dlerror(void) { return "libcurl.so.4: cannot open shared object file"; }\n'
    without = {**at, "LD_PRELOAD": preloaded(tmp_path, "dlopen", code)}
    expect(run_inlay("model", "get", NAME, **without), 69, "libcurl.so.4: cannot open", "Install it")
    expect(run_inlay("embed", "-m", NAME, "a", **without), 66, "libcurl4")
    assert run_inlay("model", "get", NAME, **at).code == 0
    assert run_inlay("embed", "-m", NAME, "a", **without).code == 0


def test_a_missing_model_and_a_private_one(inlay, hub, at):
    expect(inlay("model", "get", "org/none", **at), 66, "org/none", "401", "HF_TOKEN")
    expect(inlay("embed", "-m", "org/none", "a", **at), 66, "org/none")
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    hub.fault = lambda r: {"status": 403, "headers": {"X-Error-Code": "GatedRepo", "X-Error-Message": "no"}}
    expect(inlay("model", "get", NAME, **at), 66, "Accept its conditions", "HF_TOKEN")


def test_names_that_lead_out_are_refused(inlay, hub, cache, at):
    hub.add(NAME, {**folder_files(MODELS / "bert-mean"), "../../config.json": b"{}"})
    assert inlay("model", "get", NAME, **at).code == 0  # no file of a model's folder is called so
    hub.add(NAME, {"config.json": b"{}", "0_a\\..\\b/config.json": b"{}", "model.safetensors": b""})
    expect(inlay("model", "get", NAME, **at), 65, "listing")


def test_a_repository_without_a_model(inlay, hub, at):
    hub.add(NAME, {"README.md": b"text", "data.csv": b"a,b"})
    expect(inlay("model", "get", NAME, **at), 65, "without them")


def test_an_answer_that_is_no_hubs(inlay, at, hub):
    at["HF_ENDPOINT"] = hub.url("store")
    expect(inlay("model", "get", NAME, **at), 66, "404")


@pytest.mark.parametrize("endpoint", ["ftp://x", "nothing", "http://a b"])
def test_an_endpoint_that_is_none(inlay, at, endpoint):
    expect(inlay("model", "get", NAME, **{**at, "HF_ENDPOINT": endpoint}), 2, "HF_ENDPOINT")


def test_an_unreachable_hub(inlay, hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    hub.add(NAME, files)
    gone = {**at, "HF_ENDPOINT": "http://127.0.0.1:9"}
    expect(inlay("model", "get", NAME, **gone), 69, "127.0.0.1:9")
    expect(inlay("embed", "-m", NAME, "a", **gone), 66, "refs/main", "-m FOLDER")
    assert inlay("model", "get", NAME, **at).code == 0
    kept = inlay("model", "get", NAME, **gone)
    assert kept.code == 0 and "what is here was taken" in kept.err


# T14: machines that do not play along


def test_offline_asks_nothing(inlay, hub, cache, at):
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        expect(inlay("embed", "-m", NAME, "a", **{**at, variable: "1"}), 66, "HF_HUB_OFFLINE")
        expect(inlay("model", "get", NAME, **{**at, variable: "yes"}), 66, "HF_HUB_OFFLINE")
    assert not hub.requests
    assert inlay("model", "get", NAME, **at).code == 0
    hub.requests.clear()
    assert inlay("embed", "-m", NAME, "a", **{**at, "HF_HUB_OFFLINE": "ON"}).code == 0
    assert inlay("model", "get", NAME, **{**at, "HF_HUB_OFFLINE": "TRUE"}).code == 0
    assert not hub.requests


@pytest.mark.parametrize("offline", ["", "1"])
def test_a_complete_cache_needs_no_socket_and_no_write(hub, cache, at, tmp_path, offline):
    if not shutil.which("strace") or subprocess.run(["strace", "true"], capture_output=True).returncode != 0:
        pytest.skip("no strace")
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    assert run_inlay("model", "get", NAME, **at).code == 0
    log = tmp_path / "calls"
    calls = "trace=%network,openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,flock"
    subprocess.run(
        ["strace", "-f", "-e", calls, "-o", log, BINARY, "embed", "-m", NAME, "a"],
        env=environment(**{**at, "HF_HUB_OFFLINE": offline}),
        check=True,
        capture_output=True,
    )
    traced = log.read_text().splitlines()
    assert any("model.safetensors" in line or "blobs" in line for line in traced)
    assert not [line for line in traced if "socket(" in line or "connect(" in line or "libcurl" in line]
    writes = ("O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "rename", "unlink", "symlink", "flock(")
    assert not [line for line in traced if str(cache.folder) in line and any(word in line for word in writes)]


def test_a_cache_that_cannot_be_written(inlay, hub, at, tmp_path):
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "hub", "/proc/none"):
        expect(inlay("model", "get", NAME, **{**at, "HF_HUB_CACHE": str(place)}), 73, str(place), "HF_HUB_CACHE")


def in_a_tmpfs(cache, size, options=""):
    """A shell prefix that gives the command a small file system of its own at the cache."""
    cache.folder.mkdir(exist_ok=True)
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", cache.folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    return [
        "unshare",
        "-rm",
        "sh",
        "-c",
        f'mount -t tmpfs -o size={size}{options} none "$0" && exec "$@"',
        cache.folder,
    ]


def test_a_full_disk_is_told_before_the_transfer(hub, cache, at):
    if not shutil.which("unshare"):
        pytest.skip("no unshare")
    hub.add(NAME, big_files(3 << 20))
    done = subprocess.run(
        [*in_a_tmpfs(cache, "1m"), BINARY, "model", "get", NAME], env=environment(**at), capture_output=True
    )
    assert done.returncode == 73, done.stderr
    assert str(3 << 20) in done.stderr.decode() and "model.safetensors" in done.stderr.decode()
    assert not hub.gets(sha256(big_files(3 << 20)["model.safetensors"]))


def test_a_read_only_cache(hub, cache, at):
    if not shutil.which("unshare"):
        pytest.skip("no unshare")
    hub.add(NAME, folder_files(MODELS / "bert-mean"))
    in_a_tmpfs(cache, "1m")
    read_only = [
        "unshare", "-rm", "sh", "-c",
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"', cache.folder, BINARY,
    ]  # fmt: skip
    env = environment(**at)
    done = subprocess.run([*read_only, "model", "get", NAME], env=env, capture_output=True)
    assert done.returncode == 73 and b"Read-only" in done.stderr, done.stderr
    assert run_inlay("model", "get", NAME, **at).code == 0
    done = subprocess.run([*read_only, "embed", "-m", NAME, "a"], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*read_only, "model", "get", NAME], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_write_that_fails_half_way(hub, cache, at):
    hub.add(NAME, big_files(1 << 20))
    code = (
        "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, BINARY, "model", "get", NAME], env=environment(**at), capture_output=True
    )
    assert done.returncode == 73, done.stderr
    assert b"bytes written" in done.stderr and b"blobs" in done.stderr


def test_too_few_file_descriptors(hub, cache, at):
    files = folder_files(MODELS / "bert-mean")
    commit = hub.add(NAME, files)
    outcomes = set()
    for limit in range(4, 14):
        hub.requests.clear()
        done = subprocess.run(
            ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", BINARY, "model", "get", NAME],
            env=environment(**at),
            capture_output=True,
            timeout=60,
        )
        assert done.returncode in (0, 69, 73, 127), done.stderr
        if done.returncode == 69:
            assert len(hub.requests) <= 1 + len(files), "a machine without descriptors is not tried again"
        outcomes.add(done.returncode)
        cache.check(files, commit)
        if done.returncode == 0:
            break
    assert 0 in outcomes


# the list


def test_the_list_of_models(inlay, at):
    models = json.loads(inlay("model", "list", "--json", **at).out)
    assert len(models) >= 100
    assert {m["task"] for m in models} == {"dense", "sparse", "rerank", "late"}
    assert len({m["id"].lower() for m in models}) == len(models)
    named = [m["name"] for m in models if m["name"]]
    assert len(set(named)) == len(named)
    minilm = models[0]
    assert minilm["name"] == "minilm" and minilm["support"] == "real weights" and minilm["path"] is None
    for model in models:
        assert (model["support"] == "not supported yet") == (model["missing"] is not None)
        assert model["parameters"] > 1e6 or model["id"] == "Qdrant/bm25"
        assert model["dimensions"] > 0 or model["id"].startswith("Qdrant/")  # these hash words
        assert model["max_tokens"] >= 0
    table = inlay("model", "list", **at)
    assert table.code == 0 and len(table.lines) == len(models) + 1


def test_the_list_knows_what_is_here(inlay, hub, cache, at):
    name = "BAAI/bge-small-en-v1.5"
    commit = hub.add(name, folder_files(MODELS / "bert-mean"))
    got = inlay("model", "get", "bge-small", **at)
    assert got.code == 0, got.err
    entry = next(m for m in json.loads(inlay("model", "list", "--json", **at).out) if m["id"] == name)
    assert entry["revision"] == commit and entry["path"].endswith(commit)
    assert entry["complete"] is True
    tokens = inlay("tokens", "-m", "bge-small", "--as", "query", "a", **at)
    assert tokens.json[0]["prompt"] == "query"


LANGUAGES = (
    "arabic danish dutch english finnish french german greek hungarian italian norwegian portuguese romanian russian "
    "spanish swedish turkish"
).split()


def test_bm25_is_its_lists_of_stop_words(inlay, hub, at):
    lists = {f"{language}.txt": b"the\n" for language in LANGUAGES}
    commit = hub.add("Qdrant/bm25", {**lists, "config.json": b"", "README.md": b"# lists"})
    first = inlay("sparse", "-m", "bm25", "--words", "the fox", **at)
    assert first.code == 0 and first.json[0]["words"] == ["fox"] and "stop words" not in first.err
    before = len(hub.requests)
    assert inlay("sparse", "-m", "Qdrant/bm25", "--words", "the fox", **at).out == first.out
    assert len(hub.requests) == before
    entry = next(m for m in json.loads(inlay("model", "list", "--json", **at).out) if m["name"] == "bm25")
    assert entry["revision"] == commit and entry["complete"] is True


def test_bm25_does_without_a_hub(inlay, hub, at):
    result = inlay("sparse", "-m", "bm25", "--words", "the fox", **at)  # a Hub that lacks it
    assert sorted(result.json[0]["words"]) == ["fox", "the"] and "without stop words" in result.err
    assert inlay("model", "get", "bm25", **at).code == 66


def test_fastembeds_name_is_the_hubs_model(inlay, hub, at):
    files = folder_files(MODELS / "bert-mean")
    files = {name: data for name, data in files.items() if name != "modules.json" and "/" not in name}
    hub.add("Qdrant/all_miniLM_L6_v2_with_attentions", {**files, "stopwords.txt": b"the\n"})
    asked = "Qdrant/bm42-all-minilm-l6-v2-attentions"
    result = inlay("sparse", "-m", asked, "--words", "--as", "query", "the fox", **at)
    assert result.code == 0 and "the" not in result.json[0]["words"], result.err
    assert inlay("sparse", "-m", "bm42", "--words", "--as", "query", "the fox", **at).out == result.out

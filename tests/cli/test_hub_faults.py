"""Downloads that are killed, damaged, stalled, refused, and done by many processes at once; the Hub is hub_server.py.

INLAY_HUB_KILLS sets how often a download is killed (15; nightly 200).
"""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from conftest import BINARY, MODELS, environment, expect, preloaded, run_inlay
from hub_server import LARGE, NAME, big_files, folder_files, sha256

KILLS = int(os.environ.get("INLAY_HUB_KILLS", "15"))
FLOCK = "int flock(int file, int operation) { (void)file; (void)operation; return 0; }\n"


@pytest.fixture
def flock_does_nothing(tmp_path):
    """A library to preload: every process gets every lock."""
    return preloaded(tmp_path, "flock", FLOCK)


def start(*args, **env):
    return subprocess.Popen(
        [BINARY, *args],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


# T11: killed at any moment


def test_killed_at_random_moments(hub, cache, at):
    size = 8 << 20
    files = big_files(size)
    commit = hub.add(NAME, files)
    hub.fault = lambda r: {"rate": 32e6} if r.server == "store" else None
    source = random.Random(11)
    kills = finished = 0
    needed = size + sum(len(data) for f, data in files.items() if len(data) >= LARGE and f != "model.safetensors")
    while kills < KILLS:
        process = start("model", "get", NAME, "--quiet", **at)
        try:
            process.communicate(timeout=source.uniform(0, 0.4))
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        complete = cache.check(files, commit)
        assert complete or process.returncode != 0
        if process.returncode == 0:
            finished += 1
            assert not [name for name in cache.blobs() if len(name) not in (40, 64)], "parts left behind"
            shutil.rmtree(cache.folder)
    last = run_inlay("model", "get", NAME, **at)
    assert last.code == 0 and cache.check(files, commit)
    # Of a kill what was on its way is lost; a busy machine may need all kills for one download.
    again = (hub.sent() - (finished + 1) * needed) / kills
    print(f"{kills} kills, {finished + 1} complete downloads, {again / needed:.4%} of the bytes fetched again a kill")
    assert again <= 0.05 * needed


# T12: servers and proxies that misbehave


def once(fault, files):
    """A fault for the first request for the weights in the store, none afterwards."""
    left = [fault]
    return lambda request: left.pop() if left and for_weights(request, files) else None


def for_weights(request, files):
    return request.server == "store" and request.path.endswith(sha256(files["model.safetensors"]))


def test_a_wrong_bit_is_noticed_and_fetched_again(inlay, hub, cache, at):
    files = big_files(300_000)
    commit = hub.add(NAME, files)
    hub.fault = once({"flip": 150_000}, files)
    assert inlay("model", "get", NAME, **at).code == 0
    assert cache.check(files, commit)
    shutil.rmtree(cache.folder)
    hub.fault = lambda r: {"flip": 150_000} if r.server == "store" else None
    expect(inlay("model", "get", NAME, **at), 69, "model.safetensors", sha256(files["model.safetensors"]), "twice")
    assert not cache.check(files, commit)
    assert not (cache.repository / "refs/main").exists()


@pytest.mark.parametrize(
    "fault",
    [{"truncate": 100_000}, {"truncate": 100_000, "length": 100_000}, {"length": 400_000}, {"status": 500}],
    ids=["cut", "cut with its own length", "a length too long", "500"],
)
def test_one_bad_answer_is_made_good(inlay, hub, cache, at, fault):
    files = big_files(300_000)
    commit = hub.add(NAME, files)
    hub.fault = once(fault, files)
    got = inlay("model", "get", NAME, **at)
    assert got.code == 0, got.err
    assert cache.check(files, commit)
    ranges = [r.headers.get("range") for r in hub.requests if for_weights(r, files)]
    assert ranges == [
        None,
        "bytes=100000-" if "truncate" in fault else "bytes=300000-" if "length" in fault else None,
    ] or ("length" in fault and ranges == [None])


def test_more_bytes_than_the_file_has(inlay, hub, cache, at):
    files = big_files(300_000)
    commit = hub.add(NAME, files)
    longer = dict(files)
    longer["model.safetensors"] += b"x" * 50_000
    original = hub._bytes
    hub._bytes = lambda handler, request, data, headers, fault: original(
        handler, request, longer["model.safetensors"] if len(data) == 300_000 else data, headers, fault
    )
    expect(inlay("model", "get", NAME, **at), 69, "model.safetensors", "bytes that do not fit")
    assert not cache.check(files, commit)


def leave_a_part(hub, cache, at, size=2 << 20):
    """A download that was killed half way."""
    files = big_files(size)
    commit = hub.add(NAME, files)
    hub.fault = lambda r: {"stall": size // 2} if r.server == "store" else None
    process = start("model", "get", NAME, **at)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        parts = [p for name, p in cache.blobs().items() if name.startswith(sha256(files["model.safetensors"]))]
        if parts and parts[0].stat().st_size >= size // 2:
            break
        time.sleep(0.02)
    process.kill()
    process.communicate()
    hub.fault = lambda r: None
    hub.requests.clear()
    return files, commit


@pytest.mark.parametrize("fault", [None, {"whole": True}, {"status": 416}], ids=["206", "200", "416"])
def test_answers_to_a_range(inlay, hub, cache, at, fault):
    files, commit = leave_a_part(hub, cache, at)
    size = len(files["model.safetensors"])
    if fault:
        hub.fault = once(fault, files)
    assert inlay("model", "get", NAME, **at).code == 0
    assert cache.check(files, commit)
    weights = [r for r in hub.requests if for_weights(r, files)]
    assert weights[0].headers["range"] == f"bytes={size // 2}-"
    assert sum(r.sent for r in weights) == (size if fault else size // 2)
    assert not [name for name in cache.blobs() if len(name) not in (40, 64)]


def test_a_damaged_part_is_given_up(inlay, hub, cache, at):
    files, commit = leave_a_part(hub, cache, at)
    part = next(p for name, p in cache.blobs().items() if name.endswith(".inlay-part"))
    with part.open("r+b") as file:
        file.seek(1000)
        file.write(b"wrong")
    assert inlay("model", "get", NAME, **at).code == 0
    assert cache.check(files, commit)


def test_a_stalled_transfer_is_cut_and_resumed(inlay, hub, cache, at):
    files = big_files(1 << 20)
    commit = hub.add(NAME, files)
    hub.fault = once({"stall": 500_000}, files)
    got = inlay("model", "get", NAME, **{**at, "HF_HUB_DOWNLOAD_TIMEOUT": "1"})
    assert got.code == 0, got.err
    assert cache.check(files, commit)
    ranges = [r.headers.get("range") for r in hub.requests if r.server == "store" and "range" in r.headers]
    assert ranges and int(ranges[0][6:-1]) >= 500_000


def test_retry_after_is_obeyed(inlay, hub, cache, at):
    files = big_files(100_000)
    commit = hub.add(NAME, files)
    hub.fault = once({"status": 429, "headers": {"Retry-After": "2"}}, files)
    assert inlay("model", "get", NAME, **at).code == 0
    assert cache.check(files, commit)
    times = [r.time for r in hub.requests if for_weights(r, files)]
    assert times[1] - times[0] >= 1.9
    hub.fault = lambda r: {"status": 429, "headers": {"Retry-After": "100000"}}
    shutil.rmtree(cache.folder)
    expect(inlay("model", "get", NAME, **at), 69, "429", "100000 s")


def test_the_token_goes_to_the_hub_alone(inlay, hub, cache, at, tmp_path):
    hub.token = "hf_secret"
    files = folder_files(MODELS / "bert-mean")
    hub.add(NAME, files)
    expect(inlay("model", "get", NAME, **at), 66, "HF_TOKEN")
    (tmp_path / "token").write_text("hf_secret\n")
    for source in ({"HF_TOKEN": "hf_secret"}, {"HF_TOKEN_PATH": str(tmp_path / "token")}):
        shutil.rmtree(cache.folder, ignore_errors=True)
        hub.requests.clear()
        got = run_inlay("model", "get", NAME, **{**at, **source})
        assert got.code == 0, got.err
        store = [r for r in hub.requests if r.server == "store"]
        assert store, "large files come from the other host"
        for request in store:
            assert "authorization" not in request.headers and "hf_secret" not in str(request.headers)
        assert any("authorization" in r.headers for r in hub.requests)
    hub.requests.clear()
    quiet = {**at, "HF_TOKEN": "hf_secret", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    expect(inlay("model", "get", NAME, **quiet), 66, "HF_TOKEN")
    assert hub.requests and all("authorization" not in r.headers for r in hub.requests)
    expect(inlay("model", "get", NAME, **{**at, "HF_TOKEN": "a\nb"}), 2, "HF_TOKEN")


# T13: many at once


@pytest.mark.parametrize("locks", [True, False], ids=["flock", "flock does nothing"])
def test_sixteen_processes(hub, cache, at, tmp_path, locks, flock_does_nothing):
    files = big_files(1 << 20)
    commit = hub.add(NAME, files)
    hub.fault = lambda r: {"rate": 8e6} if r.server == "store" else None
    if not locks:
        at["LD_PRELOAD"] = flock_does_nothing
    processes = [start("model", "get", NAME, **at) for _ in range(16)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        assert out.decode() == f"{cache.snapshot(commit)}\n"
    assert cache.check(files, commit)
    assert not [name for name in cache.blobs() if len(name) not in (40, 64)]
    transfers = hub.gets(sha256(files["model.safetensors"]))
    if locks:
        assert len(transfers) == 1

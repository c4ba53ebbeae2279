"""Packed weights in Inlay's own cache folder: the second start maps them, damage and refusals never show in a vector."""

import json
import os
import shutil
import subprocess
import threading
import time

import pytest
from conftest import BINARY, environment


@pytest.fixture
def model(tiny, tmp_path):
    """A copy of the tiny model whose files are old enough to be known by their times."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    time.sleep(2.2)
    return folder


@pytest.fixture
def start(inlay, model, tmp_path):
    """embed(*args, **environment) -> (standard output, how the weights came); the cache is in tmp_path/own/cache."""

    def embed(*args, **env):
        own = {"INLAY_HOME": str(tmp_path / "own"), "INLAY_PACKED_CACHE": ""}
        result = inlay("embed", "-m", model, "--report", "r.json", "one two", "three", *args, **{**own, **env})
        assert result.code == 0, result.err
        return result.out, json.load(open("r.json"))["packed_weights"]

    return embed


def packed(tmp_path):
    return sorted((tmp_path / "own" / "cache" / "packed").glob("*.packed"))


def test_the_second_start_maps_what_the_first_packed(start, model, tmp_path):
    plain, how = start("--packed-cache", "0")
    assert how == "" and not (tmp_path / "own").exists()
    assert start() == (plain, "packed")
    assert start() == (plain, "mapped")
    assert len(packed(tmp_path)) == 1
    # Touched, not changed: read once more, found the same.
    os.utime(model / "model.safetensors")
    assert start() == (plain, "mapped")
    # A dtype of its own has a file of its own.
    assert start("--dtype", "int8")[1] == "packed"
    assert start("--dtype", "int8")[1] == "mapped"
    assert len(packed(tmp_path)) == 2


def test_the_cache_folder_follows_xdg(start, tmp_path):
    where = {"INLAY_HOME": "", "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert start(**where)[1] == "packed"
    assert list((tmp_path / "xdg" / "inlay" / "packed").glob("*.packed"))
    assert start(**where)[1] == "mapped"


def test_a_damaged_file_is_passed_over_and_replaced(start, tmp_path):
    plain, _ = start()
    (path,) = packed(tmp_path)
    good = path.read_bytes()
    for bad in [b"", good[:5000], good[:-1] + bytes([good[-1] ^ 1]), good[:4100] + b"\x7f" + good[4101:]]:
        path.unlink()
        path.write_bytes(bad)
        out, how = start()
        assert out == plain and how.startswith("packed: the file in the cache")
        assert path.read_bytes() == good
        assert start() == (plain, "mapped")


def test_changed_weights_are_seen(start, model):
    """Of the same size, written in place, with the old time put back."""
    plain, _ = start()
    weights = model / "model.safetensors"
    times = weights.stat()
    data = bytearray(weights.read_bytes())
    header = int.from_bytes(data[:8], "little")
    for i in range(8 + header, len(data) - 3, 64):
        data[i + 1] ^= 0x10  # of a mantissa
    with open(weights, "r+b") as file:
        file.write(data)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    changed, how = start()
    assert changed != plain and how == "packed"
    assert start("--packed-cache", "0")[0] == changed


def test_weights_that_are_not_finite_are_refused_every_time(inlay, start, model, tmp_path):
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    size = int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8 : 8 + size])
    name = next(name for name in tensors if name.endswith("embeddings.LayerNorm.weight"))
    at = 8 + size + tensors[name]["data_offsets"][0]
    data[at : at + 4] = b"\x00\x00\xc0\x7f"  # NaN
    weights.write_bytes(data)
    time.sleep(2.2)
    own = {"INLAY_HOME": str(tmp_path / "own"), "INLAY_PACKED_CACHE": ""}
    for _ in range(2):
        refused = inlay("embed", "-m", model, "one", **own)
        assert refused.code == 65 and "NaN" in refused.err
        assert inlay("embed", "-m", model, "one", "--allow-nonfinite", **own).code == 0


def test_a_folder_that_cannot_be_written_is_no_error(start, tmp_path):
    (tmp_path / "own").write_text("a file where the folder would be")
    plain, how = start()
    assert how.startswith("packed") and start("--packed-cache", "0")[0] == plain
    out, how = start("--packed-cache", "100")
    assert out == plain


def test_sizes_are_checked(inlay, tiny):
    refused = inlay("embed", "-m", tiny, "one", "--packed-cache", "-1")
    assert refused.code == 2 and "0 or a size" in refused.err


def test_the_model_file_may_go_while_texts_are_served(start, model, tmp_path):
    """Truncated, overwritten and removed: what was mapped at the start is all that is read."""
    start()
    env = environment(INLAY_HOME=str(tmp_path / "own"), INLAY_PACKED_CACHE="")
    with subprocess.Popen(
        [BINARY, "embed", "-m", model, "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:

        def embedding():
            process.stdin.write(b"one two\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())["embedding"]

        first = embedding()
        weights = model / "model.safetensors"
        size = weights.stat().st_size
        os.truncate(weights, 0)
        assert embedding() == first
        weights.write_bytes(os.urandom(size))
        assert embedding() == first
        shutil.rmtree(model)
        shutil.rmtree(tmp_path / "own")
        assert embedding() == first
        process.stdin.close()
    assert process.returncode == 0


def test_many_start_at_once(start, model, tmp_path):
    plain, _ = start("--packed-cache", "0")
    env = environment(INLAY_HOME=str(tmp_path / "own"), INLAY_PACKED_CACHE="")
    results = []

    def run():
        done = subprocess.run([BINARY, "embed", "-m", model, "-q", "one two", "three"], capture_output=True, env=env)
        results.append((done.returncode, done.stdout))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0, plain)] * 6
    assert start() == (plain, "mapped")
    assert len(packed(tmp_path)) == 1 and not list(packed(tmp_path)[0].parent.glob("tmp-*"))

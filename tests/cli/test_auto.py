"""Verdicts and --device auto, over rooms that misbehave (tests/fakes): slower, wrong, crashing, hanging."""

import json
import os
import stat
import time
from pathlib import Path

import conftest
import pytest
from conftest import ROOT, expect

FAKES = Path(os.environ.get("INLAY_FAKES_BIN", ROOT / "build" / "tests" / "fakes" / "inlay_fakes")).resolve()


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """run(rooms, *args) -> Result, with verdicts in a folder of the test's own."""
    if not FAKES.is_file():
        pytest.skip("inlay_fakes is not built")
    monkeypatch.setattr(conftest, "BINARY", FAKES)

    def run(rooms, *args, **more):
        return conftest.run_inlay(*args, FAKE_ROOMS=rooms, INLAY_HOME=str(tmp_path / "home"), **more)

    return run


def devices(result):
    assert result.code == 0, result.err
    return {device["device"]: device for device in json.loads(result.out)["devices"]}


def device_of(run, rooms, model, report, *more, texts=("a text",)):
    result = run(rooms, "embed", "-m", model, "--report", report, *more, *texts)
    assert result.code == 0, result.err
    return json.loads(Path(report).read_text())["device"]


def verdicts(tmp_path):
    return sorted((tmp_path / "home" / "cache" / "verdicts").glob("*"))


def test_the_cpu_until_a_verdict_exists_then_the_fastest(fakes, tiny, tmp_path):
    rooms = "cpu=slow,mlx=right"
    assert device_of(fakes, rooms, tiny, tmp_path / "r") == "cpu"
    found = devices(fakes(rooms, "status", "-m", tiny, "--json"))
    assert found["mlx"]["verdict"] is None and found["mlx"]["tasks"] == {} and found["mlx"]["recommend"] is None
    found = devices(fakes(rooms, "status", "-m", tiny, "--measure", "--json"))
    assert found["mlx"]["verdict"] == "taken by auto (fp32)"
    assert found["cpu"]["verdict"] == "agrees, and mlx is faster"
    dense = found["mlx"]["tasks"]["dense"]
    assert 0 < dense["ratio_to_cpu"] < 0.5 and dense["min_cosine"] > 0.99999 and dense["ms_per_text"] > 0
    assert found["cpu"]["tasks"]["dense"]["ratio_to_cpu"] == 1
    recommend = found["cpu"]["recommend"]
    assert recommend["batch"] > 0 and recommend["threads"] > 0 and recommend["dtype"] == "fp32"
    # What was measured is kept, and used; other words on the command line still hold.
    assert devices(fakes(rooms, "status", "-m", tiny, "--json"))["mlx"] == found["mlx"]
    assert device_of(fakes, rooms, tiny, tmp_path / "r", texts=["a text"] * 1000) == "mlx"
    assert device_of(fakes, rooms, tiny, tmp_path / "r", "--device", "cpu", texts=["a text"] * 100) == "cpu"
    assert device_of(fakes, rooms, tiny, tmp_path / "r", "--disable", "mlx", texts=["a text"] * 100) == "cpu"
    assert device_of(fakes, "cpu=slow,mlx=absent", tiny, tmp_path / "r", texts=["a text"] * 100) == "cpu"
    assert device_of(fakes, "cpu=slow,mlx=newer", tiny, tmp_path / "r", texts=["a text"] * 100) == "cpu"
    # int8 was measured on neither.
    assert device_of(fakes, rooms, tiny, tmp_path / "r", "--dtype", "int8", texts=["a text"] * 100) == "cpu"


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("slow", "slower than the CPU"),
        ("wrong", "disagrees with the CPU's fp32: least cosine"),
        ("near", "disagrees with the CPU's fp32: least cosine"),
        ("crash-compile", "crashed (while it was loading, signal 6"),
        ("crash-run", "signal 6"),
    ],
)
def test_none_of_these_is_taken(fakes, tiny, tmp_path, behaviour, why):
    rooms = f"mlx={behaviour}"
    begin = time.monotonic()
    found = devices(fakes(rooms, "status", "-m", tiny, "--measure", "--json"))
    assert time.monotonic() - begin < 30  # nobody waits for what hangs; the bound itself is 10 s
    assert found["mlx"]["state"] == "ok" and why in found["mlx"]["verdict"]
    assert found["cpu"]["verdict"].startswith("taken by auto")
    assert device_of(fakes, rooms, tiny, tmp_path / "r", texts=["a text"] * 100) == "cpu"
    assert why in devices(fakes(rooms, "status", "-m", tiny, "--json"))["mlx"]["verdict"]


def test_one_that_hangs_costs_its_share_of_the_time(fakes, tiny, tmp_path):
    rooms = "cpu=slow,cuda=hang-compile,mlx=right"
    begin = time.monotonic()
    found = devices(fakes(rooms, "status", "-m", tiny, "--measure", "--json"))
    assert time.monotonic() - begin < 30  # nobody waits for what hangs; the bound itself is 10 s
    assert "gave no answer within" in found["cuda"]["verdict"]
    assert found["mlx"]["verdict"].startswith("taken by auto")
    assert device_of(fakes, rooms, tiny, tmp_path / "r", texts=["a text"] * 1000) == "mlx"


@pytest.mark.parametrize(
    ("behaviour", "why"), [("crash-probe", "crashed (while it was asked"), ("hang-probe", "gave no answer within")]
)
def test_a_bad_probe_is_a_row(fakes, tiny, tmp_path, behaviour, why):
    rooms = f"mlx={behaviour}"
    found = devices(fakes(rooms, "status", "-m", tiny, "--measure", "--json"))
    assert found["mlx"]["state"] == "refused" and why in found["mlx"]["reason"] and found["mlx"]["remedy"]
    assert found["cpu"]["verdict"].startswith("taken by auto")
    assert device_of(fakes, rooms, tiny, tmp_path / "r") == "cpu"
    # Switched off, it is not asked at all.
    off = devices(fakes(rooms, "status", "--disable", "mlx", "--json"))["mlx"]
    assert off["state"] == "disabled"


def test_a_device_by_name_is_obeyed_or_refused(fakes, tiny, tmp_path):
    assert device_of(fakes, "mlx=slow", tiny, tmp_path / "r", "--device", "mlx") == "mlx"
    expect(fakes("mlx=absent", "embed", "-m", tiny, "--device", "mlx", "a"), 69, "a fake that is not here")
    expect(fakes("", "embed", "-m", tiny, "--device", "mlx", "a"), 69, "no MLX room")


def test_loading_counts_for_few_texts(fakes, tiny, tmp_path):
    """The verdict's figures are set, so that no timing decides."""
    fakes("mlx=right", "status", "-m", tiny, "--measure", "-q")
    (path,) = verdicts(tmp_path)
    verdict = json.loads(path.read_text())
    for device in verdict["devices"]:
        mlx = device["device"] == "mlx"
        device.update(state="ok", reason="", ms_per_text=1 if mlx else 2, load_seconds=0.7 if mlx else 0.2)
    path.write_text(json.dumps(verdict))
    few, many = ["a"] * 400, ["a"] * 600  # even at 500
    assert device_of(fakes, "mlx=right", tiny, tmp_path / "r", texts=few) == "cpu"
    assert device_of(fakes, "mlx=right", tiny, tmp_path / "r", texts=many) == "mlx"


def test_a_damaged_verdict_is_ignored_and_written_anew(fakes, tiny, tmp_path):
    rooms = "cpu=slow,mlx=right"
    fakes(rooms, "status", "-m", tiny, "--measure")
    (path,) = verdicts(tmp_path)
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"{}", whole.replace(b"mlx", b"\xff"), b"[" * 100000):
        path.write_bytes(damage)
        assert device_of(fakes, rooms, tiny, tmp_path / "r", texts=["a text"] * 100) == "cpu"
        assert devices(fakes(rooms, "status", "-m", tiny, "--json"))["mlx"]["verdict"] is None
    fakes(rooms, "status", "-m", tiny, "--measure")
    assert verdicts(tmp_path) == [path] and json.loads(path.read_text())["devices"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written_is_told(fakes, tiny, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(stat.S_IRUSR | stat.S_IXUSR)
    result = fakes("mlx=right", "status", "-m", tiny, "--measure")
    assert result.code == 0 and "not kept" in result.out.decode()


def test_a_large_job_measures_first(fakes, tiny, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"text number {i}\n" for i in range(2001)))
    rooms = "cpu=slow,mlx=right"
    report = tmp_path / "r"
    result = fakes(rooms, "embed", "-m", tiny, "-i", texts, "-o", tmp_path / "v.npy", "--report", report)
    assert result.code == 0, result.err
    assert "auto takes mlx" in result.err
    assert json.loads(report.read_text())["device"] == "mlx"
    assert json.loads(report.read_text())["texts"] == 2001
    assert len(verdicts(tmp_path)) == 1
    again = fakes(rooms, "embed", "-m", tiny, "-i", texts, "-o", tmp_path / "w.npy", "--report", report)
    assert again.code == 0 and "measured" not in again.err
    assert (tmp_path / "v.npy").read_bytes() == (tmp_path / "w.npy").read_bytes()
    # One text less is no large job, and a device by name is not measured.
    texts.write_text("".join(f"text number {i}\n" for i in range(2000)))
    for more in (["-m", conftest.MODELS / "bert-cased-cls"], ["-m", tiny, "--device", "mlx"]):
        quiet = fakes(rooms, "embed", *more, "-i", texts, "-o", tmp_path / "v.npy")
        assert quiet.code == 0 and "measured" not in quiet.err
    assert len(verdicts(tmp_path)) == 1


def test_a_large_job_with_nothing_to_choose_from_measures_nothing(fakes, tiny, tmp_path):
    texts = "".join("a\n" for _ in range(2100))
    for rooms in ("", "mlx=absent", "mlx=crash-probe", "torch=right"):
        result = fakes(rooms, "embed", "-m", tiny, "-o", tmp_path / "v.npy", stdin=texts)
        assert result.code == 0 and "measured" not in result.err
    assert verdicts(tmp_path) == []


def test_measure_all_asks_the_other_rooms_too(fakes, tiny):
    rooms = "cpu=slow,torch=right"
    assert devices(fakes(rooms, "status", "-m", tiny, "--measure", "--json"))["torch"]["verdict"] is None
    found = devices(fakes(rooms, "status", "-m", tiny, "--measure", "all", "--json"))
    assert found["torch"]["verdict"] == "taken by auto (fp32)"
    expect(fakes(rooms, "status", "-m", tiny, "--measure", "some"), 2, "--measure")


def test_verify_says_who_disagrees(fakes, tiny):
    result = fakes("mlx=wrong", "verify", "-m", tiny, "--device", "mlx")
    assert result.code == 1
    assert "DISAGREES" in result.out.decode() and "least cosine" in result.out.decode()
    report = json.loads(fakes("mlx=wrong", "verify", "-m", tiny, "--device", "mlx", "--json").out)
    assert report["agrees"] is False and report["tasks"][0]["reasons"]
    assert fakes("mlx=right", "verify", "-m", tiny, "--device", "mlx").code == 0
    assert fakes("mlx=near", "verify", "-m", tiny, "--device", "mlx").code == 1


def test_bench_survives_every_room(fakes, tiny, tmp_path):
    rooms = "cpu=slow,cuda=crash-run,mlx=right,torch=crash-probe"
    report = tmp_path / "bench.json"
    result = fakes(rooms, "bench", "-m", tiny, "--json", report, "--seconds", "12", timeout=60)
    assert result.code == 0, result.err
    found = json.loads(report.read_text())
    rows = {(row["device"], row["texts"]): row for row in found["rows"]}
    assert rows["cpu", 100]["state"] == rows["mlx", 100]["state"] == "ok"
    assert rows["mlx", 100]["ratio_to_cpu"] < 1 and rows["mlx", 100]["min_cosine"] > 0.99999
    assert rows["cuda", 100]["state"] == "not run" and "signal 6" in rows["cuda", 100]["reason"]
    states = {device["device"]: device["state"] for device in found["devices"]}
    assert states["torch"] == "refused" and states["onnxruntime"] == "absent"
    # Its verdict is one that auto acts on.
    assert device_of(fakes, rooms, tiny, tmp_path / "r", texts=["a text"] * 1000) == "mlx"
    assert "signal 6" in devices(fakes(rooms, "status", "-m", tiny, "--json"))["cuda"]["verdict"]

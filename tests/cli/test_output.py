"""Where results go: complete files or none, devices, pipes that close, disks that are full, interruption."""

import contextlib
import json
import os
import pty
import resource
import signal
import stat
import subprocess
import time

import pytest
from conftest import BINARY, environment, expect


def test_a_file_is_replaced_and_keeps_its_permissions(inlay, tiny):
    open("out.jsonl", "w").write("old")
    os.chmod("out.jsonl", 0o600)
    assert inlay("embed", "-m", tiny, "a", "-o", "out.jsonl").code == 0
    assert json.loads(open("out.jsonl").read())["index"] == 0
    assert stat.S_IMODE(os.stat("out.jsonl").st_mode) == 0o600
    assert os.listdir() == ["out.jsonl"]


def test_a_failure_leaves_the_old_file_and_nothing_else(inlay, tiny):
    open("out.jsonl", "w").write("old")
    result = inlay("embed", "-m", tiny, "-o", "out.jsonl", stdin=b"ok\n" * 2000 + b"\xff\n")
    expect(result, 65, "line 2001")
    assert open("out.jsonl").read() == "old" and os.listdir() == ["out.jsonl"]


def test_places_that_cannot_be_written(inlay, tiny):
    expect(inlay("embed", "-m", tiny, "a", "-o", "no/such/out.jsonl"), 73, "no/such/out.jsonl")
    os.mkdir("folder")
    expect(inlay("embed", "-m", tiny, "a", "-o", "folder"), 73, "folder")
    expect(inlay("embed", "-m", tiny, "a", "--report", "no/such/r.json"), 73, "no/such/r.json")
    expect(inlay("embed", "-m", tiny, "a", "-o", "/dev/full"), 73, "/dev/full")
    expect(inlay("tokens", "-m", tiny, "a", "-o", "no/such/out.jsonl"), 73)
    expect(inlay("status", "-o", "no/such/out"), 73)
    assert os.listdir() == ["folder"] and os.listdir("folder") == []


@pytest.mark.parametrize("args", [["embed", "a"], ["embed", "a", "--format", "npy"], ["tokens", "a"], ["status"]])
def test_standard_output_that_is_full_or_closed(tiny, args):
    model = [] if args == ["status"] else ["-m", tiny]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BINARY, *args, *model], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60
        )
    assert done.returncode == 73 and b"standard output" in done.stderr
    closed = subprocess.run(
        ["sh", "-c", '"$0" "$@" >&-', BINARY, *args, *model], stderr=subprocess.PIPE, env=environment(), timeout=60
    )
    assert closed.returncode == 73


def test_help_and_version_to_a_full_disk(inlay):
    with open("/dev/full", "wb") as full:
        for args in (["--version"], ["--help"], ["embed", "--help"]):
            assert subprocess.run([BINARY, *args], stdout=full, stderr=subprocess.PIPE, timeout=60).returncode == 73


def test_devices_are_written_and_not_replaced(inlay, tiny):
    assert inlay("embed", "-m", tiny, "a", "-o", "/dev/null").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert inlay("embed", "-m", tiny, "a", "-o", "/dev/stdout").json[0]["index"] == 0
    assert inlay("embed", "-m", tiny, "a", "-o", "-").json[0]["index"] == 0


def test_a_symbolic_link_is_followed(inlay, tiny):
    os.mkdir("elsewhere")
    open("elsewhere/real.npy", "w").close()
    os.symlink("elsewhere/real.npy", "link.npy")
    assert inlay("embed", "-m", tiny, "a", "-o", "link.npy").code == 0
    assert os.path.islink("link.npy") and os.path.getsize("elsewhere/real.npy") > 128


@pytest.mark.parametrize("format", ["jsonl", "npy"])
def test_a_reader_that_goes_away_is_no_error(tiny, format):
    with subprocess.Popen(
        [BINARY, "embed", "-m", tiny, "--quiet", "--format", format],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # the program need not read to the end
            process.stdin.write(b"a text\n" * 20000)
            process.stdin.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


def test_file_size_limit_is_a_full_disk(tiny):
    """Writing fails in the middle: 73, and nothing is left."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    for name in ("out.jsonl", "out.npy"):
        done = subprocess.run(
            [BINARY, "embed", "-m", tiny, "-o", name],
            input=b"a text\n" * 5000,
            capture_output=True,
            env=environment(),
            preexec_fn=limit,
            timeout=60,
        )
        assert done.returncode == 73, done.stderr
        assert name.encode() in done.stderr and os.listdir() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_nothing(tiny, number, code):
    process = subprocess.Popen(
        [BINARY, "embed", "-m", tiny, "-o", "out.jsonl", "--report", "report.json"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        # A shell's background job ignores interrupts, and so would this program: what was ignored stays so.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    process.stdin.write(b"a text\n" * 1000)
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not any(os.path.getsize(name) for name in os.listdir()):  # results are being written
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    started = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == code and b"interrupted" in err
    assert time.monotonic() - started < 5
    assert os.listdir() == []


@pytest.mark.parametrize("no_color", [False, True])
def test_progress_on_a_terminal_is_one_line_that_goes_away(tiny, no_color):
    master, slave = pty.openpty()
    changes = {"TERM": "xterm"} | ({"NO_COLOR": "1"} if no_color else {})
    env = {key: value for key, value in environment(**changes).items() if no_color or key != "NO_COLOR"}
    with subprocess.Popen(
        [BINARY, "embed", "-m", tiny], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=slave, env=env
    ) as process:
        for _ in range(3):
            time.sleep(0.4)
            process.stdin.write(b"a text\n")
            process.stdin.flush()
        process.stdin.close()
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # what a closed terminal reads as
        while chunk := os.read(master, 4096):
            shown += chunk
    os.close(master)
    assert process.returncode == 0 and b"texts/s" in shown and b"\r\x1b[K" in shown
    assert (b"\x1b[36m" in shown) != no_color
    assert shown.count(b"\n") == 1 and b"3 texts" in shown.splitlines()[-1]


def peak_memory(model, count):
    """Peak resident bytes of embedding `count` texts, by the program's own report."""
    with open("texts.txt", "w") as file:
        file.writelines(f"this is text number {i} of a long file\n" for i in range(count))
    done = subprocess.run(
        [BINARY, "embed", "-m", model, "-i", "texts.txt", "-o", "out.npy", "--report", "r.json", "--quiet"],
        env=environment(),
        timeout=300,
    )
    assert done.returncode == 0
    return json.load(open("r.json"))["peak_rss"]


def test_memory_does_not_grow_with_the_file(tiny):
    assert peak_memory(tiny, 100_000) <= 1.3 * peak_memory(tiny, 1_000)

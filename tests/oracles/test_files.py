"""Checkpoints against their own libraries: safetensors' verdict on damaged files, torch's tensors in state dicts.

Needs the built driver, build/tests/oracles/files_driver or what INLAY_FILES_DRIVER names. INLAY_FILES_MUTATIONS sets the
damaged safetensors files (100000; 1000000 before a release), INLAY_FILES_SEED another seed.
"""

import collections
import io
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import threading

import pytest
import safetensors
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = os.environ.get("INLAY_FILES_DRIVER", str(ROOT / "build" / "tests" / "oracles" / "files_driver"))
MUTATIONS = int(os.environ.get("INLAY_FILES_MUTATIONS", "100000"))
SEED = int(os.environ.get("INLAY_FILES_SEED", "1"))

# Why we may refuse what safetensors takes; the reason must show in our message.
STRICTER = {
    "dtype without arithmetic here": r"^unsupported .*expected a dtype of F32, F16, BF16",
    "the format's text: begins with '{'": r"from '\{' to '\}' as header",
    "the format's text: ends with spaces only": r"from '\{' to '\}' as header",
    "a name twice; the library keeps one of the two": r"expected each key once",
    "sizes are signed 64-bit numbers here": r"of less than 2\^63 bytes|whole numbers of 0 to 2\^63 - 1",
    "signs have no place in a header, not even in fields that nobody reads": r"numbers without a sign",
    "JSON that the library skips unread inside unknown fields": r"expected valid JSON|lone surrogate",
}
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I8": 1, "U8": 1, "I16": 2, "I32": 4, "I64": 8, "BOOL": 1}


class Driver:
    def __init__(self, form):
        assert os.path.exists(DRIVER), f"expected the built driver, got nothing at {DRIVER}; build files_driver"
        self.process = subprocess.Popen([DRIVER, form], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, files):
        """[(failed, text)] for the files; a thread writes, so that neither pipe fills up."""

        def write():
            for data in files:
                self.process.stdin.write(struct.pack("<I", len(data)) + data)
            self.process.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        answers = []
        for _ in files:
            failed, size = struct.unpack("<BI", self.process.stdout.read(5))
            answers.append((bool(failed), self.process.stdout.read(size).decode(errors="replace")))
        writer.join()
        return answers

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


@pytest.fixture
def driver(request):
    driver = Driver(request.param)
    yield driver
    driver.close()


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def lines(tensors):
    """As the driver prints them; tensors: name -> (dtype, shape, bytes)."""
    rows = sorted((name.encode(), dtype, shape, data) for name, (dtype, shape, data) in tensors.items())
    return "".join(f"{name.decode()} {dtype} {list(shape)} {fnv(data)}\n" for name, dtype, shape, data in rows)


# safetensors


def good_file(rng):
    header, data = {}, b""
    if rng.random() < 0.3:
        header["__metadata__"] = {"format": "pt"} if rng.random() < 0.8 else {}
    names = [
        rng.choice(["w", "b", "layer.0.weight", "ü", 'q"', "\U0001f600"]) + str(i) for i in range(rng.randrange(5))
    ]
    for name in names:
        dtype = rng.choice(list(SIZES))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        size = SIZES[dtype]
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += rng.randbytes(size)
    items = list(header.items())
    rng.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")]))
    text = text.encode() + b" " * rng.randrange(4)
    return text, data


TOKENS = [b"0", b"1", b"2", b"4", b"8", b"-", b"-0", b"1.0", b"1e1", b"18446744073709551615", b"18446744073709551616",
          b"9223372036854775808", b"9223372036854775807", b"4294967296", b"null", b"true", b"[]", b"{}", b'""', b'"F32"',
          b'"F16"', b'"I64"', b'"F8_E4M3"', b'"U16"', b'"F4"', b'"C64"', b'"shape"', b'"dtype"', b'"data_offsets"',
          b'"__metadata__"', b",", b":", b"[", b"]", b"{", b"}", b" ", b"\n", b"\t", b"\x00", b"\\ud800", b"\\u0041", b"\xff",
          b'"extra":[-1,1e400,{"a":1,"a":2}],', b"[0,0]"]  # fmt: skip


def damaged(rng):
    text, data = good_file(rng)
    kind = rng.randrange(10)
    length = None
    if kind < 6:  # in the header, where the checks are; its length is told truly
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text) + 1)
            end = at
            numbers = list(re.finditer(rb"\d+|\"[^\"]*\"|true|null", text))
            if numbers and rng.random() < 0.6:
                found = rng.choice(numbers)
                at, end = found.span()
            elif rng.random() < 0.5:
                end = min(len(text), at + rng.randrange(1, 4))
            new = rng.choice(TOKENS)
            if rng.random() < 0.3 and text[at:end].isdigit():
                new = str(max(0, int(text[at:end]) + rng.choice([-4, -2, -1, 1, 2, 4]))).encode()
            text = text[:at] + (new if rng.random() < 0.85 else b"") + text[end:]
    elif kind == 6:
        data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data + bytes(rng.randrange(1, 9))
    elif kind == 7:
        length = rng.choice(
            [0, 1, len(text) - 1, len(text) + 1, len(text) + len(data), 1 << 31, 1 << 63, (1 << 64) - 1]
        )
    elif kind == 8:
        pass  # undamaged
    whole = struct.pack("<Q", max(0, len(text) if length is None else length)) + text + data
    if kind == 9:
        whole = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            whole[rng.randrange(len(whole))] = rng.randrange(256)
        whole = bytes(whole[: rng.randrange(len(whole) + 1)] if rng.random() < 0.2 else whole)
    return whole


@pytest.mark.parametrize("driver", ["safetensors"], indirect=True)
def test_safetensors_verdicts(driver, record_property):
    """Never laxer than the library, the same tensors where both take a file, and a written reason where we are stricter."""
    rng = random.Random(SEED)
    counts = collections.Counter()
    done = 0
    while done < MUTATIONS:
        files = [damaged(rng) for _ in range(min(2000, MUTATIONS - done))]
        done += len(files)
        for data, (failed, text) in zip(files, driver.ask(files)):
            try:
                theirs = safetensors.deserialize(data)
            except safetensors.SafetensorError:
                assert failed, f"laxer than safetensors {safetensors.__version__}: {data!r}: {text}"
                counts["both refuse"] += 1
                continue
            if not failed:
                wanted = {name: (t["dtype"], t["shape"], bytes(t["data"])) for name, t in theirs}
                assert text == lines(wanted), data
                counts["both take"] += 1
                continue
            reason = next((why for why, pattern in STRICTER.items() if re.search(pattern, text, re.S)), None)
            assert reason, (
                f"stricter than safetensors {safetensors.__version__} without a written reason: {data!r}: {text}"
            )
            counts[f"stricter: {reason}"] += 1
    summary = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    record_property("verdicts", summary)
    print(f"\n{done} files: {summary}")
    assert counts["both take"] > done // 20 and counts["both refuse"] > done // 3


# torch


TORCH = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int8: "I8",
    torch.uint8: "U8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64", torch.bool: "BOOL",
}  # fmt: skip


def described(state):
    """name -> (dtype, shape, bytes in row-major order)."""
    tensors = {}
    for name, tensor in state.items():
        dense = torch.empty(tensor.shape, dtype=tensor.dtype)  # contiguous() keeps odd strides of single elements
        dense.copy_(tensor.detach())
        tensors[name] = (TORCH[tensor.dtype], tensor.shape, bytes(dense.reshape(-1).view(torch.uint8).tolist()))
    return tensors


def random_tensor(generator, rng):
    dtype = rng.choice(list(TORCH))
    shape = [rng.randrange(5) for _ in range(rng.randrange(5))]
    tensor = (torch.randn(shape, generator=generator) * 50).to(dtype)
    for _ in range(rng.randrange(4)):  # views: strides and offsets of every kind that torch makes
        kind = rng.randrange(5)
        if tensor.dim() >= 2 and kind == 0:
            tensor = tensor.transpose(0, tensor.dim() - 1)
        elif tensor.dim() and tensor.shape[0] > 1 and kind == 1:
            tensor = tensor[1:]
        elif tensor.dim() and kind == 2:
            tensor = tensor[..., ::2]
        elif kind == 3:
            tensor = tensor.unsqueeze(rng.randrange(tensor.dim() + 1))
        elif kind == 4 and tensor.dim() and tensor.shape[0] == 1:
            tensor = tensor.expand(3, *tensor.shape[1:])
    return torch.nn.Parameter(tensor) if dtype.is_floating_point and rng.random() < 0.2 else tensor


@pytest.mark.parametrize("driver", ["pytorch"], indirect=True)
def test_state_dicts_of_torch(driver):
    """Every tensor that torch.save writes, byte for byte as torch has it in memory."""
    rng = random.Random(SEED)
    generator = torch.Generator().manual_seed(SEED)
    files, wanted = [], []
    for _ in range(400):
        state = collections.OrderedDict() if rng.random() < 0.5 else {}
        for i in range(rng.randrange(1, 6)):
            state[f"t{i}"] = random_tensor(generator, rng)
        if rng.random() < 0.3:
            state["tied"] = state["t0"]
        out = io.BytesIO()
        torch.save(state, out)
        files.append(out.getvalue())
        wanted.append(lines(described(state)))
    for (failed, text), expected in zip(driver.ask(files), wanted):
        assert not failed, text
        assert text == expected


@pytest.mark.parametrize("driver", ["pytorch"], indirect=True)
def test_damaged_state_dicts_are_never_read_differently(driver):
    """Where torch's restricted loader and ours both take a damaged file, the tensors are the same."""
    rng = random.Random(SEED)
    good = (ROOT / "tests/data/files/linear.bin").read_bytes()
    counts = collections.Counter()
    files = []
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        files.append(bytes(data))
    for data, (failed, text) in zip(files, driver.ask(files)):
        try:
            theirs = torch.load(io.BytesIO(data), weights_only=True)
            shown = lines(described(theirs))
        except Exception:  # whatever torch raises, it refused
            counts["both refuse" if failed else "only torch refuses"] += 1
            continue
        if failed:
            counts["only we refuse"] += 1
            continue
        assert text == shown, data
        counts["both take"] += 1
    print(f"\n{len(files)} files: {dict(counts)}")
    assert counts["both take"] > 0 and counts["both refuse"] > 0

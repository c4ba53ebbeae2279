"""Inlay itself through its C ABI (build/libinlay.so), as any program would use it. Standard library only."""

import array
import ctypes
import json
from pathlib import Path

from . import Refused

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "libinlay.so"
TASKS = {"embed": 0, "sparse": 1, "rerank": 2}
Strings = ctypes.POINTER(ctypes.c_char_p)
Sizes = ctypes.POINTER(ctypes.c_size_t)


class Request(ctypes.Structure):  # inlay_request of inlay.h
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("texts", Strings),
        ("lengths", Sizes),
        ("count", ctypes.c_size_t),
        ("queries", Strings),
        ("query_lengths", Sizes),
        ("query_count", ctypes.c_size_t),
        ("instruction", ctypes.c_char_p),
        ("prompt", ctypes.c_char_p),
        ("role", ctypes.c_int32),
        ("priority", ctypes.c_int32),
        ("timeout_ms", ctypes.c_int64),
    ]


class TextInfo(ctypes.Structure):  # inlay_text_info
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("tokens", ctypes.c_int32),
        ("truncated", ctypes.c_int32),
        ("prompt", ctypes.c_char_p),
        ("error", ctypes.c_char_p),
    ]


class SparseVector(ctypes.Structure):  # inlay_sparse_vector
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("count", ctypes.c_size_t),
        ("indices", ctypes.POINTER(ctypes.c_int32)),
        ("values", ctypes.POINTER(ctypes.c_float)),
    ]


def onnxruntime_library() -> str:
    """The one that the peer onnxruntime runs in."""
    for found in sorted(ROOT.glob(".venv/oracles/lib/python3*/site-packages/onnxruntime/capi")):
        return str(found)
    raise Refused("no onnxruntime in .venv/oracles. Run: bench/environments.sh")


def strings(texts: list[str]):
    data = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(data))(*data), (ctypes.c_size_t * len(data))(*map(len, data))


class Engine:
    def __init__(self, spec: dict):
        if not LIBRARY.is_file():
            raise Refused("build/libinlay.so is not built. Run: ninja -C build inlay_shared")
        lib = self.lib = ctypes.CDLL(str(LIBRARY))
        lib.inlay_version.restype = lib.inlay_last_error.restype = ctypes.c_char_p
        lib.inlay_result_vectors.restype = lib.inlay_result_scores.restype = ctypes.POINTER(ctypes.c_float)
        lib.inlay_result_dim.restype = ctypes.c_int64
        self.version = lib.inlay_version().decode()
        self.task = spec["task"]
        options = {"model": spec["folder"], "threads": spec["threads"], "max_length": spec["limit"]}
        options["device"] = device = spec["options"].get("device", "cpu")
        if device.startswith("onnxruntime"):
            options["onnxruntime_library"] = onnxruntime_library()
        # fp32 is what auto means on a processor; said as auto, a build without other precisions takes it too.
        options["dtype"] = "auto" if spec["options"]["dtype"] == "fp32" else spec["options"]["dtype"]
        if self.task == "sparse":
            options["assume_splade"] = "true"
        if self.task == "rerank":
            options["raw_scores"] = "true"
        keys = (ctypes.c_char_p * len(options))(*(key.encode() for key in options))
        values = (ctypes.c_char_p * len(options))(*(str(value).encode() for value in options.values()))
        self.engine = ctypes.c_void_p()
        code = lib.inlay_engine_create_for(
            TASKS[self.task], keys, values, ctypes.c_size_t(len(options)), ctypes.byref(self.engine)
        )
        if code != 0:
            raise Refused(lib.inlay_last_error().decode())
        got = self.about()["dtype"]
        if got != spec["options"]["dtype"]:
            raise Refused(f"asked for {spec['options']['dtype']}, Inlay computes in {got}")

    def about(self) -> dict:
        """The form of `inlay embed --report`."""
        text = ctypes.c_char_p()
        self.check(self.lib.inlay_engine_report_json(self.engine, ctypes.byref(text)))
        report = json.loads(text.value)
        self.lib.inlay_string_free(text)
        return report

    def check(self, code: int) -> None:
        if code != 0:
            raise RuntimeError(self.lib.inlay_last_error().decode())

    def run(self, texts: list, options: dict) -> "Result":
        request = Request(struct_size=ctypes.sizeof(Request), count=len(texts))
        if self.task == "rerank":
            queries, query_lengths = strings([query for query, _ in texts])
            request.queries, request.query_lengths = ctypes.cast(queries, Strings), ctypes.cast(query_lengths, Sizes)
            request.query_count = len(texts)
            texts = [text for _, text in texts]
        data, lengths = strings(texts)
        request.texts, request.lengths = ctypes.cast(data, Strings), ctypes.cast(lengths, Sizes)
        result = ctypes.c_void_p()
        self.check(self.lib.inlay_engine_run(self.engine, ctypes.byref(request), ctypes.byref(result)))
        return Result(self, result, len(texts))

    def lengths(self, texts: list) -> list[int]:
        return self.run(texts, {}).lengths()

    def rows(self, result: "Result") -> tuple[bytes, tuple[int, int]]:
        """The bytes of float32 rows and their shape."""
        dim = self.lib.inlay_result_dim(result.handle)
        if self.task != "sparse":
            read = self.lib.inlay_result_vectors if self.task == "embed" else self.lib.inlay_result_scores
            return ctypes.string_at(read(result.handle), 4 * result.count * dim), (result.count, dim)
        rows = array.array("f", bytes(4 * result.count * dim))
        vector = SparseVector(struct_size=ctypes.sizeof(SparseVector))
        for index in range(result.count):
            self.check(self.lib.inlay_result_sparse(result.handle, ctypes.c_size_t(index), ctypes.byref(vector)))
            for place in range(vector.count):
                rows[index * dim + vector.indices[place]] = vector.values[place]
        return rows.tobytes(), (result.count, dim)


class Result:
    def __init__(self, engine: Engine, handle: ctypes.c_void_p, count: int):
        self.engine, self.handle, self.count = engine, handle, count

    def lengths(self) -> list[int]:
        info = TextInfo(struct_size=ctypes.sizeof(TextInfo))
        out = []
        for index in range(self.count):
            lib = self.engine.lib
            self.engine.check(lib.inlay_result_text_info(self.handle, ctypes.c_size_t(index), ctypes.byref(info)))
            if info.error:
                raise RuntimeError(info.error.decode())
            out.append(info.tokens)
        return out

    def __del__(self):
        self.engine.lib.inlay_result_destroy(self.handle)

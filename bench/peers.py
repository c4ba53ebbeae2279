"""The rows of bench/compare.py: which engine, in which environment, with which settings to choose the best from; and the
processes that run them (bench/worker.py). Standard library only."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.models import Model

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = {  # name -> folder, argument of bench/environments.sh
    "oracles": (".venv/oracles", "oracles"),
    "fastembed": (".venv/bench-fastembed", "fastembed"),
    "fastembed-0.7": (".venv/fastembed", "fastembed-0.7"),
    "openvino": (".venv/bench-openvino", "openvino"),
    "ctranslate2": (".venv/bench-ctranslate2", "ctranslate2"),
}
ENGINES = ("inlay-onnxruntime", "fastembed", "onnxruntime", "openvino", "torch", "ctranslate2")


@dataclass(frozen=True)
class Row:
    name: str
    engine: str
    environment: str | None  # None: this Python
    precision: str  # fp32, bf16, int8: its ceiling, and the peers that it is compared with
    loads: list[dict]
    runs: list[dict]
    default: bool = False  # what a user gets without knowing better: no peer to beat, a ratio of its own

    @property
    def ours(self) -> bool:
        return self.engine == "inlay"


def rows(dtypes: list[str], engines: list[str], threads: int, task: str, single: bool) -> list[Row]:
    """`single`: for one text at a time, where batches and default calls are the same thing."""
    batches = [{"batch": size} for size in ([1] if single else [1, 4, 8, 32])]
    out = [Row(f"inlay {dtype}", "inlay", None, dtype, [{"dtype": dtype}], [{}]) for dtype in dtypes]
    if "inlay-onnxruntime" in engines:  # the same library as the peer's, on the graph that Inlay writes
        loads = [{"dtype": "fp32", "device": "onnxruntime:cpu"}]
        out.append(Row("inlay onnxruntime:cpu", "inlay", None, "fp32", loads, [{}]))
    if "fastembed" in engines:
        for version, environment in [("0.9", "fastembed"), ("0.7", "fastembed-0.7")]:
            if not single:
                name = f"fastembed {version} default"
                call = {"batch": 64 if task == "rerank" else 256}  # its default arguments
                out.append(Row(name, "fastembed", environment, "fp32", [{}], [call], default=True))
            best = [call | {"sorted": True} for call in batches]
            out.append(Row(f"fastembed {version}", "fastembed", environment, "fp32", [{}], best))
    if "onnxruntime" in engines:
        for precision, forms in [("fp32", ["plain", "fused"]), ("int8", ["int8", "fused-int8"])]:
            loads = [{"form": form} for form in forms]
            out.append(Row(f"onnxruntime {precision}", "onnxruntime", "oracles", precision, loads, batches))
    if "openvino" in engines:
        for precision in ("fp32", "bf16"):
            streams = [1] if single or threads == 1 else [1, threads]
            loads = [{"precision": precision.replace("fp", "f"), "streams": count} for count in streams]
            out.append(Row(f"openvino {precision}", "openvino", "openvino", precision, loads, batches))
    for engine, environment, precisions in [
        ("torch", "oracles", ("fp32", "bf16")),
        ("ctranslate2", "ctranslate2", ("fp32", "bf16", "int8")),
    ]:
        for precision in precisions if engine in engines else ():
            loads = [{"precision": precision.replace("fp", "f")}]
            out.append(Row(f"{engine} {precision}", engine, environment, precision, loads, batches))
    return out


class Failed(Exception):
    """A row cannot run, and why."""


class Process:
    """One worker."""

    def __init__(self, python: str, log: Path):
        self.rss, self.log = 0, log
        self.process = subprocess.Popen(
            [python, ROOT / "bench" / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(log, "ab"),  # noqa: SIM115 # the child's
            text=True,
            start_new_session=True,  # Ctrl-C is for the one that asks
        )

    def ask(self, request: dict) -> dict:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self.process.wait()
            raise Failed(f"its process ended with {code}, {self.log.name}" + (" (memory?)" if code == -9 else ""))
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        self.rss = answer.get("rss", self.rss)
        return answer

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pool:
    """Loaded workers, by engine and load options; the one that waited longest gives way when memory runs short."""

    def __init__(self, model: Model, texts: Path, limit: int, threads: int, work: Path, lock: Path | None):
        self.model, self.texts, self.limit, self.threads = model, texts, limit, threads
        self.work, self.lock = work, lock
        available = memory_available()
        self.budget, self.each = int(0.5 * available), int(0.6 * available)
        self.live: dict[str, Process] = {}  # oldest use first
        self.sizes: dict[str, int] = {}
        self.about: dict[str, dict] = {}  # the answers to load and texts

    def key(self, row: Row, load: dict) -> str:
        return f"{row.engine} {row.environment} {json.dumps(load)}"

    def get(self, row: Row, load: dict) -> tuple[Process, dict]:
        key = self.key(row, load)
        if key in self.live:
            self.live[key] = self.live.pop(key)
            self.make_room(0)
            return self.live[key], self.about[key]
        with machine.turn(self.lock):  # it may have to export the file
            spec = self.spec(row, load)
        weights = sum(file.stat().st_size for file in self.model.folder.glob("model.safetensors"))
        need = self.sizes.get(key, 3 * weights + 2**29)
        self.make_room(need)
        process = Process(self.python(row), self.work / "workers.log")
        try:
            with machine.turn(self.lock):
                about = process.ask(spec)
                about |= process.ask({"do": "texts", "file": str(self.texts)})
        except Failed:
            process.stop()
            raise
        self.live[key], self.about[key] = process, about
        return process, about

    def make_room(self, need: int) -> None:
        """Engines keep what one large call took: those that waited longest go until `need` bytes fit, or one is left."""
        while len(self.live) > (need == 0) and sum(one.rss for one in self.live.values()) + need > self.budget:
            self.drop(next(iter(self.live)))

    def drop(self, key: str) -> None:
        process = self.live.pop(key)
        self.sizes[key] = process.rss
        process.stop()

    def forget(self, row: Row, load: dict) -> None:
        if self.key(row, load) in self.live:
            self.drop(self.key(row, load))

    def close(self) -> None:
        for key in list(self.live):
            self.drop(key)

    def python(self, row: Row) -> str:
        if row.environment is None:
            return sys.executable
        folder, name = ENVIRONMENTS[row.environment]
        python = ROOT / folder / "bin" / "python"
        if not python.is_file():
            raise Failed(f"{folder} is missing. Run: bench/environments.sh {name}")
        return str(python)

    def spec(self, row: Row, load: dict) -> dict:
        model = self.model
        file = {
            "fastembed": lambda: model.fastembed(self.limit),
            "onnxruntime": lambda: model.onnx(load["form"]),
            "openvino": lambda: model.onnx("plain"),
        }.get(row.engine, lambda: "")()
        return {
            "do": "load",
            "engine": row.engine,
            "task": model.task,
            "folder": str(model.folder),
            "file": str(file),
            "work": str(model.work),
            "config": model.config,
            "pooling": model.pooling,
            "normalize": model.normalize,
            "threads": self.threads,
            "limit": self.limit,
            "pad_id": model.config.get("pad_token_id") or 0,
            "vocabulary": model.config["vocab_size"],
            "hidden_size": model.config["hidden_size"],
            "types": model.config.get("type_vocab_size", 0) > 1,
            "options": load,
            "memory": self.each,
        }


def memory_available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 8 * 2**30

"""What the benches say about the machine, and what it gives at this moment: the rate of its own multiply-add
instructions on registers alone (build's bench_peak), on one thread and on all.

A share of peak needs the peak of the same moment, since clocks move; and on a shared machine two threads may get less
than two cores for tens of seconds, which halves whatever is timed then. Standard library only.
"""

import contextlib
import fcntl
import json
import os
import platform
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEAK = ROOT / "build" / "tests" / "unit" / "cpu" / "bench_peak"


def describe() -> dict:
    cpu, numbers = platform.processor() or platform.machine(), ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        found = {}
        for line in lines:
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
        cpu = found.get("model name", cpu)
        if "cpu family" in found:
            numbers = f"family {found['cpu family']} model {found['model']}"
    return {"cpu": cpu, "numbers": numbers, "cores": len(os.sched_getaffinity(0)), "system": platform.platform()}


class Peaks:
    """Measures in a process that stays."""

    def __init__(self, threads: int):
        if not PEAK.is_file():
            raise FileNotFoundError(f"{PEAK.name} is not built. Run: ninja -C build bench_peak")
        self.threads, self.best_scaling = threads, 0.0
        self.process = subprocess.Popen(
            [PEAK, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.instructions = {kind: self.ask(f"{kind} 1")["instruction"] for kind in ("fp32", "bf16", "int8")}
        for _ in range(3):
            self.now("fp32")

    def ask(self, question: str) -> dict:
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ValueError(f"bench_peak: {answer['error']}")
        return answer

    def now(self, kind: str) -> dict:
        """{"one", "all": Gop/s of `kind` (0: no such instruction), "scaling": of fp32, all threads over one}"""
        one, every = self.ask("fp32 1")["gops"], self.ask(f"fp32 {self.threads}")["gops"]
        scaling = every / one
        self.best_scaling = max(self.best_scaling, scaling)
        if kind != "fp32":
            one, every = self.ask(f"{kind} 1")["gops"], self.ask(f"{kind} {self.threads}")["gops"]
        return {"one": one, "all": every, "scaling": scaling}

    def full_scaling(self) -> float:
        """The least scaling at which a round counts: 1.9 for two threads. More cores have a lower clock when all are
        busy, so that there it is 5 % below the best of this run."""
        if self.threads <= 2:
            return 0.95 * self.threads
        return 0.95 * min(self.best_scaling, self.threads)

    def read_rate(self, size: int) -> float:
        """GB/s of reading `size` bytes again and again with all threads."""
        return self.ask(f"read {size} {self.threads}")["gb_per_s"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def turn(path: Path | None):
    """Holds the file's lock, so that people who share a machine can time one after another."""
    if path is None:
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

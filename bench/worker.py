"""One engine in a process of its own, run by the Python of its environment; bench/compare.py talks to it in JSON lines.

    {"do": "load", "engine": "onnxruntime", "task": "embed", "folder": ..., ...}   {"version", "seconds", "rss"}
    {"do": "texts", "file": "texts.json"}       what the requests below work on    {"lengths": [...]}
    {"do": "run", "options": {"batch": 8}, "middle": 32, "save": "rows.f32"}        {"seconds", "rss", "shape"}
    {"do": "one", "options": {...}}             a text at a time                   {"seconds": [...]}

`middle` takes so many neighbours in length from the middle. Time is from texts to results, tokenizing included. What goes wrong is
{"error": "sentence"} ("refused": true where the engine says that it cannot). The process ends with its standard input.
"""

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.engines import Refused  # noqa: E402


def rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


class Worker:
    def __init__(self):
        self.engine, self.texts = None, []

    def load(self, spec: dict) -> dict:
        if spec["memory"]:  # more is MemoryError here, and not the end of a neighbour
            resource.setrlimit(resource.RLIMIT_DATA, (spec["memory"], spec["memory"]))
        self.engine = None
        start = time.perf_counter()
        self.engine = importlib.import_module(f"bench.engines.{spec['engine']}_engine").Engine(spec)
        seconds = time.perf_counter() - start
        about = self.engine.about() if hasattr(self.engine, "about") else {}
        return {"version": self.engine.version, "seconds": seconds, "rss": rss(), "isa": about.get("isa")}

    def read(self, request: dict) -> dict:
        self.texts = json.loads(Path(request["file"]).read_text(encoding="utf-8"))
        return {"lengths": self.engine.lengths(self.texts)}

    def run(self, request: dict) -> dict:
        texts = self.texts
        if request.get("middle"):
            begin = max(0, (len(texts) - request["middle"]) // 2)
            texts = sorted(texts, key=lambda text: sum(map(len, text)))[begin : begin + request["middle"]]
        start = time.perf_counter()
        results = self.engine.run(texts, request["options"])
        made = {"seconds": time.perf_counter() - start, "rss": rss()}
        if request.get("save"):
            rows = self.engine.rows(results)
            data, made["shape"] = rows if isinstance(rows, tuple) else (rows.tobytes(), rows.shape)
            Path(request["save"]).write_bytes(data)
        return made

    def one(self, request: dict) -> dict:
        seconds = []
        for text in self.texts:
            start = time.perf_counter()
            self.engine.run([text], request["options"])
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}


def main() -> None:
    # Engines print what they like: the answers have the descriptor to themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            do = {"load": worker.load, "texts": worker.read, "run": worker.run, "one": worker.one}[request["do"]]
            answer = do(request)
        except Refused as error:
            answer = {"error": str(error), "refused": True}
        except MemoryError as error:
            answer = {"error": f"out of memory: {error}"[:300]}
        except Exception as error:  # whatever a peer throws is a line of the table
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

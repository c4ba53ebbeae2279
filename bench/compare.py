#!/usr/bin/env python3
"""Inlay beside its peers in one run: same texts, same length limit, same threads, each at its best settings.

    bench/environments.sh                                   once: the peers' environments
    ninja -C build inlay inlay_shared bench_peak
    bench/compare.py WORKLOAD.json                          minilm, first 100 of `mixed`
    bench/compare.py WORKLOAD.json -m splade-base --texts long --count 20 --dtypes fp32,int8 --engines onnxruntime
    bench/compare.py WORKLOAD.json --trio --json trio.json --html trio.html
    bench/compare.py WORKLOAD.json --one                    one text at a time
    bench/compare.py WORKLOAD.json --latency                one short text again and again

WORKLOAD is {"short": [texts], "mixed": [...], "long": [...]}. Models are names of bench/models.py, or a folder with
--task. Every engine lives in a process of its own (bench/worker.py) that stays loaded; rounds go round the engines in
turn and the best counts. Before, each engine's settings are tried out: batch sizes, graph forms, streams; texts always
sorted by length. A `default` row is the engine's plain call on texts as they come, its batch size included.

Around every timed call the machine's own peak is measured on one and on all threads. A call around which two threads
gave less than 1.9 times one is thrown away and repeated (--patience times; `rounds` 2-1: two counted, one thrown away).
`share` is useful work over the peak of the row's precision at that moment: padding is not counted, and of rows that the
last layer skips neither. A row whose tokens differ from Inlay's by more than 0.1 % is void. `agree` is the lowest cosine
with the first row's vectors, or for rerankers the largest difference of scores. Ctrl-C ends with a table of what there is.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import flops, machine, models, picture  # noqa: E402
from bench.agree import agreement  # noqa: E402
from bench.peers import ENGINES, Failed, Pool, Process, Row, rows  # noqa: E402

TRIO = ("minilm", "bge-small", "splade-base", "bge-reranker-base")
SLOW = 12.0  # seconds: a default call that takes longer is made once
MIDDLE = 32  # texts on which settings are tried: neighbours in length, so that batches pad as they do among all
CLOSE = 1.2  # times the best: such a second is tried on all texts too


class Comparison:
    """One model's table."""

    def __init__(self, args: argparse.Namespace, model: models.Model, texts: list, peaks: machine.Peaks, work: Path):
        self.args, self.model, self.texts, self.peaks, self.work = args, model, texts, peaks, work
        self.single = args.one or args.latency
        file = work / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        self.pool = Pool(model, file, args.max_length, args.threads, work, args.lock)
        dtypes, engines = args.dtypes.split(","), args.engines.split(",")
        self.rows = rows(dtypes, engines, args.threads, model.task, self.single)
        self.stopped = False
        self.chosen: dict[str, tuple[dict, dict]] = {}  # row -> load and run options
        self.reasons: dict[str, str] = {}
        self.kept: dict[str, list[dict]] = {row.name: [] for row in self.rows}
        self.disturbed: dict[str, list[dict]] = {row.name: [] for row in self.rows}

    def run(self) -> dict:
        try:
            for row in self.rows:
                self.attempt(row, self.tune)
            for number in range(self.args.rounds):
                turn = number % len(self.rows)
                for row in self.rows[turn:] + self.rows[:turn]:
                    if row.name in self.reasons or (row.default and number > 0 and self.slow(row)):
                        continue
                    self.attempt(row, self.measure)
        except KeyboardInterrupt:
            say("stopped: the table has what was measured")
            self.stopped = True
        finally:
            made = [self.line(row) for row in self.rows]
            self.pool.close()
        return self.judge(made)

    def attempt(self, row: Row, what) -> None:
        try:
            what(row)
        except (Failed, models.Missing) as error:
            self.reasons[row.name] = str(error)
            say(f"  {row.name}: not run: {error}")
            for load in row.loads:  # what failed may have kept its memory; a row with the same engine begins afresh
                self.pool.forget(row, load)

    def slow(self, row: Row) -> bool:
        return bool(self.kept[row.name]) and self.kept[row.name][0]["seconds"] > SLOW

    def steady(self, row: Row, call) -> tuple[dict, list[dict]]:
        """(what `call` answers, with the peaks around it; answers thrown away): repeated while the machine does not
        give all its cores. The last of --patience repeats is returned as disturbed."""
        thrown = []
        while True:
            with machine.turn(self.args.lock):
                before = self.peaks.now(row.precision)
                made = call()
                after = self.peaks.now(row.precision)
            made["scaling"] = min(before["scaling"], after["scaling"])
            made["peak"] = max(before["all"], after["all"])
            made["peak_one"] = max(before["one"], after["one"])
            made["disturbed"] = self.args.threads > 1 and made["scaling"] < self.peaks.full_scaling()
            left = self.args.patience - len(thrown)
            if not made["disturbed"] or left == 0:
                return made, thrown
            thrown.append(made)
            say(f"  {row.name}: {self.args.threads} threads gave {made['scaling']:.2f}x one, {left} repeats left")
            time.sleep(2)

    def tune(self, row: Row) -> None:
        """Chooses among the row's loads and runs by a pass over texts of middling length, and between the best two, where
        they are close, by one over all texts."""
        if row.default or len(row.loads) * len(row.runs) == 1:
            self.chosen[row.name] = (row.loads[0], row.runs[0])
            process, _ = self.pool.get(row, row.loads[0])
            if not row.default:
                self.warm(row, process)
            return
        tried = []
        for load in row.loads:
            process, _ = self.pool.get(row, load)
            self.warm(row, process)
            for run in row.runs:
                call = {"do": "run", "options": run, "middle": MIDDLE}
                made, _ = self.steady(row, lambda process=process, call=call: process.ask(call))
                tried.append((made["seconds"], load, run))
        tried.sort(key=lambda entry: entry[0])
        if len(self.texts) > MIDDLE and tried[1][0] < CLOSE * tried[0][0]:
            for place, (_, load, run) in enumerate(tried[:2]):
                process, _ = self.pool.get(row, load)
                call = {"do": "run", "options": run}
                made, _ = self.steady(row, lambda process=process, call=call: process.ask(call))
                tried[place] = (made["seconds"], load, run)
            tried[:2] = sorted(tried[:2], key=lambda entry: entry[0])
        self.chosen[row.name] = tried[0][1:]
        for load in row.loads:
            if load != tried[0][1]:
                self.pool.forget(row, load)

    def warm(self, row: Row, process: Process) -> None:
        with machine.turn(self.args.lock):
            process.ask({"do": "run", "options": row.runs[0], "middle": MIDDLE})

    def measure(self, row: Row) -> None:
        """One round."""
        load, run = self.chosen[row.name]
        process, _ = self.pool.get(row, load)
        save = self.results(row)

        def call() -> dict:
            if self.single:
                each = process.ask({"do": "one", "options": run})["seconds"]
                return {"each": each, "seconds": sum(each)}
            return process.ask({"do": "run", "options": run, "save": save})

        made, thrown = self.steady(row, call)
        self.disturbed[row.name] += thrown
        (self.disturbed if made["disturbed"] else self.kept)[row.name].append(made)
        if self.single and save:
            with machine.turn(self.args.lock):
                made |= {"shape": process.ask({"do": "run", "options": run, "save": save})["shape"]}
        if save:
            Path(save).with_suffix(".shape").write_text(json.dumps(made["shape"]))

    def results(self, row: Row) -> str | None:
        """Where the row's results belong; None when they are there."""
        file = self.work / f"{row.name.replace(' ', '-')}.f32"
        return None if file.exists() else str(file)

    def line(self, row: Row) -> dict:
        """What the table says of a row."""
        out = {"name": row.name, "precision": row.precision, "default": row.default, "ours": row.ours}
        kept, thrown = self.kept[row.name], self.disturbed[row.name]
        if row.name in self.reasons or not kept + thrown:
            return out | {"not_run": self.reasons.get(row.name, "stopped before its first round")}
        load, run = self.chosen[row.name]
        about = self.pool.about[self.pool.key(row, load)]
        best = min(kept or thrown, key=lambda made: made["seconds"])
        lengths = about["lengths"]
        out |= {
            "version": about["version"],
            "isa": about["isa"],
            "options": load | run,
            "load_seconds": about["seconds"],
        }
        out |= {"tokens": sum(lengths), "rounds": len(kept), "thrown": len(thrown), "disturbed": not kept}
        out |= {name: best[name] for name in ("seconds", "scaling", "peak", "peak_one")}
        out["ms_per_text"] = 1e3 * best["seconds"] / len(lengths)
        if self.single:
            # Per text the best of all rounds, then over texts.
            each = [1e3 * min(values) for values in zip(*(made["each"] for made in kept or thrown))]
            every = [1e3 * value for made in kept or thrown for value in made["each"]]
            out["best_ms"] = min(every)
            out["median_ms"] = statistics.median(every if self.args.latency else each)
            out["ms_per_text"] = out["median_ms"]
        done = flops.encoder(self.model.config, self.model.task, self.model.pooling, lengths, skips_rows=row.ours)
        out["gflop_per_text"] = done / len(lengths) * 1e-9 if done else None
        rate = done / best["seconds"] * 1e-9 if done else None
        out["share"] = rate / best["peak"] if rate and best["peak"] else None
        return out

    def judge(self, made: list[dict]) -> dict:
        """Voids rows of other tokens, and compares the rest."""
        done = [line for line in made if "not_run" not in line]
        ours = [line for line in done if line["ours"]]
        reference = (ours or done or [None])[0]
        for line in done:
            line["void"] = abs(line["tokens"] - reference["tokens"]) > 0.001 * reference["tokens"]
            line["agree"] = agreement(self.work, reference["name"], line["name"], self.model.task)
        peers = [line for line in done if not line["ours"] and not line["void"]]
        ratios = []
        for line in ours:
            for what, rivals in [
                (f"best {line['precision']} peer", [p for p in peers if p["precision"] == line["precision"]]),
                ("best fp32 peer", [p for p in peers if p["precision"] == "fp32" and line["precision"] != "fp32"]),
                ("fastembed's default call", [p for p in peers if p["default"]]),
            ]:
                if what.startswith("best"):
                    rivals = [p for p in rivals if not p["default"]]
                if rivals:
                    best = min(rivals, key=lambda p: p["ms_per_text"])
                    ratio = best["ms_per_text"] / line["ms_per_text"]
                    sound = not (line["disturbed"] or best["disturbed"])
                    ratios.append(
                        {"row": line["name"], "over": what, "peer": best["name"], "ratio": ratio, "sound": sound}
                    )
        result = {"model": self.model.name, "task": self.model.task, "rows": made, "ratios": ratios}
        if self.args.latency and ours and not self.stopped:
            result["floors"] = self.floors(ours)
        return result

    def floors(self, ours: list[dict]) -> list[dict]:
        """What no engine gets below on this machine: its weights read once, or its operations at peak."""
        out = []
        for precision in dict.fromkeys(line["precision"] for line in ours):
            line = next(line for line in ours if line["precision"] == precision)
            size = flops.weight_bytes(self.model.config, self.model.task, precision)
            if not size or not line["peak"]:
                continue
            with machine.turn(self.args.lock):
                rate = self.peaks.read_rate(size)
            read, compute = size / rate * 1e-6, line["gflop_per_text"] / line["peak"] * 1e3
            out.append({"precision": precision, "read_ms": read, "compute_ms": compute, "gb_per_s": rate})
        return out


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def show(args: argparse.Namespace, result: dict) -> None:
    what = "median ms" if args.one or args.latency else "ms/text"
    print(f"\n{result['model']} ({result['task']}): {result['texts']}")
    print(
        f"{'row':<24}{'tokens':>8}{what:>11}{'best ms':>9}{'share':>8}{'peak':>7}{'2T/1T':>7}{'rounds':>8}{'agree':>10}  with"
    )
    for line in result["rows"]:
        if "not_run" in line:
            print(f"{line['name']:<24}  not run: {line['not_run']}")
            continue
        share = f"{100 * line['share']:.1f} %" if line["share"] else "-"
        best = f"{line['best_ms']:.2f}" if "best_ms" in line else ""
        agree = "" if line["agree"] is None else f"{line['agree']:.6f}"
        count = f"{line['rounds']}" + (f"-{line['thrown']}" if line["thrown"] else "")
        note = " ".join(f"{name}={value}" for name, value in line["options"].items())
        note += "  VOID: other tokens" if line["void"] else ""
        note += "  DISTURBED: no round with all cores" if line["disturbed"] else ""
        print(
            f"{line['name']:<24}{line['tokens']:>8}{line['ms_per_text']:>11.3f}{best:>9}{share:>8}"
            f"{line['peak']:>7.0f}{line['scaling']:>7.2f}{count:>8}{agree:>10}  {note}"
        )
    for floor in result.get("floors", []):
        print(
            f"floor {floor['precision']}: weights read at {floor['gb_per_s']:.0f} GB/s {floor['read_ms']:.3f} ms, "
            f"operations at peak {floor['compute_ms']:.3f} ms"
        )
    for ratio in result["ratios"]:
        mark = "" if ratio["sound"] else "  (disturbed: no measurement)"
        print(f"{ratio['row']} over {ratio['over']} ({ratio['peer']}): {ratio['ratio']:.2f}x{mark}")


def texts_for(args: argparse.Namespace, data: dict, task: str) -> tuple[list, str]:
    if args.latency:
        text = data["short"][0]
        chosen, what = [[data["mixed"][0], text] if task == "rerank" else text] * 50, "one short text, 50 times"
    else:
        chosen = data[args.texts][: args.count]
        what = f"first {len(chosen)} of '{args.texts}'"
        if task == "rerank":  # the first is the query of the rest
            chosen = [[chosen[0], text] for text in chosen[1:]]
            what += ", the first as query"
        if args.one:
            what += ", one at a time"
    return chosen, f"{what}, limit {args.max_length}, {args.threads} threads, best of {args.rounds} rounds"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("workload", type=Path)
    parser.add_argument(
        "-m", "--model", action="append", help="of bench/models.py, or a folder; may be repeated (minilm)"
    )
    parser.add_argument("--task", choices=("embed", "sparse", "rerank"), help="what a folder is for")
    parser.add_argument("--texts", default="mixed", help="which list of the workload (mixed)")
    parser.add_argument("--count", type=int, default=100, help="first N of them (100)")
    parser.add_argument("--dtypes", default="fp32,bf16,int8", help="Inlay's (fp32,bf16,int8)")
    parser.add_argument("--engines", default=",".join(ENGINES), help=f"peers ({','.join(ENGINES)})")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=int, default=5, help="repeats of a call around which cores were missing (5)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--one", action="store_true", help="one text at a time: median over texts, and best")
    mode.add_argument("--latency", action="store_true", help="one short text again and again, and what bounds it")
    mode.add_argument("--trio", action="store_true", help=f"100 dense, 100 sparse, 99 rerank: {', '.join(TRIO)}")
    parser.add_argument(
        "--lock", type=Path, help="hold this file's lock while an engine works: others may do so in between"
    )
    parser.add_argument("--json", type=Path, help="also write everything as JSON")
    parser.add_argument("--html", type=Path, help="also write a page with bars")
    args = parser.parse_args()

    data = json.loads(args.workload.read_text(encoding="utf-8"))
    if args.texts not in data:
        sys.exit(f"{args.workload}: expected a list '{args.texts}', it holds {', '.join(data)}.")
    if args.rounds < 1 or args.count < 2:
        sys.exit("expected at least one round and two texts.")
    unknown = set(args.engines.split(",")) - set(ENGINES) - {""}
    if unknown:
        sys.exit(f"--engines: expected {', '.join(ENGINES)}, got {', '.join(unknown)}.")
    try:
        peaks = machine.Peaks(args.threads)
    except FileNotFoundError as error:
        sys.exit(str(error))

    about = machine.describe() | {"threads": args.threads, "instructions": peaks.instructions}
    kinds = ", ".join(f"{kind} {name}" for kind, name in peaks.instructions.items() if name)
    print(f"{about['cpu']} {about['numbers']}, {about['cores']} cores; ceilings: {kinds}")
    results = []
    for name in TRIO if args.trio else args.model or ["minilm"]:
        try:
            model = models.find(name, args.task)
        except models.Missing as error:
            sys.exit(str(error))
        texts, what = texts_for(args, data, model.task)
        with tempfile.TemporaryDirectory() as work:
            comparison = Comparison(args, model, texts, peaks, Path(work))
            result = comparison.run() | {"texts": what}
        show(args, result)
        results.append(result)
        if args.json:
            args.json.write_text(json.dumps({"machine": about, "results": results}, indent=2) + "\n")
        if args.html:
            picture.write(args.html, about, results)
        if comparison.stopped:
            return 130
    peaks.close()
    return 0 if all(any("not_run" not in row for row in r["rows"] if row["ours"]) for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())

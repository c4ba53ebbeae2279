#!/usr/bin/env python3
"""Start to first vector: the time from starting the program to the line with its first vector, and to its end.

    bench/startup.py [build/inlay] [--runs 20] [-- OPTIONS OF inlay embed]

Runs take turns: without the cache of packed weights, and with it (a folder of its own, filled beforehand). Prints the
least and the median of each in milliseconds, and whether all vectors have the same bytes. Standard library only.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time


def start(program, options, environment):
    """(ms to the first line, ms to the end, the line)"""
    begin = time.perf_counter()
    command = [program, "embed", "--quiet", *options, "--", "hello"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        line = process.stdout.readline()
        first = time.perf_counter()
        process.stdout.read()
    end = time.perf_counter()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return 1e3 * (first - begin), 1e3 * (end - begin), line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default="build/inlay")
    parser.add_argument("--runs", type=int, default=20)
    ours, options = sys.argv[1:], []
    if "--" in ours:
        at = ours.index("--")
        ours, options = ours[:at], ours[at + 1 :]
    arguments = parser.parse_args(ours)
    with tempfile.TemporaryDirectory() as folder:
        # Only the cache is the script's own; the model is looked for where it always is.
        cached = {**os.environ, "XDG_CACHE_HOME": folder, "INLAY_PACKED_CACHE": "4GiB"}
        cached.setdefault("HF_HOME", os.path.expanduser("~/.cache/huggingface"))
        cached.pop("INLAY_HOME", None)
        ways = {"packed at each start": {**cached, "INLAY_PACKED_CACHE": "0"}, "mapped from the cache": cached}
        lines = set()
        times = {way: [] for way in ways}
        for environment in ways.values():
            lines.add(start(arguments.program, options, environment)[2])
        for _ in range(arguments.runs):
            for way, environment in ways.items():
                *measured, line = start(arguments.program, options, environment)
                times[way].append(measured)
                lines.add(line)
    for way, measured in times.items():
        columns = [
            f"{what} {min(values):6.1f} least {statistics.median(values):6.1f} median"
            for what, values in zip(("first vector", "end"), zip(*measured))
        ]
        print(f"{way:22} ms: {';  '.join(columns)}")
    print("vectors:", "the same bytes" if len(lines) == 1 else f"{len(lines)} different lines")


if __name__ == "__main__":
    main()

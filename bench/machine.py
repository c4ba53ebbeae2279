"""What the benches say about the machine, and whether it gives a program all the cores that it shows.

On a shared machine two threads may get less than two cores. scaling() runs a loop that stays in the core (no memory,
no vector unit whose clock depends on neighbours) in 1 and in N processes at once and compares their rates.
Standard library only.
"""

import multiprocessing
import os
import platform
import time


def describe() -> dict:
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "system": platform.platform()}


def _spin(barrier, seconds: float, rates) -> None:
    barrier.wait()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        sum(range(2000))
        count += 1
    rates.put(count / elapsed)


def _rate(processes: int, seconds: float) -> float:
    context = multiprocessing.get_context("fork")
    barrier, rates = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=_spin, args=(barrier, seconds, rates)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    total = sum(rates.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def scaling(threads: int, seconds: float = 0.15) -> float:
    """Work done per second by `threads` processes over that of one; 1.0 for one."""
    return _rate(threads, seconds) / _rate(1, seconds) if threads > 1 else 1.0


def full_scaling(threads: int) -> float:
    """The least scaling() at which a row counts: 1.9 for two threads, 5 % off the ideal for more."""
    return 0.95 * threads if threads > 1 else 0.0

"""The engines that bench/worker.py can load, one file each; every one has a class `Engine`:

Engine(spec)            loads; spec is the request `load` of bench/worker.py. Refused: why it cannot be had.
run(texts, options)     texts to results, timed as a whole by the worker; for rerank, texts are [query, text] pairs
lengths(texts)          tokens of each text as the engine cuts it, special tokens included
rows(results)           results as rows of float32 for comparison: [dim], [vocabulary] or [labels]
version                 of the package that computes
"""


class Refused(Exception):
    """An engine says that it cannot do what is asked, and why."""

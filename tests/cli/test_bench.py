"""The parts of bench/ that figures rest on: counted operations, the retrieval set, ranks, and Inlay's own worker, which
must give what the command line gives."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))

from bench import flops, manpages, quality  # noqa: E402
from bench.agree import agreement  # noqa: E402

CONFIG = {"model_type": "bert", "hidden_size": 6, "intermediate_size": 20, "num_hidden_layers": 3, "vocab_size": 50}


def products(lengths, task, one_row):
    """(rows, inner, columns) of every matrix product, written out."""
    h, f = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    for length in lengths:
        for layer in range(3):
            rows = 1 if one_row and layer == 2 else length
            yield from [(rows, h, h), (length, h, h), (length, h, h)]  # query, key, value
            yield from [(rows, h, length), (rows, length, h)]  # scores and context, all heads together
            yield from [(rows, h, h), (rows, h, f), (rows, f, h)]
        if task == "sparse":
            yield from [(length, h, h), (length, h, CONFIG["vocab_size"])]
        if task == "rerank":
            yield from [(1, h, h), (1, h, 1)]


@pytest.mark.parametrize(
    ("task", "pooling", "skips", "one_row"),
    [
        ("embed", "mean", True, False),
        ("embed", "cls", True, True),
        ("embed", "cls", False, False),
        ("sparse", "", True, False),
        ("rerank", "", True, True),
    ],
)
def test_flops_are_those_of_the_products(task, pooling, skips, one_row):
    lengths = [1, 5, 12]
    counted = sum(2 * m * k * n for m, k, n in products(lengths, task, one_row))
    assert flops.encoder(CONFIG, task, pooling, lengths, skips) == counted


def test_flops_of_other_families_are_not_guessed():
    assert flops.encoder(CONFIG | {"model_type": "modernbert"}, "embed", "mean", [3], True) is None


def test_manual_page_becomes_text():
    page = """.\\" a comment
.TH qsort 3
.SH NAME
qsort, qsort_r \\- sort an array
.SH SYNOPSIS
.BI "void qsort(void " base );
.SH DESCRIPTION
The
.BR qsort ()
function sorts an array with \\fInmemb\\fP elements \\[em] it\\[aq]s
.I "in place" .
.TS
l l.
left	out
.TE
.TP
.B ONE
See
.BR open (2)
and a\\e0 byte.
"""
    made = manpages.sections(page)
    assert made["NAME"] == "qsort, qsort_r - sort an array"
    wanted = "The qsort() function sorts an array with nmemb elements - it's in place . ONE See open(2) and a\\0 byte."
    assert made["DESCRIPTION"] == wanted
    assert "open" not in made["SYNOPSIS"]


def test_ndcg_counts_the_rank_of_the_one_right_document():
    documents = np.eye(16)
    assert quality.ndcg_at_10(documents, documents) == 1
    second = documents + 2 * np.roll(documents, 1, 1)  # each query's neighbour scores higher
    assert quality.ndcg_at_10(second, documents) == pytest.approx(1 / np.log2(3))
    assert quality.ndcg_at_10(np.ones((16, 16)), documents) == 0  # equal scores are no find


def test_a_missed_bar_is_told():
    first = {"spearman": 82.0, "ndcg": 80.0}
    sound = {"dtype": "int8", "cosine_min": 0.995, "cosine_mean": 0.9995, "spearman": 81.8, "ndcg": 79.5}
    assert quality.misses(sound, first) == []
    for change in [{"cosine_min": 0.989}, {"cosine_min": float("nan")}, {"spearman": 81.6}, {"ndcg": 79.1}]:
        assert len(quality.misses(sound | change, first)) == 1


@pytest.fixture
def worker():
    if not (ROOT / "build" / "libinlay.so").is_file():
        pytest.skip("build/libinlay.so is not built: ninja -C build inlay_shared")
    process = subprocess.Popen(
        [sys.executable, ROOT / "bench" / "worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(request):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(timeout=20)


def load(folder, dtype):
    options = {"engine": "inlay", "task": "embed", "threads": 2, "limit": 64, "memory": 0, "options": {"dtype": dtype}}
    return {"do": "load", "folder": folder} | options


def test_worker_gives_what_the_command_line_gives(worker, inlay, tiny, tmp_path):
    texts = ["a river", "", "stone " * 100, "é"]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    arguments = ("embed", "-m", tiny, "--max-length", "64", "-i", "texts.jsonl", "-o", "out.npy", "--report", "r.json")
    assert inlay(*arguments).code == 0
    assert "error" not in worker(load(tiny, "fp32"))
    lengths = worker({"do": "texts", "file": str(tmp_path / "texts.json")})["lengths"]
    assert sum(lengths) == json.loads((tmp_path / "r.json").read_text())["tokens"]
    made = worker({"do": "run", "options": {}, "save": str(tmp_path / "inlay.f32")})
    assert (tmp_path / "inlay.f32").read_bytes() == np.load(tmp_path / "out.npy").tobytes()
    assert made["shape"][0] == 4 and made["seconds"] > 0
    assert len(worker({"do": "one", "options": {}})["seconds"]) == 4

    # and agree() tells another row from the same
    (tmp_path / "inlay.shape").write_text(json.dumps(made["shape"]))
    (tmp_path / "other.shape").write_text(json.dumps(made["shape"]))
    (tmp_path / "other.f32").write_bytes((-np.load(tmp_path / "out.npy")).tobytes())
    assert agreement(tmp_path, "inlay", "inlay", "embed") == pytest.approx(1)
    assert agreement(tmp_path, "inlay", "other", "embed") == pytest.approx(-1)


def test_worker_passes_a_refusal_on(worker, tiny):
    answer = worker(load(tiny, "fp8"))
    assert answer["refused"] and "fp8" in answer["error"]

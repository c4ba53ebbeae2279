"""fastembed's own sparse vectors, run by .venv/fastembed's Python for test_bm25.py and test_words.py.

Reads {"model", "folder", "options", "texts"} as JSON from standard input and prints {"documents", "queries"}, each a
list of [indices, values].
"""

import importlib.metadata
import json
import pathlib
import sys

PINS = pathlib.Path(__file__).with_name("fastembed.txt")


def check_pins():
    for line in PINS.read_text().splitlines():
        if line and not line.startswith("#"):
            name, wanted = line.split("==")
            got = importlib.metadata.version(name)
            assert got.split("+")[0] == wanted, f"{name}: expected {wanted}, got {got}. Run ./test --oracles."


def lists(embeddings):
    return [[e.indices.tolist(), e.values.tolist()] for e in embeddings]


def main():
    check_pins()
    from fastembed.sparse.bm25 import Bm25
    from fastembed.sparse.bm42 import Bm42
    from fastembed.sparse.minicoil import MiniCOIL

    request = json.load(sys.stdin)
    kind = {"Qdrant/bm25": Bm25, "Qdrant/bm42-all-minilm-l6-v2-attentions": Bm42, "Qdrant/minicoil-v1": MiniCOIL}[
        request["model"]
    ]
    model = kind(request["model"], specific_model_path=request["folder"], **request["options"])
    # A text at a time: onnxruntime's last bits depend on what else is in a batch.
    documents = [next(iter(model.embed([text]))) for text in request["texts"]]
    queries = [next(iter(model.query_embed([text]))) for text in request["texts"]]
    json.dump({"documents": lists(documents), "queries": lists(queries)}, sys.stdout)


main()

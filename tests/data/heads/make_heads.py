#!/usr/bin/env python3
"""Makes the tiny masked language model, cross-encoders, ColBERT, bge-m3, language model that reranks and model with
adapters that tests/cli and tests/abi use, and what torch says of all but the last.

.venv/oracles/bin/python tests/data/heads/make_heads.py    (in the oracle environment; ./test --oracles makes it)
"""

import json
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests/oracles"))

import numpy as np  # noqa: E402
import test_late as late  # noqa: E402
import test_rerank_causal as causal  # noqa: E402
import torch  # noqa: E402
from test_adapters import save_folder  # noqa: E402
from test_tasks import BERT, make  # noqa: E402

TEXTS = ["the quick brown fox", "", "river bank, river bank", "a small engine turns text into vectors"]
QUERY = "fox of the river"
INSTRUCTION = "Find texts about animals"


def judged():
    """Scores of a reranker as Qwen3-Reranker's card computes them, without and with an instruction."""
    tokenizer = causal.train_tokenizer()
    sizes = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2)
    model = causal.make(HERE / "qwen3-reranker", tokenizer, "qwen3", **sizes)
    ids = [[causal.qwen3_ids(tokenizer, QUERY, text, how) for text in TEXTS] for how in [None, INSTRUCTION]]
    logits = [[causal.logits(model, tokenizer, one) for one in lists] for lists in ids]
    return {"instruction": INSTRUCTION, "tokens": [[len(one) for one in lists] for lists in ids], "logits": logits}


def main():
    tokenizer, model = make(HERE / "bert-mlm", BERT, "Bert", "ForMaskedLM")
    expected = {"texts": TEXTS, "query": QUERY, "sparse": [], "scores": []}
    with torch.no_grad():
        for text in TEXTS:
            weights = torch.log1p(torch.relu(model(**tokenizer(text, return_tensors="pt")).logits))[0].max(0).values
            weights = weights.numpy()
            ids = np.flatnonzero(weights).tolist()
            expected["sparse"].append({"indices": ids, "values": [float(weights[i]) for i in ids]})
        for labels in [1, 2]:
            tokenizer, model = make(
                HERE / f"bert-labels-{labels}", BERT, "Bert", "ForSequenceClassification", num_labels=labels
            )
            # In a list, as CrossEncoder gives them: alone, an empty second text would count as none.
            pairs = [tokenizer([[QUERY, text]], return_tensors="pt") for text in TEXTS]
            logits = [model(**pair).logits[0].tolist() for pair in pairs]
            expected["scores"].append(logits)
    with tempfile.TemporaryDirectory() as plain:
        save_folder(HERE / "jina-adapters", plain)
    expected["judged"] = judged()
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
    late_folders()


def late_folders():
    for name in ["colbert", "bge-m3"]:
        shutil.rmtree(HERE / name, ignore_errors=True)
    parts = late.stanford_folder(HERE / "colbert", query_maxlen=11, doc_maxlen=17)
    expected = {
        role: [np.round(rows, 7).tolist() for rows in late.stanford(*parts, texts, role, length)]
        for role, texts, length in [("query", [QUERY], 11), ("document", TEXTS, 17)]
    }
    parts = late.bge_m3_folder(HERE / "bge-m3")
    names = ["embedding", "lexical", "vectors"]
    expected["bge-m3"] = []
    for text in TEXTS:
        dense, lexical, vectors = late.flag_embedding(*parts, text)
        values = [np.round(dense, 7).tolist(), sorted(lexical.items()), np.round(vectors, 7).tolist()]
        expected["bge-m3"].append(dict(zip(names, values, strict=True)))
    (HERE / "expected_late.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()

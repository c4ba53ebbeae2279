#!/usr/bin/env python3
"""Makes the tiny masked language model, cross-encoder and model with adapters that tests/cli uses, and what torch says
of the first two.

.venv/oracles/bin/python tests/data/heads/make_heads.py    (in the oracle environment; ./test --oracles makes it)
"""

import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests/oracles"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from test_adapters import save_folder  # noqa: E402
from test_tasks import BERT, make  # noqa: E402

TEXTS = ["the quick brown fox", "", "river bank, river bank", "a small engine turns text into vectors"]
QUERY = "fox of the river"


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
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()

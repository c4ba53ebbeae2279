"""Random configurations of every architecture family against its reference in float64.

Each file of families/ draws one: `draw(rng, vocab_size)` returns a Drawn. A new family adds a file.
INLAY_FAMILY_CONFIGS sets how many configurations a family gets (6).
"""

import importlib
import os
import pathlib
import random
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_vectors
from transformers import PreTrainedTokenizerFast

FAMILIES = sorted(p.stem for p in (pathlib.Path(__file__).parent / "families").glob("[a-z]*.py"))
COUNT = int(os.environ.get("INLAY_FAMILY_CONFIGS", "6"))
TOKENIZER = ROOT / "tests/golden/models/bert-mean"
POOLING = "cls+mean+lasttoken+max"
TEXTS = [
    "",
    "fox",
    "the quick brown fox jumps over the lazy dog",
    "embeddings 1234567890 Größe naïve café",
    "a small engine turns text into vectors " * 3,
    "words that go on and on and on, numbers that remember meaning, " * 9,
]


def pooled(hidden):
    return torch.cat([hidden[0], hidden.mean(0), hidden[-1], hidden.max(0).values]).double().numpy()


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("family", FAMILIES)
def test_random_configurations(family, seed, tmp_path):
    rng = random.Random(f"{family} {seed}")
    torch.manual_seed(rng.randrange(2**31))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TOKENIZER, model_max_length=10**6)
    drawn = importlib.import_module(f"families.{family}").draw(rng, len(tokenizer))
    drawn.save(tmp_path)
    if not (tmp_path / "tokenizer.json").exists():
        shutil.copy(TOKENIZER / "tokenizer.json", tmp_path / "tokenizer.json")
    limit = drawn.max_length
    expected = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        with torch.no_grad():
            expected.append(pooled(drawn.hidden(torch.tensor([ids]))[0]))
    expected = np.stack(expected)
    for device in ["ref", "cpu"]:
        got = inlay_vectors(
            tmp_path, TEXTS, ["--device", device, "--pooling", POOLING, "--no-normalize", "--max-length", str(limit)]
        )
        error = np.abs(got - expected) / np.maximum(1, np.abs(expected))
        assert error.max() <= drawn.tolerance, f"{device}: {error.max():.3e} in {drawn.note}"

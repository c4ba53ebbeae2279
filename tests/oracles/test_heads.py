"""Heads of random models against their reference in float64: sequence classifiers' logits, masked language models'
logits as SPLADE reads them, causal language models' logits at the last token.

A family that has heads says so in its file of families/: `draw_head(head, rng, vocab_size)` returns a Drawn whose
`hidden` gives what tests/oracles/heads_driver.cc prints for the ids of one text, or None for a head it does not have.
"""

import importlib
import os
import random
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_families import COUNT, FAMILIES

VOCABULARY = 90
LENGTHS = [1, 2, 7, 16, 33, 70]
HEADS = ["classifier", "masked_lm", "causal_lm"]
DRIVER = os.environ.get("INLAY_HEADS_DRIVER", str(ROOT / "build/tests/oracles/heads_driver"))


def family_of(name):
    return importlib.import_module(f"families.{name}")


def ask(folder, head, device, texts):
    lines = "".join(" ".join(map(str, ids)) + "\n" for ids in texts)
    done = subprocess.run([DRIVER, folder, head, device], input=lines, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.array([[float(x) for x in line.split()] for line in done.stdout.splitlines()])


@pytest.mark.parametrize("seed", range(COUNT))
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", [name for name in FAMILIES if hasattr(family_of(name), "draw_head")])
def test_heads(family, head, seed, tmp_path):
    rng = random.Random(f"{family} {head} {seed}")
    torch.manual_seed(rng.randrange(2**31))
    drawn = family_of(family).draw_head(head, rng, VOCABULARY)
    if drawn is None:
        pytest.skip(f"{family} has no {head}")
    drawn.save(tmp_path)
    texts = [[rng.randrange(VOCABULARY) for _ in range(length)] for length in LENGTHS]
    with torch.no_grad():
        expected = np.stack([drawn.hidden(torch.tensor([ids])).numpy() for ids in texts])
    for device in ["ref", "cpu"]:
        got = ask(tmp_path, head, device, texts)
        error = np.abs(got - expected) / np.maximum(1, np.abs(expected))
        assert error.max() <= drawn.tolerance, f"{device}: {error.max():.3e} in {drawn.note}"

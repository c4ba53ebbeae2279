"""The real default model against transformers in float32: cosine >= 0.999999 and max-abs <= 1e-5 for every text."""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
INLAY = os.environ.get("INLAY_BIN", str(ROOT / "build/inlay"))


def varied_texts():
    sentences = (ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()
    return [
        "",
        "a",
        "hello",
        " ".join(["word"] * 510),  # 512 tokens with [CLS] and [SEP]
        " ".join(["beyond"] * 900),  # cut at the limit
        "東京は日本の首都です。我爱北京天安门。한국어 문장",
        "emoji 😀🚀👩‍👩‍👧 🇩🇪 ✌🏽",
        "control \u0001\u0002\u200b\ufeff\u00ad characters\ttabs\r\nand lines\u2028",
        "nul \u0000 inside",
        "Größe, naïve CAFÉ, İstanbul, ǅ, ﬁ, Å, \u0061\u0301\u0323",
        "Привет, мир! Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया",
        "x" * 300,
        "!?.,;:-()[]{}<>@#$%^&*" * 5,
        "http://example.org/path?query=1&b=2#frag 192.168.0.1 3.14159e-10",
        "[CLS] [SEP] [MASK] [PAD] [UNK]",
        "\U0010ffff \ue000 \ufffd",
        *sentences[:40],
    ]


def model_folder():
    folder = os.environ.get("INLAY_MODEL_DIR")
    if folder:
        return folder
    listed = subprocess.run([INLAY, "model", "list", "--json"], capture_output=True, text=True)
    for entry in json.loads(listed.stdout) if listed.returncode == 0 else []:
        if entry["name"] == "minilm" and entry["path"]:
            return entry["path"]
    pytest.skip("the default model is not on this machine: tools/fetch_model.py minilm")


def reference(folder, texts, limit):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vectors, counts = [], []
    with torch.no_grad():
        for text in texts:
            batch = tokenizer([text], truncation=True, max_length=limit, return_tensors="pt")
            hidden = model(**batch).last_hidden_state[0]
            pooled = torch.nn.functional.normalize(hidden.mean(0), dim=0)
            vectors.append(pooled.numpy())
            counts.append(hidden.shape[0])
    return np.array(vectors), counts


@pytest.mark.parametrize("limit", [256, 512])
@pytest.mark.parametrize("device", ["cpu", "ref"])
def test_real_model(tmp_path, limit, device):
    folder, texts = model_folder(), varied_texts()
    if device == "ref":  # plain loops: a few texts are enough
        texts = texts[:3] + texts[5:10]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps(t) + "\n" for t in texts), encoding="utf-8")
    output = tmp_path / "vectors.jsonl"
    command = [INLAY, "embed", "-m", folder, "-i", source, "-o", output, "--device", device, "--max-length", str(limit)]
    subprocess.run(command, check=True)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    expected, counts = reference(folder, texts, limit)
    got = np.array([row["embedding"] for row in rows])
    assert [row["tokens"] for row in rows] == counts
    cosine = (got * expected).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)
    worst = np.abs(got - expected).max()
    print(f"{device} limit {limit}: {len(texts)} texts, min cosine {cosine.min():.9f}, max abs {worst:.2e}")
    assert cosine.min() >= 0.999999
    assert worst <= 1e-5

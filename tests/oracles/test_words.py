"""BM42 and miniCOIL against fastembed's own code on folders of tiny random models: equal indices, values within 1e-5.

Needs build/inlay, or what INLAY_BIN names, and .venv/fastembed.
"""

import numpy as np
import pytest
import word_models as make
from conftest import fastembed_vectors, inlay_lines

BM42 = "Qdrant/bm42-all-minilm-l6-v2-attentions"


def check(line, wanted, text, exact=False):
    ids, values = wanted
    order = np.argsort(np.asarray(ids, dtype=np.int64))
    assert line["indices"] == [ids[i] for i in order], ascii(text)
    expected = [values[i] for i in order]
    np.testing.assert_allclose(line["values"], expected, rtol=0, atol=0 if exact else 1e-5, err_msg=ascii(text))


@pytest.fixture(scope="module")
def bm42(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bm42")
    # The last layer of the published model, which has six.
    names = ["last_hidden_state", "attention_1", "attention_2", "attention_6"]
    make.write_folder(folder, "model.onnx", names)
    return folder


@pytest.mark.parametrize("device", ["cpu", "ref"])
@pytest.mark.parametrize("options", [{}, {"alpha": 1.25}])
def test_bm42(bm42, options, device):
    texts = make.texts(200 if device == "cpu" else 40)
    wanted = fastembed_vectors(BM42, bm42, texts, **options)
    arguments = ["--device", device] + [f"--bm42-{key}={value}" for key, value in options.items()]
    lines = inlay_lines("sparse", bm42, texts, arguments)
    for text, line, expected in zip(texts, lines, wanted["documents"], strict=True):
        check(line, expected, text)
    assert sum(len(line["indices"]) > 3 for line in lines) > 0.5 * len(texts)
    assert any(line["truncated"] and line["tokens"] == 40 for line in lines)  # max_length of tokenizer_config.json
    for text, line, expected in zip(
        texts, inlay_lines("sparse", bm42, texts, ["--as", "query"]), wanted["queries"], strict=True
    ):
        check(line, expected, text, exact=True)


MINICOIL = "Qdrant/minicoil-v1"


@pytest.mark.parametrize("device", ["cpu", "ref"])
@pytest.mark.parametrize(
    "body, options, dtype",
    [
        (make.Jina, {}, "float32"),
        (make.Bert, {"k": 0.9, "b": 0.3, "avg_len": 20.0}, "float16"),
    ],
)
def test_minicoil(body, options, dtype, device, tmp_path):
    outputs = ["last_hidden_state"] + ["a1", "a2", "a3"] * (body is make.Bert)
    make.write_folder(tmp_path, "onnx/model.onnx", outputs, body, max_length=70)
    make.add_minicoil(tmp_path, np.dtype(dtype))
    texts = make.texts(200 if device == "cpu" else 40, seed=11)
    wanted = fastembed_vectors(MINICOIL, tmp_path, texts, **options)
    names = {"k": "--bm25-k", "b": "--bm25-b", "avg_len": "--bm25-avg-len"}
    arguments = ["--device", device] + [f"{names[key]}={value}" for key, value in options.items()]
    for role, answers in [("document", wanted["documents"]), ("query", wanted["queries"])]:
        lines = inlay_lines("sparse", tmp_path, texts, [*arguments, "--as", role])
        for text, line, expected in zip(texts, lines, answers, strict=True):
            check(line, expected, text)
        known = sum(sum(index < 64000 for index in line["indices"]) > 0 for line in lines)
        assert known > 0.2 * len(texts)  # words with a place of their own, not only counted ones

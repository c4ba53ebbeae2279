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

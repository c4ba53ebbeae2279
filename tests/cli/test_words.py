"""inlay sparse on models that weigh words: BM25 without any folder, with one, BM42, miniCOIL, and what they refuse."""

import json
import shutil

import numpy as np
import pytest

ENGLISH = "i\nthe\nof\nand\n"


def vectors(result):
    assert result.code == 0, result.err
    return [dict(zip(line["words"], line["values"])) for line in result.json]


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "english.txt").write_text(ENGLISH)
    (folder / "german.txt").write_text("und\nder\n")
    return folder


@pytest.mark.parametrize("name", ["bm25", "Qdrant/bm25", "qdrant/BM25"])
def test_needs_nothing(inlay, tmp_path, name):
    result = inlay("sparse", "-m", name, "the quick foxes", "", "--words", "--report", "r.json")
    # The hash of fastembed: abs(mmh3.hash("fox")) and so on.
    assert result.json[0]["indices"] == [771291085, 1132748958, 1621867415]
    assert vectors(result)[0].keys() == {"the", "quick", "fox"}
    norm = 1.2 * (1 - 0.75 + 0.75 * 3 / 256)
    assert all(abs(v - 2.2 / (1 + norm)) < 1e-6 for v in result.json[0]["values"])
    assert result.json[1]["indices"] == [] and result.json[1]["tokens"] == 0
    assert "without stop words: english.txt" in result.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["device"], report["backend"], report["model"]) == (
        "cpu",
        "none",
        name if "/" in name else "Qdrant/bm25",
    )
    assert report["tokens"] == 3


def test_stop_words_and_roles(inlay, lists):
    words = ("sparse", "-m", lists, "--words")
    result = inlay(*words, "The fox and the foxes of Rome")
    assert vectors(result)[0].keys() == {"fox", "rome"} and result.json[0]["tokens"] == 3
    assert "stop words" not in result.err
    assert vectors(inlay(*words, "--as", "query", "foxes fox rome rome"))[0] == {"fox": 1, "rome": 1}
    assert vectors(inlay(*words, "--language", "german", "Der Hund und die Hunde"))[0].keys() == {"hund", "die"}
    plain = vectors(inlay(*words, "--disable-stemmer", "--token-max-length", "5", "the foxes of antiquity"))[0]
    assert plain.keys() == {"the", "foxes", "of"}
    assert "french.txt" in inlay(*words, "--language", "french", "oui").err


def test_options_of_the_formula(inlay, lists):
    run = ("sparse", "-m", lists, "--words", "fox fox hen", "--bm25-k", "2", "--bm25-b", "0.5", "--bm25-avg-len", "6")
    norm = 2 * (1 - 0.5 + 0.5 * 3 / 6)
    assert vectors(inlay(*run))[0] == pytest.approx({"fox": 2 * 3 / (2 + norm), "hen": 3 / (1 + norm)})
    assert vectors(inlay(*run, "--top-k", "1"))[0].keys() == {"fox"}
    assert vectors(inlay(*run, "--min-weight", "1.4"))[0].keys() == {"fox"}


def test_shown_and_listed(inlay, lists):
    shown = json.loads(inlay("model", "show", "bm25").out)
    assert (shown["model"], shown["architecture"], shown["task"], shown["folder"]) == (
        "Qdrant/bm25",
        "bm25",
        "sparse",
        "",
    )
    assert json.loads(inlay("model", "show", lists).out)["architecture"] == "bm25"
    (row,) = [r for r in json.loads(inlay("model", "list", "--json").out) if r["id"] == "Qdrant/bm25"]
    assert (row["name"], row["task"], row["missing"], row["path"]) == ("bm25", "sparse", None, None)
    assert inlay("status", "-m", "bm25").code == 0


def test_the_cache_is_used_when_it_is_there(inlay, hub_cache_with_bm25):
    assert vectors(inlay("sparse", "-m", "bm25", "--words", "the fox", **hub_cache_with_bm25))[0].keys() == {"fox"}


@pytest.fixture
def hub_cache_with_bm25(tmp_path):
    commit = "0" * 39 + "1"
    repository = tmp_path / "hub" / "models--Qdrant--bm25"
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "english.txt").write_text(ENGLISH)
    (repository / "snapshots" / commit / "config.json").write_text("")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return {"HF_HUB_CACHE": str(tmp_path / "hub")}


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("sparse", "--language", "klingon"), 2, ("--language", "english", "klingon")),
        (("sparse", "--language", "../english"), 2, ("--language",)),
        (("sparse", "--bm25-k", "-1"), 2, ("--bm25-k", "at least 0", "-1")),
        (("sparse", "--bm25-k", "much"), 2, ("--bm25-k", "a number", "much")),
        (("sparse", "--bm25-k", "nan"), 2, ("--bm25-k", "nan")),
        (("sparse", "--bm25-b", "1.5"), 2, ("--bm25-b", "0 to 1")),
        (("sparse", "--bm25-avg-len", "0"), 2, ("--bm25-avg-len", "above 0")),
        (("sparse", "--token-max-length", "0"), 2, ("--token-max-length",)),
        (("sparse", "--bm42-alpha", "1"), 2, ("--bm42-alpha", "BM42", "Qdrant/bm25")),
        (("sparse", "--max-length", "8"), 2, ("--max-length", "BM25")),
        (("sparse", "--device", "cuda"), 69, ("--device", "auto or cpu", "cuda")),
        (("sparse", "--dtype", "int8"), 69, ("--dtype", "fp32")),
        (("sparse", "--prompt", "query"), 2, ("--prompt",)),
        (("embed",), 65, ("Qdrant/bm25", "sparse vectors")),
        (("tokens",), 65, ("Qdrant/bm25", "tokenizer")),
    ],
)
def test_refusals(inlay, arguments, code, words):
    result = inlay(arguments[0], "-m", "bm25", *arguments[1:], "text")
    assert result.code == code, result.err
    assert all(word in result.err for word in words), result.err
    assert result.out == b""


@pytest.fixture
def bm42(tiny, tmp_path):
    """A BERT with a list of stop words."""
    folder = tmp_path / "bm42"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{tiny}/{name}", folder)
    (folder / "stopwords.txt").write_text(ENGLISH)
    return folder


def test_bm42(inlay, bm42):
    text = "the running of a dog"
    documents = {}
    for device in ("cpu", "ref"):
        result = inlay("sparse", "-m", bm42, "--words", "--device", device, text, "")
        documents[device] = vectors(result)[0]
        assert result.json[1]["indices"] == [] and result.json[0]["tokens"] > 5
    assert documents["cpu"] == pytest.approx(documents["ref"], abs=1e-6)
    assert all(0 < value < 1 for value in documents["cpu"].values())
    assert not documents["cpu"].keys() & {"the", "of"}
    query = vectors(inlay("sparse", "-m", bm42, "--words", "--as", "query", text))[0]
    assert query == dict.fromkeys(documents["cpu"], 1)
    squared = vectors(inlay("sparse", "-m", bm42, "--words", "--bm42-alpha", "1", text))[0]
    assert squared == pytest.approx({word: value**2 for word, value in documents["cpu"].items()}, abs=1e-6)
    assert json.loads(inlay("model", "show", bm42).out)["task"] == "sparse"
    program = inlay("model", "show", bm42, "--program").out.decode()
    assert "probabilities" in program.splitlines()[-2]
    (bm42 / "stopwords.txt").unlink()
    assert "SPLADE" in inlay("sparse", "-m", bm42, text).err  # nothing says any more what it is


def test_minicoil(inlay, bm42):
    hidden = json.loads((bm42 / "config.json").read_text())["hidden_size"]
    known = {"vocab": ["dog", "running"], "stem_mapping": {"dog": "dog", "run": "running"}}
    (bm42 / "minicoil.triplet.model.vocab").write_text(json.dumps(known))
    heads = np.random.default_rng(0).normal(size=(3, hidden, 4)).astype(np.float32) * 0.1
    np.save(bm42 / "minicoil.triplet.model.npy", heads)
    result = inlay("sparse", "-m", bm42, "--words", "the dog of the dogs", "")
    line = result.json[0]
    assert line["indices"][:4] == [4, 5, 6, 7] and line["words"] == ["dog"] * 4
    weight = 2 * 2.2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 2 / 150))
    assert sum(value**2 for value in line["values"]) ** 0.5 == pytest.approx(weight)
    query = inlay("sparse", "-m", bm42, "--words", "--as", "query", "the dog of the dogs").json[0]
    assert query["values"] == pytest.approx([value / weight for value in line["values"]], abs=1e-6)
    assert len(inlay("sparse", "-m", bm42, "--top-k", "2", "dog").json[0]["indices"]) == 2
    assert inlay("sparse", "-m", bm42, "--language", "german", "dog").code == 2
    np.save(bm42 / "minicoil.triplet.model.npy", heads[:, 1:])
    result = inlay("sparse", "-m", bm42, "dog")
    assert result.code == 65 and f"expected heads of the encoder's width {hidden}" in result.err
    np.save(bm42 / "minicoil.triplet.model.npy", heads[:2])
    assert inlay("sparse", "-m", bm42, "dog").code == 65
    (bm42 / "minicoil.triplet.model.npy").unlink()
    result = inlay("sparse", "-m", bm42, "dog")
    assert result.code == 66 and "minicoil.triplet.model.npy" in result.err


def test_bm42_of_another_family(inlay, bm42, tiny):
    folder = bm42.parent / "other"
    shutil.copytree(f"{tiny}/../distilbert-mean", folder)
    (folder / "modules.json").unlink()
    (folder / "stopwords.txt").write_text(ENGLISH)
    result = inlay("sparse", "-m", folder, "text")
    assert result.code == 65 and "expected a BERT" in result.err
    result = inlay("sparse", "-m", bm42, "--bm25-k", "1", "text")
    assert result.code == 2 and "BM25 or miniCOIL" in result.err
    assert inlay("sparse", "-m", bm42, "--bm42-alpha", "-1", "text").code == 2


def test_settings_of_words_are_for_models_of_words(inlay, tiny):
    result = inlay("sparse", "-m", tiny, "--assume-splade", "--bm25-k", "1", "text")
    assert result.code == 2 and "--bm25-k" in result.err and "BM25 or miniCOIL" in result.err

"""inlay bench and the pages of bench and status: what is in them, never how quick anything was."""

import json
import re
from html.parser import HTMLParser

import pytest
from conftest import ROOT, expect

HEADS = ROOT / "tests" / "data" / "heads"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Every element closed in order, and nothing fetched from anywhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []
        assert not re.search(r"(src|href)=|url\(|@import|<script", text)
        assert "prefers-color-scheme:dark" in text and 'name="viewport"' in text

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def table_rows(page):
    return re.search(r"<h2>All figures</h2>.*?</table>", page, re.DOTALL)[0].split("</tr>")[:-1]


@pytest.fixture
def own(inlay, tmp_path):
    """The program with a cache folder of the test's own, and without rooms that only some machines have."""

    def run(*args, **more):
        return inlay(*args, INLAY_HOME=str(tmp_path / "home"), **({"INLAY_DISABLE": "mlx,torch"} | more))

    return run


def test_a_model(own, tiny, tmp_path):
    saved, page = tmp_path / "bench.json", tmp_path / "bench.html"
    result = own("bench", "-m", tiny, "--json", saved, "--html", page)
    assert result.code == 0, result.err
    report = json.loads(saved.read_text())
    assert report["machine"]["cpu"] and report["machine"]["threads"] >= 1 and report["machine"]["memory_bytes"] > 0
    assert [(row["task"], row["device"], row["texts"]) for row in report["rows"]] == [
        ("dense", "cpu", 100),
        ("dense", "cpu", 1),
    ]
    for row in report["rows"]:
        assert row["state"] == "ok" and row["dtype"] == "fp32" and row["isa"] and row["tokens"] > 0
        assert row["cold"]["seconds"] > row["cold"]["load_seconds"] > 0
        warm = row["warm"]
        assert warm["passes"] >= 1 and warm["ms_per_text"] > 0 and row["ratio_to_cpu"] == 1
        assert warm["texts_per_s"] * warm["ms_per_text"] == pytest.approx(1000)
        assert warm["tokens_per_s"] == pytest.approx(row["tokens"] / warm["seconds"])
    assert {device["device"] for device in report["devices"]} >= {"cpu", "ref", "cuda"}
    html = Page(page.read_text())
    assert html.tags.count("svg") == 2 and "warm" in html.text and report["machine"]["cpu"] in html.text
    # A heading for each cell, and each number under its own.
    heads, *body = (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table_rows(page.read_text()))
    assert all(len(cells) == len(heads) for cells in body) and len(body) == 2
    first = dict(zip(heads, body[0], strict=True))
    row = report["rows"][0]
    assert (first["texts"], first["tokens"], first["dtype"]) == ("100", str(row["tokens"]), row["dtype"])
    assert row["task"] in first["task"] and row["model"] in first["task"]
    assert row["device"] in first["device"] and row["isa"] in first["device"]
    # Its verdict is in status.
    status = json.loads(own("status", "-m", tiny, "--json").out)
    cpu = next(device for device in status["devices"] if device["device"] == "cpu")
    assert cpu["tasks"]["dense"]["ms_per_text"] > 0 and cpu["verdict"].startswith("taken by auto")


def test_two_runs_compare(own, tiny, tmp_path):
    saved, page = tmp_path / "bench.json", tmp_path / "bench.html"
    assert own("bench", "-m", tiny, "--json", saved).code == 0
    again = own("bench", "-m", tiny, "--compare", saved, "--html", page)
    assert again.code == 0 and "now/before" in again.out.decode()
    assert "of the time before" in Page(page.read_text()).text
    saved.write_text('{"format":1}')
    expect(own("bench", "-m", tiny, "--compare", saved), 65, "bench.json")
    expect(own("bench", "-m", tiny, "--compare", tmp_path / "none.json"), 66, "none.json")


def test_texts_of_ones_own_and_a_dtype(own, tiny, tmp_path):
    texts, saved = tmp_path / "texts.jsonl", tmp_path / "bench.json"
    texts.write_text('"fox"\n"the quick brown fox"\n')
    result = own("bench", "-m", tiny, "-i", texts, "--dtype", "int8", "--json", saved)
    assert result.code == 0, result.err
    report = json.loads(saved.read_text())
    assert report["texts"].endswith("texts.jsonl")
    rows = {(row["dtype"], row["texts"]): row for row in report["rows"]}
    assert set(rows) == {("fp32", 100), ("fp32", 1), ("int8", 100), ("int8", 1)}
    assert rows["int8", 100]["tokens"] == rows["fp32", 100]["tokens"] > 300
    assert rows["int8", 100]["ratio_to_cpu"] > 0
    assert any("not kept" in note for note in report["notes"])
    expect(own("bench", "-m", tiny, "-i", tmp_path / "none.txt"), 66, "none.txt")
    expect(own("bench", "a text"), 2, "inlay bench")


def test_rerank_is_one_query_against_99(own, tmp_path):
    saved = tmp_path / "bench.json"
    assert own("bench", "-m", HEADS / "bert-labels-1", "--json", saved).code == 0
    rows = json.loads(saved.read_text())["rows"]
    assert [(row["task"], row["texts"]) for row in rows] == [("rerank", 99), ("rerank", 1)]


def test_what_is_not_here_is_a_row_and_no_request(own, hub, tmp_path):
    saved = tmp_path / "bench.json"
    result = own("bench", "--json", saved, HF_ENDPOINT=hub.url(), HF_HUB_OFFLINE="", HF_HUB_CACHE=str(tmp_path / "hub"))
    assert result.code == 0, result.err
    rows = json.loads(saved.read_text())["rows"]
    assert [(row["task"], row["state"]) for row in rows] == [
        ("dense", "not run"),
        ("sparse", "not run"),
        ("rerank", "not run"),
    ]
    assert all("is not on this machine; inlay model get" in row["reason"] for row in rows)
    assert hub.requests == []


def test_grid_feeds_the_recommendation(own, tiny, tmp_path):
    saved, page = tmp_path / "bench.json", tmp_path / "bench.html"
    result = own("bench", "-m", tiny, "--grid", "--threads", "2", "--json", saved, "--html", page)
    assert result.code == 0, result.err
    grid = json.loads(saved.read_text())["grid"]
    assert {cell["batch"] for cell in grid} == {1, 8, 32, 100, 256} and {cell["threads"] for cell in grid} == {1, 2}
    assert all(0 < cell["ms_per_text"] < cell["ms_per_text_with_load"] for cell in grid)
    assert "Batch sizes and threads" in Page(page.read_text()).text
    own("bench", "-m", tiny, "--grid", "--json", saved)
    best = min(json.loads(saved.read_text())["grid"], key=lambda cell: cell["ms_per_text"])
    # Measuring again keeps what a grid has found.
    for more in ([], ["--measure"]):
        status = json.loads(own("status", "-m", tiny, "--json", *more).out)
        cpu = next(device for device in status["devices"] if device["device"] == "cpu")
        assert cpu["recommend"] == {"batch": best["batch"], "threads": best["threads"], "dtype": "fp32"}


def test_time_is_bounded_and_said(own, tiny, tmp_path):
    saved = tmp_path / "bench.json"
    result = own("bench", "-m", tiny, "--large", "--seconds", "5", "--json", saved)
    assert result.code == 0, result.err
    large = json.loads(saved.read_text())["rows"][-1]
    assert large["texts"] == 10000 and (large["state"] == "ok" or "--seconds" in large["reason"])


def test_status_page_and_table(own, tiny, tmp_path):
    page = tmp_path / "status.html"
    result = own("status", "-m", tiny, "--measure", "--html", page, "--verbose")
    assert result.code == 0, result.err
    html = Page(page.read_text())
    assert "svg" in html.tags and "taken by auto" in html.text and "recommended: batch" in html.text
    table = result.out.decode()
    assert "ms a text, 1 of the CPU's time" in table and "cpu: recommend batch" in table


def test_a_child_without_an_order_says_so(own):
    result = own("--device-child", stdin="{}")
    assert result.code == 1 and json.loads(result.out)["event"] == "refused"

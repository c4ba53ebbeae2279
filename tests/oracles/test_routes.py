"""Sparse folders with routes and look-ups (Router, SparseStaticEmbedding) against sentence-transformers."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import inlay_lines
from test_tasks import BERT, TEXTS, make
from transformers import PreTrainedTokenizerFast


def parts(tmp_path):
    """A masked language model that pools, and a table of weights over the same vocabulary."""
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SparseStaticEmbedding, SpladePooling

    tokenizer, _ = make(tmp_path / "raw", BERT, "Bert", "ForMaskedLM")
    torch.manual_seed(5)
    weight = torch.rand(len(tokenizer)) * (torch.rand(len(tokenizer)) > 0.2)
    table = SparseStaticEmbedding(PreTrainedTokenizerFast.from_pretrained(tmp_path / "raw"), weight=weight)
    return MLMTransformer(str(tmp_path / "raw")), SpladePooling(activation_function="log1p_relu"), table


def routed(tmp_path, **options):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import Router

    model, pooling, table = parts(tmp_path)
    router = Router.for_query_document([table], [model, pooling], **options)
    encoder = SparseEncoder(modules=[router], device="cpu")
    encoder.save(str(tmp_path / "folder"))
    return encoder


def compare(lines, texts, encode):
    for text, line in zip(texts, lines, strict=True):
        expected = encode([text], convert_to_sparse_tensor=False)[0].numpy()
        got = np.zeros_like(expected)
        got[line["indices"]] = line["values"]
        assert line["indices"] == sorted(line["indices"])
        assert np.abs(got - expected).max() <= 1e-5 * max(1, expected.max()), text


def test_router(tmp_path):
    encoder = routed(tmp_path)
    folder = tmp_path / "folder"
    queries = inlay_lines("sparse", folder, TEXTS, ["--as", "query"])
    compare(queries, TEXTS, encoder.encode_query)
    compare(inlay_lines("sparse", folder, TEXTS, ["--as", "document"]), TEXTS, encoder.encode_document)
    compare(inlay_lines("sparse", folder, TEXTS, []), TEXTS, encoder.encode)
    # A look-up is exact, has no special tokens and is cut where its own tokenizer says.
    assert queries[0]["indices"] == [] and queries[0]["tokens"] == 0
    long = inlay_lines("sparse", folder, ["word " * 90], ["--as", "query"])[0]
    assert (long["tokens"], long["truncated"]) == (64, True)


def test_router_without_a_default(tmp_path):
    encoder = routed(tmp_path, default_route=None, allow_empty_key=False)
    folder = tmp_path / "folder"
    compare(inlay_lines("sparse", folder, TEXTS[:9], ["--as", "query"]), TEXTS[:9], encoder.encode_query)
    code, message = inlay_lines("sparse", folder, TEXTS[:1], [], expect_error=True)
    assert code == 2 and "--as" in message and message.count("\n") == 1


def test_router_with_mappings(tmp_path):
    """The reference's order: (task, modality), task, modality, anything, then the route of the task's name."""
    encoder = routed(tmp_path, default_route="document")
    config = tmp_path / "folder/router_config.json"
    router = json.loads(config.read_text())
    router["parameters"]["route_mappings"] = {"('document', 'text')": "query", "(None, None)": "document"}
    config.write_text(json.dumps(router))
    query = inlay_lines("sparse", tmp_path / "folder", TEXTS[:9], ["--as", "query"])
    document = inlay_lines("sparse", tmp_path / "folder", TEXTS[:9], ["--as", "document"])
    compare(query, TEXTS[:9], encoder.encode_document)
    compare(document, TEXTS[:9], encoder.encode_query)


def test_router_whose_transformer_is_the_folder_itself(tmp_path):
    """As opensearch's repositories have it: the module "" lies beside modules.json."""
    encoder = routed(tmp_path)
    folder = tmp_path / "folder"
    config = folder / "router_config.json"
    router = json.loads(config.read_text())
    name = next(key for key in router["types"] if key.startswith("document_0"))
    for file in (folder / name).iterdir():
        shutil.move(file, folder / file.name)
    router["types"][""] = router["types"].pop(name)
    router["structure"]["document"][0] = ""
    config.write_text(json.dumps(router))
    compare(inlay_lines("sparse", folder, TEXTS[:9], ["--as", "query"]), TEXTS[:9], encoder.encode_query)
    compare(inlay_lines("sparse", folder, TEXTS[:9], ["--as", "document"]), TEXTS[:9], encoder.encode_document)


@pytest.mark.parametrize("form", ["tensor", "idf.json"])
def test_table_alone(tmp_path, form):
    from sentence_transformers import SparseEncoder

    table = parts(tmp_path)[2]
    encoder = SparseEncoder(modules=[table], device="cpu")
    encoder.save(str(tmp_path / "folder"))
    if form != "tensor":
        module = next(path.parent for path in (tmp_path / "folder").rglob("tokenizer.json"))
        tokens = table.tokenizer.convert_ids_to_tokens(range(len(table.weight)))
        weights = dict(zip(tokens, table.weight.tolist(), strict=True))
        (module / "idf.json").write_text(json.dumps(weights))
        (module / "model.safetensors").unlink()
        (module / "config.json").write_text(json.dumps({"frozen": True, "path": "idf.json"}))
    report = tmp_path / "report.json"
    lines = inlay_lines("sparse", tmp_path / "folder", TEXTS, ["--report", str(report)])
    compare(lines, TEXTS, encoder.encode)
    assert json.loads(report.read_text())["backend"] == "none"
    top = inlay_lines("sparse", tmp_path / "folder", TEXTS, ["--top-k", "3", "--min-weight", "0.25", "--words"])
    for all_of, few in zip(lines, top, strict=True):
        order = sorted(zip(all_of["values"], all_of["indices"], strict=True), key=lambda pair: (-pair[0], pair[1]))
        kept = sorted((index, value) for value, index in [p for p in order if p[0] >= 0.25][:3])
        assert list(zip(few["indices"], few["values"], strict=True)) == kept
        assert few["words"] == table.tokenizer.convert_ids_to_tokens(few["indices"])


def test_folders_of_other_kinds_are_refused(tmp_path):
    routed(tmp_path)
    folder = tmp_path / "folder"
    code, message = inlay_lines("embed", folder, ["a"], [], expect_error=True)
    assert code == 65 and "inlay sparse" in message
    code, message = inlay_lines("rerank", folder, ["a"], ["--query", "q"], expect_error=True)
    assert code == 65 and "sequence classifier" in message
    config = folder / "router_config.json"
    router = json.loads(config.read_text())
    for broken in [{"types": {}}, {"structure": {}}, {"parameters": {"default_route": "no"}}]:
        config.write_text(json.dumps(router | broken))
        code, message = inlay_lines("sparse", folder, ["a"], [], expect_error=True)
        assert code == 65 and "router_config.json" in message and message.count("\n") == 1, message

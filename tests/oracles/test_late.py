"""Late interaction of tiny random models: sentence-transformers' MultiVectorEncoder (its own folders, and PyLate's and
Stanford's, which it reads too), and FlagEmbedding's definition of bge-m3's outputs as plain PyTorch."""

import json
import shutil
import string

import numpy as np
import pytest
import torch
import transformers
from conftest import ROOT, inlay_lines
from families import shake
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

TINY = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.4)
TEXTS = [
    "",
    "fox",
    "The quick, brown fox jumps! (Over the lazy dog.)",
    "!?... ; -- '",
    *(ROOT / "examples/sentences.txt").read_text(encoding="utf-8").splitlines()[:12],
    "word, " * 90,
]
QUERIES = ["", "fox", "what does the fox say?", TEXTS[8], "a very long question about words " * 9]
DIM = 24


def make(folder, source="bert-mean", family="Bert", architecture="Model", **config):
    """A body and its tokenizer, with ColBERT's two markers in the vocabulary as BERT's [unused0] and [unused1] are, or
    added to it as jina-colbert-v2's are."""
    folder.mkdir(parents=True)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(ROOT / "tests/golden/models" / source / name, folder / name)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    if tokenizer["model"]["type"] == "WordPiece":
        vocabulary = tokenizer["model"]["vocab"]
        for marker in ["[unused0]", "[unused1]"]:
            vocabulary[marker] = len(vocabulary)
        file.write_text(json.dumps(tokenizer))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    if source == "xlm-roberta-cls":
        tokenizer.add_special_tokens({"mask_token": "<mask>"})
        tokenizer.add_tokens(["[unused0]", "[unused1]"], special_tokens=True)
    config = getattr(transformers, family + "Config")(
        vocab_size=len(tokenizer), max_position_embeddings=90, pad_token_id=tokenizer.pad_token_id, **TINY, **config
    )
    torch.manual_seed(3)
    model = shake(getattr(transformers, family + architecture)(config).eval())
    model.save_pretrained(folder)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return tokenizer, model


def dense(width, out, **options):
    from sentence_transformers.base.modules.dense import Dense

    torch.manual_seed(5)
    options = {"bias": False, "activation_function": torch.nn.Identity()} | options
    return Dense(width, out, module_input_name="token_embeddings", **options)


def mask(**options):
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    return MultiVectorMask(**options)


def normalize():
    from sentence_transformers.base.modules import Normalize

    return Normalize(module_input_name="token_embeddings")


def transformer(folder, **options):
    from sentence_transformers.base.modules import Transformer

    return Transformer(str(folder), **options)


def encoder_of(*arguments, **options):
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(*arguments, device="cpu", **options)


def matrices(lines):
    return [np.array(line["vectors"], dtype=np.float64) for line in lines]


def assert_close(lines, expected, texts):
    for line, wanted, text in zip(lines, expected, texts, strict=True):
        got = np.array(line["vectors"], dtype=np.float64).reshape(len(line["vectors"]), -1)
        wanted = np.asarray(wanted, dtype=np.float64)
        assert got.shape[0] == wanted.shape[0], (text, got.shape, wanted.shape)
        if wanted.size:
            assert (np.abs(got - wanted) / np.maximum(1, np.abs(wanted))).max() <= 1e-5, text


def compare(folder, encoder, device="cpu"):
    """Queries and documents, one at a time in the reference: what a text is batched with is not to matter."""
    encoder = encoder.double()
    queries = [encoder.encode_query([text])[0].numpy() for text in QUERIES]
    documents = [encoder.encode_document([text])[0].numpy() for text in TEXTS]
    options = ["--device", device]
    assert_close(inlay_lines("late", folder, QUERIES, ["--as", "query", *options]), queries, QUERIES)
    lines = inlay_lines("late", folder, TEXTS, ["--as", "document", *options])
    assert_close(lines, documents, TEXTS)
    assert inlay_lines("late", folder, TEXTS, options) == lines
    return queries, documents


EXPANSIONS = [
    None,
    {"strategy": "fixed", "attend": False, "length": 19},
    {"strategy": "fixed", "attend": True, "length": 19},
    {"strategy": "min", "attend": False, "length": 7},
    {"strategy": "min", "attend": True, "length": 40, "token": "[unused1]"},
]


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize("expansion", EXPANSIONS)
def test_multi_vector_encoder(tmp_path, expansion, device):
    make(tmp_path / "raw")
    encoder = encoder_of(
        modules=[
            transformer(tmp_path / "raw", query_expansion=expansion, document_length=37),
            dense(32, DIM),
            mask(skiplist_words=list(string.punctuation)),
            normalize(),
        ],
        prompts={"query": "search query: ", "document": "text: "},
    )
    encoder.save(str(tmp_path / "folder"))
    compare(tmp_path / "folder", encoder, device)


@pytest.mark.parametrize(
    "options",
    [
        dict(skiplist_words=["fox", "!", "no such word"], skiplist_tasks=["query"]),
        dict(skiplist_words=["the", "?"], skiplist_tasks=["query", "document"]),
        dict(keep_only_token_ids=[7, 8, 40, 41, 42, 2]),
        dict(),
    ],
)
def test_masks(tmp_path, options):
    make(tmp_path / "raw")
    expansion = {"strategy": "fixed", "attend": False, "length": 19}
    encoder = encoder_of(modules=[transformer(tmp_path / "raw", query_expansion=expansion), mask(**options)])
    encoder.save(str(tmp_path / "folder"))
    compare(tmp_path / "folder", encoder)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("source", "family", "config"),
    [
        ("roberta-mean", "Roberta", {}),
        ("modernbert-mean", "ModernBert", {"local_attention": 16, "bos_token_id": None, "eos_token_id": None}),
    ],
)
def test_other_bodies_and_projections(tmp_path, source, family, config, residual):
    make(tmp_path / "raw", source, family, **config)
    expansion = {"strategy": "fixed", "attend": False, "length": 13}
    encoder = encoder_of(
        modules=[
            transformer(tmp_path / "raw", query_expansion=expansion, document_length=37),
            dense(32, 48, bias=True, activation_function=torch.nn.GELU(), use_residual=residual),
            dense(48, 48, use_residual=residual),
            dense(48, DIM),
            mask(),
            normalize(),
        ]
    )
    encoder.save(str(tmp_path / "folder"))
    compare(tmp_path / "folder", encoder)


def pylate_folder(tmp_path, prefixes, **collection):
    """As PyLate saves it: Transformer and Dense, all else in config_sentence_transformers.json. max_seq_length is what
    the last call happened to leave behind."""
    make(tmp_path / "raw")
    encoder = encoder_of(modules=[transformer(tmp_path / "raw"), dense(32, DIM)])
    folder = tmp_path / "folder"
    encoder.save(str(folder))
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        kind = module["type"].rsplit(".", 1)[1]
        module["type"] = {"Transformer": "sentence_transformers.models.Transformer"}.get(
            kind, "pylate.models.Dense.Dense"
        )
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 18, "do_lower_case": False}))
    config = folder / modules[1]["path"] / "config.json"
    plain = {k: v for k, v in json.loads(config.read_text()).items() if not k.startswith("module_")}
    config.write_text(json.dumps(plain))
    members = {
        "__version__": {"sentence_transformers": "4.0.2", "transformers": "4.48.2", "pytorch": "2.5.1"},
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": prefixes[0],
        "document_prefix": prefixes[1],
        "query_length": 19,
        "document_length": 37,
        "attend_to_expansion_tokens": False,
        "do_query_expansion": True,
    } | collection
    (folder / "config_sentence_transformers.json").write_text(json.dumps(members))
    return folder


@pytest.mark.parametrize(
    ("prefixes", "collection"),
    [
        (("[unused0]", "[unused1]"), {"model_type": "ColBERT", "skiplist_words": [".", ",", "!"]}),
        (("[unused0] ", "[unused1] "), {"model_type": "ColBERT", "attend_to_expansion_tokens": True}),
        (("[Q] ", "[D] "), {"model_type": "ColBERT", "do_query_expansion": False}),
        (("[unused0]", "[unused1]"), {"prompts": {"query": "[unused0]ask: ", "document": "say: "}}),
        (("fox ", "query: "), {"model_type": "ColBERT", "skiplist_words": []}),
    ],
)
def test_pylate_folders(tmp_path, prefixes, collection):
    folder = pylate_folder(tmp_path, prefixes, **collection)
    queries, documents = compare(folder, encoder_of(str(folder)))
    if collection.get("do_query_expansion", True):
        assert {len(query) for query in queries} == {19}
    assert max(map(len, documents)) <= 37


def test_pylate_inserts_markers(tmp_path):
    """PyLate's own definition (models/colbert.py, ColBERT.tokenize and insert_prefix_token): texts are cut to one token
    less, and the marker's id goes behind the first token; padding is the mask token."""
    folder = pylate_folder(tmp_path, ("[unused0]", "[unused1]"), model_type="ColBERT")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).double().eval()
    linear = load_file(next(folder.glob("*_Dense/model.safetensors")))["linear.weight"].double()
    for texts, role, marker, length in [(QUERIES, "query", 260, 19), (TEXTS, "document", 261, 37)]:
        expected = []
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=length - 1)["input_ids"]
            ids = [ids[0], marker, *ids[1:]]
            seen = [1] * len(ids)
            if role == "query":
                seen += [0] * (length - len(ids))
                ids += [tokenizer.mask_token_id] * (length - len(ids))
            with torch.no_grad():
                hidden = model(torch.tensor([ids]), torch.tensor([seen])).last_hidden_state[0]
            vectors = torch.nn.functional.normalize(hidden @ linear.T, dim=-1).numpy()
            skip = set(tokenizer.convert_tokens_to_ids(list(string.punctuation))) if role == "document" else set()
            skip -= {tokenizer.unk_token_id}  # PyLate's would go too, for "#" that the vocabulary lacks
            expected.append(vectors[[i for i, token in enumerate(ids) if token not in skip]])
        assert_close(inlay_lines("late", folder, texts, ["--as", role]), expected, texts)


def stanford_folder(folder, source="bert-mean", family="Bert", **metadata):
    """As stanford-futuredata/ColBERT saves HF_ColBERT: `bert.` and `linear.weight` in one checkpoint."""
    tokenizer, model = make(folder, source, family)
    prefix = {"Bert": "bert.", "XLMRoberta": "roberta."}[family]
    tensors = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    torch.manual_seed(7)
    tensors["linear.weight"] = torch.randn(DIM, 32)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["HF_ColBERT"]}))
    members = {
        "query_token_id": "[unused0]",
        "doc_token_id": "[unused1]",
        "query_maxlen": 19,
        "doc_maxlen": 37,
        "mask_punctuation": True,
        "attend_to_mask_tokens": False,
        "dim": DIM,
        "similarity": "cosine",
        "checkpoint": "somewhere/else",
    } | metadata
    (folder / "artifact.metadata").write_text(json.dumps(members))
    return tokenizer, model, tensors["linear.weight"]


def stanford(tokenizer, model, linear, texts, role, length, attend=False, skiplist=True):
    """colbert/modeling: QueryTokenizer, DocTokenizer (". " is put before a text and the token of "." replaced by the
    marker; where "." is two tokens the marker is put in, as PyLate and fastembed do it for jina-colbert-v2),
    ColBERT.query, ColBERT.doc, and mask() with the skiplist of the first token of each symbol."""
    model, linear = model.double(), linear.double()
    skip = {tokenizer.encode(symbol, add_special_tokens=False)[0] for symbol in string.punctuation}
    for text in texts:
        options = dict(padding="max_length" if role == "query" else False, truncation=True, return_tensors="pt")
        if len(tokenizer.tokenize(". ")) == 1:
            inputs = tokenizer([". " + text], max_length=length, **options)
            ids, seen = inputs["input_ids"], inputs["attention_mask"]
        else:
            inputs = tokenizer([text], max_length=length - 1, **options)
            ids, seen = (torch.cat([x[:, :1], x], 1) for x in (inputs["input_ids"], inputs["attention_mask"]))
        ids[:, 1] = tokenizer.convert_tokens_to_ids("[unused0]" if role == "query" else "[unused1]")
        if role == "query":
            ids[ids == tokenizer.pad_token_id] = tokenizer.mask_token_id
            if attend:
                seen[ids == tokenizer.mask_token_id] = 1
        with torch.no_grad():
            hidden = model(ids, attention_mask=seen).last_hidden_state[0]
        vectors = torch.nn.functional.normalize(hidden @ linear.T, dim=-1).numpy()
        dropped = skip if role == "document" and skiplist else set()
        yield vectors[[i for i, token in enumerate(ids[0].tolist()) if token not in dropped]]


@pytest.mark.parametrize("metadata", [{}, {"attend_to_mask_tokens": True}, {"mask_punctuation": False}])
@pytest.mark.parametrize(("source", "family"), [("bert-mean", "Bert"), ("xlm-roberta-cls", "XLMRoberta")])
def test_stanford_folders(tmp_path, source, family, metadata):
    folder = tmp_path / "folder"
    parts = stanford_folder(folder, source, family, **metadata)
    options = metadata.get("attend_to_mask_tokens", False), metadata.get("mask_punctuation", True)
    for texts, role, length in [(QUERIES, "query", 19), (TEXTS, "document", 37)]:
        expected = stanford(*parts, texts, role, length, *options)
        assert_close(inlay_lines("late", folder, texts, ["--as", role]), expected, texts)


@pytest.mark.parametrize("similarity", ["maxsim", "meanmaxsim"])
def test_rerank(tmp_path, similarity):
    make(tmp_path / "raw")
    expansion = {"strategy": "fixed", "attend": False, "length": 19}
    encoder = encoder_of(
        modules=[
            transformer(tmp_path / "raw", query_expansion=expansion, document_length=37),
            dense(32, DIM),
            mask(skiplist_words=list(string.punctuation)),
            normalize(),
        ],
        similarity_fn_name=similarity,
        prompts={"query": "search query: ", "document": "text: "},
    )
    encoder.save(str(tmp_path / "folder"))
    queries, documents = compare(tmp_path / "folder", encoder)
    scores = encoder.similarity(list(map(torch.tensor, queries)), list(map(torch.tensor, documents))).numpy()
    pairs = [[QUERIES[i % len(QUERIES)], text] for i, text in enumerate(TEXTS)]
    lines = inlay_lines("rerank", tmp_path / "folder", pairs, ["--pairs"])
    for i, line in enumerate(lines):
        wanted = scores[i % len(QUERIES), i]
        assert abs(line["score"] - wanted) <= 1e-5 * max(1, abs(wanted))
    ranked = inlay_lines("rerank", tmp_path / "folder", TEXTS, ["--query", QUERIES[2]])
    assert [line["text"] for line in ranked] == [TEXTS[line["index"]] for line in ranked]
    got = np.array([line["score"] for line in ranked])
    wanted = np.array([scores[2, line["index"]] for line in ranked])
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert list(got) == sorted(got, reverse=True)


def bge_m3_folder(folder, half=False):
    """bge-m3's layout: XLM-R, cls pooling and Normalize, and two linear modules saved by torch beside them."""
    tokenizer, model = make(folder, "xlm-roberta-cls", "XLMRoberta")
    for name in ["modules.json", "1_Pooling", "2_Normalize"]:
        source = ROOT / "tests/golden/models/xlm-roberta-cls" / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copy(source, folder / name)
    torch.manual_seed(11)
    sparse, colbert = torch.nn.Linear(32, 1), torch.nn.Linear(32, 32)
    if half:
        sparse, colbert = sparse.half(), colbert.half()
    torch.save(sparse.state_dict(), folder / "sparse_linear.pt")
    torch.save(colbert.state_dict(), folder / "colbert_linear.pt")
    return tokenizer, model.double(), sparse.double(), colbert.double()


def flag_embedding(tokenizer, model, sparse, colbert, text):
    """FlagEmbedding's BGEM3FlagModel (inference/embedder/encoder_only/m3.py, finetune .../m3/modeling.py)."""
    inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        hidden = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state[0]
        dense = torch.nn.functional.normalize(hidden[0], dim=-1).numpy()
        weights = torch.relu(sparse(hidden))[:, 0].tolist()
        vectors = torch.nn.functional.normalize(colbert(hidden[1:]), dim=-1).numpy()
    special = tokenizer.special_tokens_map
    unused = {
        tokenizer.convert_tokens_to_ids(special[name])
        for name in ["cls_token", "eos_token", "pad_token", "unk_token"]
        if name in special
    }
    lexical = {}
    for token, weight in zip(inputs["input_ids"][0].tolist(), weights, strict=True):
        if token not in unused and weight > lexical.get(token, 0):
            lexical[token] = weight
    return dense, lexical, vectors


def assert_sparse(line, expected):
    assert line["indices"] == sorted(expected)
    for index, value in zip(line["indices"], line["values"], strict=True):
        assert abs(value - expected[index]) <= 1e-5 * max(1, expected[index])


@pytest.mark.parametrize("device", ["ref", "cpu"])
@pytest.mark.parametrize("half", [False, True])
def test_bge_m3(tmp_path, half, device):
    parts = bge_m3_folder(tmp_path / "folder", half)
    folder, options = tmp_path / "folder", ["--device", device]
    joint = inlay_lines("embed", folder, TEXTS, ["--with", "sparse,late", *options])
    dense = inlay_lines("embed", folder, TEXTS, options)
    sparse = inlay_lines("sparse", folder, TEXTS, options)
    late = inlay_lines("late", folder, TEXTS, options)
    for i, text in enumerate(TEXTS):
        vector, lexical, vectors = flag_embedding(*parts, text)
        assert np.abs(np.array(joint[i]["embedding"]) - vector).max() <= 1e-5
        assert_sparse(joint[i], lexical)
        assert_close([joint[i]], [vectors], [text])
        # One pass gives to the bit what each task gives alone.
        for name, alone in [("embedding", dense), ("indices", sparse), ("values", sparse), ("vectors", late)]:
            assert joint[i][name] == alone[i][name], (name, text)
    for words, names in [("sparse", {"indices", "values"}), ("late", {"vectors"})]:
        few = inlay_lines("embed", folder, TEXTS, ["--with", words, *options])
        assert set(few[0]) == {"index", "embedding", "tokens", "truncated", "prompt"} | names
        assert all(few[i][name] == joint[i][name] for i in range(len(TEXTS)) for name in names | {"embedding"})
    # FlagEmbedding's colbert_score: the mean over the query's tokens.
    query = flag_embedding(*parts, QUERIES[2])[2]
    for line in inlay_lines("rerank", folder, TEXTS, ["--query", QUERIES[2], *options]):
        document = flag_embedding(*parts, line["text"])[2]
        assert abs(line["score"] - (query @ document.T).max(1).mean()) <= 1e-5


def test_token_classifier_of_gte(tmp_path):
    """gte-multilingual-base: NewForTokenClassification with one label, whose relu is a token's weight
    (scripts/gte_embedding.py of its repository)."""
    folder = tmp_path / "folder"
    tokenizer, model = make(folder, "gte-cls", "Gte", "Model") if hasattr(transformers, "GteModel") else (None, None)
    if model is None:
        pytest.skip("this transformers has no Gte")
    tensors = {"new." + name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    torch.manual_seed(13)
    head = torch.nn.Linear(32, 1)
    tensors |= {"classifier.weight": head.weight.detach(), "classifier.bias": head.bias.detach()}
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["NewForTokenClassification"]}))
    for line, text in zip(inlay_lines("sparse", folder, TEXTS, []), TEXTS, strict=True):
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            hidden = model.double()(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state[0]
            weights = torch.relu(head.double()(hidden))[:, 0].tolist()
        special = {tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
        expected = {}
        for token, weight in zip(inputs["input_ids"][0].tolist(), weights, strict=True):
            if token not in special and weight > expected.get(token, 0):
                expected[token] = weight
        assert_sparse(line, expected)

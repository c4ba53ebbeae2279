"""jina-embeddings-v3's low-rank adapters, which the Hub's checkpoint holds as parametrizations: a random model of that
layout, each of its tasks and none, against transformers' JinaEmbeddingsV3Model in float64 with the product added to the
weights. The product is W + B A * alpha / rank for a linear layer, W + A B * alpha / rank for an embedding, as in
jinaai/xlm-roberta-flash-implementation's modeling_lora.py and vLLM's jina_merge_lora_weights.
"""

import json
import random
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT, inlay_lines
from families import shake
from families._layouts import edit_config
from families.xlm_roberta_flash import rotary_config, save_rotary
from safetensors.torch import load_file, save_file
from test_heads import DRIVER, LENGTHS, VOCABULARY
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model, PreTrainedTokenizerFast

TASKS = ["retrieval.query", "retrieval.passage", "separation"]
ALPHA, RANK = 2, 5


def parametrize(folder):
    """Every matrix gets its adapters. Returns what each task adds, by the tensor's name."""
    tensors = load_file(folder / "model.safetensors")
    parametrized, added = {}, {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            parametrized[name] = tensor
            continue
        rows, columns = tensor.shape
        left, right = torch.randn(len(TASKS), rows, RANK) * 0.1, torch.randn(len(TASKS), RANK, columns) * 0.1
        place = name.removesuffix("weight") + "parametrizations.weight."
        a, b = (left, right) if "embeddings" in name else (right, left)
        parametrized |= {place + "original": tensor, place + "0.lora_A": a, place + "0.lora_B": b}
        added[name] = left.double() @ right.double() * ALPHA / RANK
    save_file(parametrized, folder / "model.safetensors")
    return added


def reference(folder, original, added, task):
    """The model with the task's product added, by way of the same layout without parametrizations."""
    merged = {}
    for name, tensor in original.items():
        extra = added[name][TASKS.index(task)] if task and name in added else 0
        merged[name.removeprefix("roberta.")] = tensor.double() + extra
    model = JinaEmbeddingsV3Model.from_pretrained(folder, add_pooling_layer=False).double().eval()
    width = model.config.hidden_size
    spelled = {}
    for name, tensor in merged.items():
        name = name.replace("emb_ln", "embeddings.LayerNorm").replace("encoder.layers", "layers")
        name = name.replace("norm1", "post_attention_layernorm").replace("norm2", "post_mlp_layernorm")
        name = name.replace("mixer.out_proj", "self_attn.o_proj")
        if "mixer.Wqkv" in name:
            for i, part in enumerate("qkv"):
                spelled[name.replace("mixer.Wqkv", f"self_attn.{part}_proj")] = tensor[i * width : (i + 1) * width]
        else:
            spelled[name] = tensor
    model.load_state_dict(spelled, strict=True)
    return model


INSTRUCTIONS = {"retrieval.query": "query: ", "retrieval.passage": "a passage of text: ", "separation": ""}
TEXTS = ["", "the quick brown fox", "river bank, river bank", "word " * 9]


def save_folder(folder, plain, prompts_in="config.json"):
    """A folder as the Hub's, with a tokenizer and sentence-transformers' modules. Returns what reference() wants."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(ROOT / "tests/golden/models/jina-v3-mean")
    torch.manual_seed(5)
    config = JinaEmbeddingsV3Config(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        intermediate_size=40,
        max_position_embeddings=64,
        type_vocab_size=1,
        initializer_range=0.3,
        rope_parameters={"rope_type": "default", "rope_theta": 20000.0},
    )
    model = shake(JinaEmbeddingsV3Model(config, add_pooling_layer=False).eval())
    model.save_pretrained(plain)
    save_rotary(model, folder, "hub")
    original = load_file(folder / "model.safetensors")
    edit_config(folder, lora_adaptations=TASKS, lora_rank=RANK, lora_alpha=ALPHA)
    if prompts_in == "config.json":
        edit_config(folder, task_instructions=INSTRUCTIONS)
    else:
        (folder / prompts_in).write_text(json.dumps({"prompts": INSTRUCTIONS, "default_prompt_name": None}) + "\n")
    added = parametrize(folder)
    tokenizer.save_pretrained(folder)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(modules)
    ]
    modules[0]["type"] = "custom_st.Transformer"  # as the Hub's
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling) + "\n")
    return tokenizer, original, added


@pytest.mark.parametrize("prompts_in", ["config.json", "config_sentence_transformers.json"])
def test_the_adapter_and_its_prompt(prompts_in, tmp_path):
    """As AutoModel's encode(task=...) of the Hub's code: the adapter's product, and its instruction before the text."""
    folder, plain = tmp_path / "hub", tmp_path / "plain"
    tokenizer, original, added = save_folder(folder, plain, prompts_in)
    query, passage, other = TASKS
    for arguments, adapter, prompt in [
        ([], None, None),
        (["--adapter", query], query, query),
        (["--as", "query"], query, query),
        (["--as", "document"], passage, passage),
        (["--adapter", other], other, None),
        (["--adapter", passage, "--prompt", "none"], passage, None),
        (["--adapter", other, "--prompt", query], other, query),
        (["--adapter", other, "--as", "query"], other, query),
    ]:
        model = reference(plain, original, added, adapter)
        report = tmp_path / "report.json"
        lines = inlay_lines("embed", folder, TEXTS, [*arguments, "--report", str(report)])
        assert json.loads(report.read_text())["adapter"] == (adapter or "")
        for text, line in zip(TEXTS, lines, strict=True):
            ids = tokenizer(
                (INSTRUCTIONS[prompt] if prompt else "") + text, truncation=True, max_length=48, return_tensors="pt"
            )["input_ids"]
            with torch.no_grad():
                mean = model(ids).last_hidden_state[0].mean(0)
            expected = (mean / mean.norm()).numpy()
            assert np.abs(np.array(line["embedding"]) - expected).max() <= 1e-5, arguments
            assert (line["prompt"], line["tokens"]) == (prompt, ids.shape[1])


def ask(folder, device, texts, *adapter):
    lines = "".join(" ".join(map(str, ids)) + "\n" for ids in texts)
    return subprocess.run([DRIVER, folder, "hidden", device, *adapter], input=lines, capture_output=True, text=True)


@pytest.mark.parametrize("seed", range(2))
def test_adapters_are_merged(seed, tmp_path):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    plain, hub = tmp_path / "plain", tmp_path / "hub"
    model = shake(JinaEmbeddingsV3Model(rotary_config(rng, VOCABULARY), add_pooling_layer=False).eval())
    model.save_pretrained(plain)
    save_rotary(model, hub, "hub")
    original = load_file(hub / "model.safetensors")
    edit_config(hub, lora_adaptations=TASKS, lora_rank=RANK, lora_alpha=ALPHA)
    added = parametrize(hub)
    texts = [[rng.randrange(VOCABULARY) for _ in range(length)] for length in LENGTHS]
    seen = []
    for task in [None, *TASKS]:
        merged = reference(plain, original, added, task)
        with torch.no_grad():
            expected = np.stack([merged(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy() for ids in texts])
        for device in ["ref", "cpu"]:
            done = ask(hub, device, texts, *([task] if task else []))
            assert done.returncode == 0, done.stderr
            got = np.array([[float(x) for x in line.split()] for line in done.stdout.splitlines()])
            error = np.abs(got - expected) / np.maximum(1, np.abs(expected))
            assert error.max() <= 1e-5, f"{device} {task}: {error.max():.3e}"
        seen.append(expected)
    assert all(np.abs(a - b).max() > 1e-2 for i, a in enumerate(seen) for b in seen[:i])


def test_adapters_that_are_not_there(tmp_path):
    rng = random.Random(0)
    model = JinaEmbeddingsV3Model(rotary_config(rng, VOCABULARY), add_pooling_layer=False).eval()
    save_rotary(model, tmp_path, "hub")
    done = ask(tmp_path, "ref", [[2, 3]], "separation")
    assert done.returncode == 2
    assert "it has none" in done.stderr and "separation" in done.stderr
    edit_config(tmp_path, lora_adaptations=TASKS, lora_rank=RANK, lora_alpha=ALPHA)
    parametrize(tmp_path)
    done = ask(tmp_path, "ref", [[2, 3]], "translation")
    assert done.returncode == 2
    assert all(name in done.stderr for name in [*TASKS, "translation"])

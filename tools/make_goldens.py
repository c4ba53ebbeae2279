#!/usr/bin/env python3
"""Makes the tiny models and golden vectors that tests/golden compares with.

Models are random, a few tens of kilobytes each, written by transformers and sentence-transformers; the expected
vectors come from them in float32 on the CPU. Run in the oracle environment (./test --oracles does):

    python tools/make_goldens.py --out tests/golden            # rewrite the committed files
    python tools/make_goldens.py --out tests/golden --only NAME...
    python tools/make_goldens.py --out DIR --check tests/golden  # remake elsewhere and compare
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np  # noqa: E402
import sentence_transformers  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from goldens import CASES  # noqa: E402
from goldens.common import TEXTS  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402


def tiny_model(case, fast):
    roberta = case["family"] != "Bert"
    config = dict(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66 if roberta else 64,
        type_vocab_size=1 if roberta else 2,
        pad_token_id=fast.pad_token_id,
        initializer_range=0.3,
    )
    config.update(case.get("config", {}))
    config = getattr(transformers, case["family"] + "Config")(**config)
    return getattr(transformers, case["family"] + "Model")(config, add_pooling_layer=False).eval()


def build_transformer(name, case, folder, committed):
    tokenizer, names = case["tokenizer"]()
    if committed:  # the trainers break ties by hash order: the vocabulary is data, what is checked are the vectors
        tokenizer = Tokenizer.from_file(str(committed / "models" / name / "tokenizer.json"))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names)
    torch.manual_seed(sum(ord(c) for c in name))
    model = case["model"](fast) if "model" in case else tiny_model(case, fast)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases and norms away from their trivial start
                parameter.add_(torch.randn_like(parameter) * 0.1)
    fast.save_pretrained(folder)
    model.save_pretrained(folder, max_shard_size="20KB" if case.get("sharded") else "1GB")


def build_modules(case, folder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, Transformer

    transformer = Transformer(str(folder), max_seq_length=48)
    parts = [transformer]
    width = transformer.get_word_embedding_dimension()
    for spec in case["modules"]:
        if spec == "normalize":
            parts.append(Normalize())
        elif spec.startswith("dense"):
            _, out, activation = spec.split(":")
            torch.manual_seed(int(out))
            parts.append(Dense(width, int(out), activation_function=getattr(torch.nn, activation)()))
            width = int(out)
        else:
            modes = spec.split("+")
            parts.append(
                Pooling(
                    width,
                    pooling_mode=modes if len(modes) > 1 else modes[0],
                    include_prompt=case.get("include_prompt", True),
                )
            )
            width *= len(modes)
    model = SentenceTransformer(modules=parts, prompts=case.get("prompts"), device="cpu")
    return model.eval()


def golden(model, case, texts):
    runs = []
    requests = [{}] + ([{"prompt": name} for name in case["prompts"]] if "prompts" in case else [])
    requests.append({"dimensions": 8})
    requests.append({"max_length": 16})
    for request in requests:
        transformer = model[0]
        transformer.max_seq_length = request.get("max_length", 48)
        chosen = dict(prompt_name=request["prompt"]) if "prompt" in request else dict(prompt="")
        vectors = []
        counts = []
        for text in texts:  # one at a time: no padding, no neighbours
            vector = model.encode([text], convert_to_numpy=True, truncate_dim=request.get("dimensions"), **chosen)[0]
            vector = vector.astype(np.float64)
            if "dimensions" in request and case["modules"][-1] == "normalize":  # cut, then normalise
                vector = vector / max(np.linalg.norm(vector), 1e-12)
            vectors.append([float(str(np.float32(v))) for v in vector])  # shortest digits of a float32
            prompt = case.get("prompts", {}).get(request.get("prompt"), "")
            counts.append(
                len(
                    transformer.tokenizer(prompt + text, truncation=True, max_length=transformer.max_seq_length)[
                        "input_ids"
                    ]
                )
            )
        runs.append({"request": request, "tokens": counts, "vectors": vectors})
    return runs


def make(out, committed=None, only=None):
    for name, case in CASES.items():
        if only and name not in only:
            continue
        folder = out / "models" / name
        raw = out / "raw" / name
        for stale in (folder, raw):
            shutil.rmtree(stale, ignore_errors=True)
            stale.mkdir(parents=True)
        build_transformer(name, case, raw, committed)
        model = build_modules(case, raw)
        if case.get("sharded"):
            model.save(str(folder), create_model_card=False)
            for file in raw.glob("model*"):
                shutil.copy(file, folder / file.name)
            if (folder / "model.safetensors.index.json").exists():
                (folder / "model.safetensors").unlink(missing_ok=True)
        else:
            model.save(str(folder), create_model_card=False)
        runs = golden(model, case, TEXTS)
        record = {
            "model": name,
            "reference": {
                "transformers": transformers.__version__,
                "sentence_transformers": sentence_transformers.__version__,
                "tokenizers": tokenizers.__version__,
                "torch": torch.__version__.split("+")[0],
            },
            "texts": TEXTS,
            "runs": runs,
        }
        cases = out / "cases"
        cases.mkdir(exist_ok=True)
        (cases / f"{name}.json").write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
        print(name, len(runs), "runs")
    shutil.rmtree(out / "raw", ignore_errors=True)


def check(made, committed):
    """The remade vectors agree with the committed ones: the reference has not moved."""
    worst = 0.0
    for path in sorted((committed / "cases").glob("*.json")):
        old = json.loads(path.read_text())
        new = json.loads((made / "cases" / path.name).read_text())
        if old["texts"] != new["texts"] or len(old["runs"]) != len(new["runs"]):
            sys.exit(f"{path.name}: the cases differ; remake them with --out tests/golden")
        for a, b in zip(old["runs"], new["runs"]):
            if a["tokens"] != b["tokens"]:
                sys.exit(f"{path.name}: token counts differ in {a['request']}")
            worst = max(worst, float(np.abs(np.array(a["vectors"]) - np.array(b["vectors"])).max()))
    if worst > 1e-5:
        sys.exit(f"remade vectors differ from the committed ones by {worst}")
    print(f"remade goldens agree with the committed ones: largest difference {worst:.2e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--check", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", help="names of cases; all by default")
    arguments = parser.parse_args()
    make(arguments.out, arguments.check, arguments.only)
    if arguments.check:
        check(arguments.out, arguments.check)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes the transformer of a sentence-transformers folder as ONNX fp32: the peer's file of bench/compare.py.

Inputs input_ids, attention_mask and, where the model has them, token_type_ids, int64 [batch, sequence], both dynamic;
one float32 output, by --head:

    hidden      last_hidden_state [batch, sequence, hidden]
    logits      of a masked language model [batch, sequence, vocabulary], of a classifier [batch, labels]
    vocabulary  [batch, vocabulary]: log1p of the maximum over a text's tokens of the logits, where above 0 (SPLADE)

The file is run by onnxruntime on several shapes and compared with torch before it is kept. --fuse lets onnxruntime's
own transformer optimizer rewrite the graph first, which is how its users get the most out of it; --int8 then quantises
it dynamically, and says how far that went from torch. Runs in the oracle environment (tests/oracles/requirements.txt).
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

MAX_ABS = 2e-5  # of values of order 1, twelve layers of fp32 summed in another order; larger ones: relative
OUTPUTS = {"hidden": "last_hidden_state", "logits": "logits", "vocabulary": "weights"}


def load(folder: Path, head: str):
    """(module of positional inputs, configuration, names of the inputs)"""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore")  # about tracing: the check below is what decides
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModel
    if head != "hidden":
        classifier = any(name.endswith("SequenceClassification") for name in config.architectures)
        kind = transformers.AutoModelForSequenceClassification if classifier else transformers.AutoModelForMaskedLM
    # Written-out attention: the exporter's own fused form differs between opsets.
    model = kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    names = ["input_ids", "attention_mask"]
    if getattr(config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")

    class Trunk(torch.nn.Module):
        """Keyword inputs in the order of `names`; only what the head reads comes out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *given):
            out = self.model(**dict(zip(names, given)))
            if head == "hidden":
                return out.last_hidden_state
            if head == "logits":
                return out.logits
            # What is below zero goes anyway: padding at zero does not raise the maximum.
            return torch.log1p((torch.relu(out.logits) * given[1].unsqueeze(-1).to(torch.float32)).amax(1))

    return Trunk().eval(), config, names


def inputs(config, names: list[str], batch: int, sequence: int, seed: int):
    """Random ids; every second text is padded over its last third."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, config.vocab_size, (batch, sequence), generator=generator)
    mask = torch.ones_like(ids)
    mask[1::2, sequence - sequence // 3 :] = 0
    # Padding carries the model's own id: families that count positions from it look at nothing else.
    ids[mask == 0] = config.pad_token_id or 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}, names


def export(folder: Path, target: Path, head: str, opset: int) -> None:
    import torch

    model, config, names = load(folder, head)
    example, _ = inputs(config, names, 2, 16, 0)
    axes = {name: {0: "batch", 1: "sequence"} for name in names} | {OUTPUTS[head]: {0: "batch", 1: "sequence"}}
    if head == "vocabulary" or config.architectures[0].endswith("Classification"):
        axes[OUTPUTS[head]] = {0: "batch"}
    with torch.inference_mode():
        torch.onnx.export(
            model,
            tuple(example[name] for name in names),
            str(target),
            input_names=names,
            output_names=[OUTPUTS[head]],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )


def fuse(folder: Path, target: Path, head: str) -> None:
    """Rewrites target with onnxruntime's fused attention, layer norm and GELU."""
    from onnxruntime.transformers import optimizer

    _, config, _ = load(folder, head)
    fused = optimizer.optimize_model(
        str(target),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
        opt_level=1,
    )
    fused.save_model_to_file(str(target))
    print("fused:", {name: count for name, count in fused.get_fused_operator_statistics().items() if count})


def quantize(target: Path) -> None:
    """Rewrites target with int8 weights and activations quantised as they come."""
    import logging

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises a pre-processing that --fuse has done
    plain = target.with_suffix(".fp32.onnx")
    target.rename(plain)
    # Shape inference does not see through fused nodes.
    options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(plain, target, weight_type=QuantType.QInt8, extra_options=options)
    plain.unlink()


def check(folder: Path, target: Path, head: str) -> float:
    """Largest difference between onnxruntime and torch over rows that are not padding, in units of the largest value
    where that is above 1."""
    import numpy as np
    import onnxruntime
    import torch

    model, config, names = load(folder, head)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    positions = config.max_position_embeddings - (config.pad_token_id + 1 if config.model_type != "bert" else 0)
    worst = 0.0
    for seed, (batch, sequence) in enumerate([(1, 1), (1, 7), (3, 33), (2, 128), (8, 16), (1, 512)]):
        given, _ = inputs(config, names, batch, min(sequence, positions), seed + 1)
        given = {name: given[name] for name in names}
        with torch.inference_mode():
            wanted = model(*given.values()).numpy()
        (got,) = session.run([OUTPUTS[head]], {name: value.numpy() for name, value in given.items()})
        if got.ndim == 3:
            real = given["attention_mask"].numpy().astype(bool)
            wanted, got = wanted[real], got[real]
        worst = max(worst, float(np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder in Hugging Face form")
    parser.add_argument("target", type=Path, help="the .onnx to write")
    parser.add_argument("--head", choices=OUTPUTS, default="hidden")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--fuse", action="store_true", help="rewrite with onnxruntime's transformer optimizer")
    parser.add_argument("--int8", action="store_true", help="quantise dynamically")
    args = parser.parse_args()
    if not (args.model / "config.json").is_file():
        sys.exit(f"{args.model}: expected a model folder with config.json.")

    args.target.parent.mkdir(parents=True, exist_ok=True)
    part = args.target.with_suffix(".part.onnx")
    export(args.model, part, args.head, args.opset)
    if args.fuse:
        fuse(args.model, part, args.head)
    worst = check(args.model, part, args.head)
    if not worst <= MAX_ABS:
        sys.exit(f"{part}: onnxruntime and torch differ by {worst:.2e}, over {MAX_ABS:.0e}. The file is not kept.")
    if args.int8:
        quantize(part)
        worst = check(args.model, part, args.head)
    part.rename(args.target)
    print(f"{args.target}: {args.target.stat().st_size / 2**20:.1f} MiB, max-abs to torch {worst:.2e}")


if __name__ == "__main__":
    main()

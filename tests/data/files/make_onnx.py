#!/usr/bin/env python3
"""Writes the ONNX fixtures: one tiny BERT layer, fused by onnxruntime in half precision, and fused and quantised.

    .venv/oracles/bin/python tests/data/files/make_onnx.py

Element i of the parameter NAME is ((37 * i + the sum of NAME's bytes) % 255 - 127) / 256, which half precision holds
exactly: tests/unit/files/onnx_test.cc computes the same. Versions are those of tests/oracles/requirements.txt; other
versions of the tools may write other bytes.
"""

import pathlib
import sys
import tempfile

import onnx
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "oracles"))
import onnx_models as make  # noqa: E402


def main():
    make.HIDDEN, make.HEADS, make.LAYERS, make.WIDE, make.VOCAB, make.POSITIONS = 8, 2, 1, 12, 20, 16
    model = make.make_model("bert")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            steps = torch.arange(parameter.numel()) * 37 + sum(name.encode())
            parameter.copy_(((steps % 255 - 127) / 256).reshape(parameter.shape))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make.export(model, "bert", folder / "model.onnx")
        make.fuse(folder / "model.onnx", folder / "half.onnx", half=True, approximate_gelu=True)
        make.fuse(folder / "model.onnx", folder / "fused.onnx")
        make.quantise(folder / "fused.onnx", folder / "int8.onnx", per_channel=True)
        for name in ("half", "int8"):
            graph = onnx.load(folder / f"{name}.onnx")
            del graph.graph.value_info[:]
            onnx.save(graph, HERE / f"bert_{name}.onnx")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the checkpoints beside this file with torch.save: python tests/data/files/make.py (oracle environment).

Tensors hold 0, 1, 2, ... so that the tests need no second copy of them. Remade files differ in the serial number that
torch writes into each archive, in nothing else.
"""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent
TYPES = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f64": torch.float64,
    "i8": torch.int8,
    "u8": torch.uint8,
    "i16": torch.int16,
    "i32": torch.int32,
    "i64": torch.int64,
    "bool": torch.bool,
}


def floats(*shape):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def main():
    mixed = collections.OrderedDict()
    mixed["a.weight"] = floats(2, 3)
    mixed["transposed"] = floats(2, 3).t()
    for name, dtype in TYPES.items():
        mixed[name] = torch.arange(3).to(dtype)
    mixed["scalar"] = torch.tensor(2.5)
    mixed["empty"] = torch.zeros(0, 4)
    mixed["parameter"] = torch.nn.Parameter(floats(2))
    base = floats(10)
    mixed["slice"], mixed["every_second"] = base[2:5], base[::2]
    mixed["tied"] = mixed["a.weight"]
    torch.save(mixed, HERE / "mixed.bin")

    linear = torch.nn.Linear(2, 3)
    linear.load_state_dict({"weight": floats(3, 2), "bias": floats(3)})
    torch.save(linear.state_dict(), HERE / "linear.bin")  # an OrderedDict with _metadata
    torch.save({"x": torch.zeros(1).expand(1000)}, HERE / "expanded.bin")

    # Refused.
    torch.save(linear, HERE / "refused_module.bin")
    torch.save(linear.state_dict(), HERE / "refused_legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(linear.state_dict(), HERE / "refused_protocol.bin", pickle_protocol=4)
    torch.save({"x": torch.zeros(2, dtype=torch.uint16)}, HERE / "refused_dtype.bin")
    torch.save({"step": 1, "x": torch.zeros(1)}, HERE / "refused_number.bin")
    torch.save([torch.zeros(1)], HERE / "refused_list.bin")


if __name__ == "__main__":
    main()

"""Saved models in another spelling: configs and tensors renamed as the Hub's files have them."""

import json
import re

import torch
from safetensors.torch import load_file, save_file


def edit_config(folder, remove=(), **members):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in remove:
        config.pop(name, None)
    config.update(members)
    path.write_text(json.dumps(config))


def rename_tensors(folder, *pairs):
    """Each pair is a regular expression and its replacement, in order."""
    path = folder / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(path).items():
        for pattern, replacement in pairs:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    save_file(renamed, path)


def split_tensors(folder, pattern, *names):
    """A tensor whose name matches becomes as many equal blocks of rows, the match replaced by each name."""
    path = folder / "model.safetensors"
    tensors = {}
    for name, tensor in load_file(path).items():
        if re.search(pattern, name):
            for part, block in zip(names, tensor.chunk(len(names))):
                tensors[re.sub(pattern, part, name)] = block.contiguous()
        else:
            tensors[name] = tensor
    save_file(tensors, path)


def join_tensors(folder, joined, *names):
    """The other way round: tensors whose names differ in these parts become one, in this order, with `joined` there."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    first = [name for name in tensors if names[0] in name]
    for name in first:
        parts = [tensors.pop(name.replace(names[0], other)) for other in names]
        tensors[name.replace(names[0], joined)] = torch.cat(parts)
    save_file(tensors, path)

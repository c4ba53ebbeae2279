"""What a family gives to test_families.py."""

import dataclasses
from collections.abc import Callable

import torch


@dataclasses.dataclass
class Drawn:
    """One random model: how to save it as a folder, and its last hidden state in float64."""

    save: Callable  # folder ->
    hidden: Callable  # ids [1, tokens] -> [1, tokens, hidden_size], float64
    max_length: int
    note: str  # the configuration, for messages
    tolerance: float = 1e-5  # of max(1, |x|)
    model: object = None  # what `save` saves, for families that save it in another spelling


def shake(model):
    """Biases and norms away from their trivial start."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def from_transformers(config, model_class, max_length, **arguments):
    model = shake(model_class(config, **arguments).eval().float())

    def hidden(ids):
        return model.double()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state

    def save(folder):
        model.float().save_pretrained(folder)

    return Drawn(save, hidden, max_length, str(config.to_diff_dict()), model=model)

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


def spread(hidden_size):
    """An initializer_range: wide layers of large weights make scores so sharp that transformers itself is off by more
    than 1e-5 in float32 (4e-5 at width 128 and 0.2)."""
    return min(0.2, 1.4 / hidden_size**0.5)


def from_transformers(config, model_class, max_length, **arguments):
    model = shake(model_class(config, **arguments).eval().float())

    def hidden(ids):
        return model.double()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state

    def save(folder):
        model.float().save_pretrained(folder)

    return Drawn(save, hidden, max_length, str(config.to_diff_dict()), model=model)


def head_of(config, classes, head, save=None):
    """A Drawn for test_heads.py. `classes` maps the head's name to its transformers class; `save(model, folder)`."""
    if head not in classes:
        return None
    if head == "classifier":
        config.num_labels = 1 if config.hidden_size % 3 else 3
    model = shake(classes[head](config).eval().float())

    def outputs(ids):
        logits = model.double()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        if head == "masked_lm":
            return torch.log1p(torch.relu(logits)).max(0).values
        return logits[-1] if head == "causal_lm" else logits

    def write(folder):
        model.float()
        if save is None:
            model.save_pretrained(folder)
        else:
            save(model, folder)

    return Drawn(write, outputs, 10**6, f"{head} {config.to_diff_dict()}", model=model)

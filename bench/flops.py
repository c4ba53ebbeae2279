"""Floating-point operations of an encoder of the BERT family over texts of given lengths. Standard library only.

A multiply-add is two. Only matrix products are counted, which is what the register-only peak can be compared with:
per layer and token 8 H^2 for queries, keys, values and output and 4 H F for the feed-forward, per text 4 S^2 H for
attention, 2 H^2 + 2 H V a token for a vocabulary head. Padding is never counted.
"""

FAMILY = ("bert", "roberta", "xlm-roberta")
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}


def encoder(config: dict, task: str, pooling: str, lengths: list[int], skips_rows: bool) -> float | None:
    """Operations that run over these texts; None for families that are not counted here. `skips_rows`: of the last
    layer only the first row is computed where the head reads no other (Inlay does so, the peers do not)."""
    if config.get("model_type") not in FAMILY:
        return None
    h, f, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens, squares, texts = sum(lengths), sum(length * length for length in lengths), len(lengths)
    whole = tokens * (8 * h * h + 4 * h * f) + 4 * squares * h
    first_row = tokens * 4 * h * h + texts * (4 * h * h + 4 * h * f) + 4 * tokens * h
    one_row = skips_rows and (task == "rerank" or (task == "embed" and pooling == "cls"))
    flops = (layers - 1) * whole + (first_row if one_row else whole)
    if task == "sparse":
        flops += tokens * (2 * h * h + 2 * h * config["vocab_size"])
    if task == "rerank":
        flops += texts * 2 * h * (h + 1)
    return float(flops)


def weight_bytes(config: dict, task: str, precision: str) -> int | None:
    """Bytes of the matrices that one text has to read, embedding tables left out."""
    if config.get("model_type") not in FAMILY:
        return None
    h, f = config["hidden_size"], config["intermediate_size"]
    count = config["num_hidden_layers"] * (4 * h * h + 2 * h * f)
    if task == "sparse":
        count += h * h + h * config["vocab_size"]
    return count * BYTES[precision]

"""Llama: biases, grouped heads; bidirectional under the model type and the member that embedders use."""

import json
import pathlib

from decoders import draw_rope, draw_sizes, drawn
from transformers import LlamaConfig, LlamaModel


def draw(rng, vocab_size):
    config = LlamaConfig(
        **draw_sizes(rng, vocab_size),
        rope_parameters=draw_rope(rng),
        attention_bias=rng.random() < 0.3,
        mlp_bias=rng.random() < 0.3,
    )
    spelling = rng.choice(["causal", "is_causal", "use_bidirectional_attention", "llama_bidirec"])
    config.is_causal = spelling == "causal"
    result = drawn(rng, config, LlamaModel, 128)
    save = result.save

    def save_respelled(folder):
        save(folder)
        path = pathlib.Path(folder, "config.json")
        values = json.loads(path.read_text())
        if spelling != "is_causal":
            values.pop("is_causal", None)
        if spelling == "llama_bidirec":
            values["model_type"] = spelling
        elif spelling == "use_bidirectional_attention":
            values[spelling] = True
        path.write_text(json.dumps(values))

    result.save = save_respelled
    result.note += " " + spelling
    return result

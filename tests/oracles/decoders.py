"""What the decoder families share: saving a config in the spelling of older transformers."""

import json
import pathlib

from families import from_transformers


def drawn(rng, config, model_class, max_length, old_spelling=None):
    """eager: sdpa takes a causal kernel for a mask that is empty, whatever is_causal in the config says."""
    config._attn_implementation = "eager"
    result = from_transformers(config, model_class, max_length)
    save = result.save
    old = rng.random() < 0.5

    def save_in_either_spelling(folder):
        save(folder)
        if old:
            path = pathlib.Path(folder, "config.json")
            values = json.loads(path.read_text())
            (old_spelling or flat_rope)(values)
            path.write_text(json.dumps(values))

    result.save = save_in_either_spelling
    result.note += " in the old spelling" if old else ""
    return result


def flat_rope(values):
    """rope_parameters -> rope_theta, rope_scaling; layer_types -> the rule it came from."""
    rope = values.pop("rope_parameters")
    values["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    values["rope_scaling"] = {"type": kind, **rope} if kind != "default" else None
    values.pop("layer_types", None)


def draw_rope(rng):
    theta = rng.choice([1e4, 1e6])
    return rng.choice(
        [
            {"rope_type": "default", "rope_theta": theta},
            {"rope_type": "linear", "rope_theta": theta, "factor": 2.5},
            {"rope_type": "dynamic", "rope_theta": theta, "factor": 2.0},
            {"rope_type": "yarn", "rope_theta": theta, "factor": 4.0, "original_max_position_embeddings": 32},
            {
                "rope_type": "llama3",
                "rope_theta": theta,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        ]
    )


def draw_sizes(rng, vocab_size):
    kv_heads = rng.choice([1, 2, 3])
    heads = kv_heads * rng.choice([1, 2, 4])
    return dict(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([4, 8, 10]),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        max_position_embeddings=128,
        rms_norm_eps=rng.choice([1e-6, 1e-5]),
        initializer_range=0.1,  # wider ones make float32 itself, transformers' too, stray by 2e-5
    )

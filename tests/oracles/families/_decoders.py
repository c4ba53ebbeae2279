"""What the decoder families share: sizes, rope kinds, configs in the spelling of older transformers."""

import json
import pathlib

from families import from_transformers, head_of


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
        pad_token_id=None,  # else a classifier reads the last token that is another
        bos_token_id=None,
        eos_token_id=None,
        initializer_range=0.1,  # wider ones make float32 itself, transformers' too, stray by 2e-5
    )


def flat_rope(values):
    """rope_parameters -> rope_theta, rope_scaling; layer_types -> the rule it came from."""
    rope = values.pop("rope_parameters")
    values["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    values["rope_scaling"] = {"type": kind, **rope} if kind != "default" else None
    values.pop("layer_types", None)


def eager(config):
    """sdpa takes its causal kernel for a mask that is empty, whatever is_causal in the config says."""
    config._attn_implementation = "eager"
    return config


def respelled(drawn, change):
    """The config is changed after it was saved."""
    save = drawn.save

    def save_and_change(folder):
        save(folder)
        path = pathlib.Path(folder, "config.json")
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    drawn.save = save_and_change
    drawn.note += f" then {change.__name__}"
    return drawn


def draw_hidden(rng, config, model_class, old_spelling=flat_rope):
    drawn = from_transformers(eager(config), model_class, 128)
    return respelled(drawn, old_spelling) if rng.random() < 0.5 else drawn


def draw_head_of(head, rng, config, classifier, causal_lm):
    config.tie_word_embeddings = rng.choice([False, True])
    return head_of(eager(config), {"classifier": classifier, "causal_lm": causal_lm}, head)

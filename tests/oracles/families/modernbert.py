"""ModernBERT: windows, layer patterns, biases, rotary bases, in transformers' present config and in the Hub's."""

from transformers import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    ModernBertModel,
)

from families import from_transformers, head_of, spread
from families._layouts import edit_config


def random_config(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    hidden = heads * rng.choice([8, 16, 20, 32])
    layers = rng.choice([1, 2, 3, 5])
    every = rng.choice([2, 3])
    base = rng.choice([500.0, 160000.0])
    bases = {"full_attention": base, "sliding_attention": rng.choice([100.0, 10000.0, base])}
    scaling = rng.choice([{"rope_type": "default"}, {"rope_type": "linear", "factor": 4.0}])
    return ModernBertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_activation=rng.choice(["gelu", "silu", "relu"]),
        max_position_embeddings=300,
        local_attention=rng.choice([2, 5, 16, 64]),
        layer_types=["full_attention" if i % every == 0 else "sliding_attention" for i in range(layers)],
        rope_parameters={kind: {"rope_theta": base, **scaling} for kind, base in bases.items()},
        norm_bias=rng.choice([False, True]),
        attention_bias=rng.choice([False, True]),
        mlp_bias=rng.choice([False, True]),
        norm_eps=rng.choice([1e-5, 1e-3]),
        initializer_range=spread(hidden),
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
    )


def draw(rng, vocab_size):
    config = random_config(rng, vocab_size)
    drawn = from_transformers(config, ModernBertModel, 300)
    if rng.random() < 0.5 and config.rope_parameters["full_attention"]["rope_type"] == "default":
        save = drawn.save
        bases = [config.rope_parameters[kind]["rope_theta"] for kind in ("full_attention", "sliding_attention")]

        def as_on_the_hub(folder):
            save(folder)
            edit_config(
                folder,
                remove=["layer_types", "rope_parameters"],
                global_attn_every_n_layers=(config.layer_types[1:] + ["full_attention"]).index("full_attention") + 1,
                global_rope_theta=bases[0],
                local_rope_theta=bases[1] if bases[1] != bases[0] else None,
            )

        drawn.save = as_on_the_hub
        drawn.note += " in the Hub's spelling"
    return drawn


def draw_head(head, rng, vocab_size):
    config = random_config(rng, vocab_size)
    config.classifier_pooling = rng.choice(["cls", "mean"])
    config.classifier_activation = rng.choice(["gelu", "relu"])
    config.classifier_bias = rng.choice([False, True])
    config.decoder_bias = rng.choice([False, True])
    config.tie_word_embeddings = rng.choice([False, True])
    classes = {"classifier": ModernBertForSequenceClassification, "masked_lm": ModernBertForMaskedLM}
    return head_of(config, classes, head)

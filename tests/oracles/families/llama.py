"""Llama: biases, grouped heads; bidirectional under the model type and the members that embedders use."""

from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel

from families._decoders import draw_head_of, draw_hidden, draw_rope, draw_sizes, respelled


def random_config(rng, vocab_size):
    return LlamaConfig(
        **draw_sizes(rng, vocab_size),
        rope_parameters=draw_rope(rng),
        attention_bias=rng.random() < 0.3,
        mlp_bias=rng.random() < 0.3,
    )


def model_type(values):
    del values["is_causal"]
    values["model_type"] = "llama_bidirec"


def bidirectional_member(values):
    del values["is_causal"]
    values["use_bidirectional_attention"] = True


def draw(rng, vocab_size):
    config = random_config(rng, vocab_size)
    spelling = rng.choice(["causal", "is_causal", model_type, bidirectional_member])
    if spelling == "causal":
        return draw_hidden(rng, config, LlamaModel)
    config.is_causal = False
    drawn = draw_hidden(rng, config, LlamaModel)
    return drawn if spelling == "is_causal" else respelled(drawn, spelling)


def draw_head(head, rng, vocab_size):
    return draw_head_of(head, rng, random_config(rng, vocab_size), LlamaForSequenceClassification, LlamaForCausalLM)

"""XLM-RoBERTa in Jina's spelling: transformers' JinaEmbeddingsV3Model, as it keeps its tensors, as it saves them and with
the config of the Hub's jina-embeddings-v3; and transformers' XLMRobertaModel with a position table, renamed as the Hub's
jina-reranker-v2 is.
"""

from transformers import (
    JinaEmbeddingsV3Config,
    JinaEmbeddingsV3ForMaskedLM,
    JinaEmbeddingsV3ForSequenceClassification,
    JinaEmbeddingsV3Model,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
)

from families import from_transformers, head_of
from families._layouts import edit_config, join_tensors, rename_tensors

HUB = {"AutoConfig": "jinaai/xlm-roberta-flash-implementation--configuration_xlm_roberta.XLMRobertaFlashConfig"}


def random_sizes(rng, vocab_size):
    heads = rng.choice([1, 2, 3, 4])
    return dict(
        vocab_size=vocab_size,
        hidden_size=heads * rng.choice([8, 16, 20, 32]),
        num_attention_heads=heads,
        num_hidden_layers=rng.choice([1, 2, 3]),
        intermediate_size=rng.choice([24, 64, 100]),
        hidden_act=rng.choice(["gelu", "gelu_new"]),
        max_position_embeddings=302,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        pad_token_id=1,
        initializer_range=0.15,
    )


def rotary_config(rng, vocab_size):
    rope = {"rope_type": "default", "rope_theta": rng.choice([1000.0, 20000.0])}
    return JinaEmbeddingsV3Config(**random_sizes(rng, vocab_size), rope_parameters=rope)


def save_rotary(model, folder, layout, prefix="roberta."):
    model.save_pretrained(folder, save_original_format=layout != "kept")
    if layout == "hub":
        theta = model.config.rope_parameters["rope_theta"]
        edit_config(
            folder,
            remove=["rope_parameters"],
            model_type="xlm-roberta",
            position_embedding_type="rotary",
            rotary_emb_base=theta,
            auto_map=HUB,
        )
        rename_tensors(folder, (r"^", prefix))


def save_absolute(model, folder):
    model.save_pretrained(folder)
    edit_config(folder, position_embedding_type="absolute", auto_map=HUB)
    for kind in ["weight", "bias"]:
        parts = [f"attention.self.{part}.{kind}" for part in ["query", "key", "value"]]
        join_tensors(folder, f"mixer.Wqkv.{kind}", *parts)
    rename_tensors(
        folder,
        (r"embeddings\.LayerNorm", "emb_ln"),
        (r"encoder\.layer\.", "encoder.layers."),
        (r"attention\.output\.dense", "mixer.out_proj"),
        (r"attention\.output\.LayerNorm", "norm1"),
        (r"intermediate\.dense", "mlp.fc1"),
        (r"output\.dense", "mlp.fc2"),
        (r"output\.LayerNorm", "norm2"),
    )


def draw(rng, vocab_size):
    layout = rng.choice(["kept", "saved", "hub", "absolute"])
    if layout == "absolute":
        config = XLMRobertaConfig(**random_sizes(rng, vocab_size))
        drawn = from_transformers(config, XLMRobertaModel, 300, add_pooling_layer=False)
        drawn.save = lambda folder: save_absolute(drawn.model.float(), folder)
    else:
        drawn = from_transformers(rotary_config(rng, vocab_size), JinaEmbeddingsV3Model, 300, add_pooling_layer=False)
        drawn.save = lambda folder: save_rotary(drawn.model.float(), folder, layout)
    drawn.note += f" layout {layout}"
    return drawn


def draw_head(head, rng, vocab_size):
    if rng.random() < 0.5:
        classes = {"classifier": XLMRobertaForSequenceClassification, "masked_lm": XLMRobertaForMaskedLM}
        return head_of(XLMRobertaConfig(**random_sizes(rng, vocab_size)), classes, head, save_absolute)
    layout = rng.choice(["kept", "saved", "hub"])
    classes = {"classifier": JinaEmbeddingsV3ForSequenceClassification, "masked_lm": JinaEmbeddingsV3ForMaskedLM}
    return head_of(
        rotary_config(rng, vocab_size), classes, head, lambda model, folder: save_rotary(model, folder, layout, "")
    )

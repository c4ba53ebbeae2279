"""CTranslate2's encoder. Its model file is written here from the safetensors, in the layout of its own BERT and XLM-R
converters, which need an older transformers. It packs tokens without padding; it has no vocabulary head and, on
processors without MKL's bf16, no bf16."""

import shutil
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.converters.utils import fuse_linear
from ctranslate2.specs import common_spec, transformer_spec
from safetensors import safe_open

from . import Refused
from .tokenised import Tokenised

COMPUTE = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}


class Engine(Tokenised):
    version = ctranslate2.__version__

    def __init__(self, spec: dict):
        super().__init__(spec)
        compute = COMPUTE[spec["options"]["precision"]]
        if self.task == "sparse":
            raise Refused("CTranslate2's encoders have no vocabulary head")
        if spec["config"]["model_type"] not in ("bert", "xlm-roberta", "roberta"):
            raise Refused(f"no converter here for {spec['config']['model_type']}")
        have = ctranslate2.get_supported_compute_types("cpu")
        if compute not in have:
            raise Refused(f"CTranslate2 computes in {', '.join(sorted(have))} on this processor")
        with safe_open(f"{spec['folder']}/model.safetensors", "np") as weights:
            folder = Path(spec["work"]) / "ctranslate2"
            if not (folder / "model.bin").is_file():
                convert(spec["config"], weights, spec["folder"], folder)
            if self.task == "rerank":
                names = ("dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias")
                self.head = [weights.get_tensor(f"classifier.{name}") for name in names]
        self.takes_types = spec["types"]
        self.encoder = ctranslate2.Encoder(
            str(folder), device="cpu", compute_type=compute, inter_threads=1, intra_threads=spec["threads"]
        )

    def forward(self, ids, mask, types) -> np.ndarray:
        lengths = mask.sum(1)
        given = [row[:length].tolist() for row, length in zip(ids, lengths)]
        kinds = [row[:length].tolist() if self.takes_types else [0] * length for row, length in zip(types, lengths)]
        hidden = np.asarray(self.encoder.forward_batch(given, token_type_ids=kinds).last_hidden_state)
        if self.task == "embed":
            return hidden
        dense, dense_bias, out, out_bias = self.head
        return np.tanh(hidden[:, 0] @ dense.T + dense_bias) @ out.T + out_bias


def convert(config: dict, weights, source: str, folder: Path) -> None:
    names = set(weights.keys())
    prefix = next(start for start in ("", "bert.", "roberta.") if f"{start}embeddings.LayerNorm.weight" in names)
    tensor = lambda name: weights.get_tensor(prefix + name)

    def fill(spec, name: str, norm: bool = False) -> None:
        setattr(spec, "gamma" if norm else "weight", tensor(f"{name}.weight"))
        setattr(spec, "beta" if norm else "bias", tensor(f"{name}.bias"))

    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        pre_norm=False,
        activation=common_spec.Activation.GELU,
        layernorm_embedding=True,
        num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD,
    )
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = tensor("embeddings.word_embeddings.weight")
    encoder.embeddings[1].weight = tensor("embeddings.token_type_embeddings.weight")
    first = config["pad_token_id"] + 1 if config["model_type"] != "bert" else 0
    encoder.position_encodings.encodings = tensor("embeddings.position_embeddings.weight")[first:]
    fill(encoder.layernorm_embedding, "embeddings.LayerNorm", norm=True)
    for number, layer in enumerate(encoder.layer):
        at = f"encoder.layer.{number}."
        parts = [common_spec.LinearSpec() for _ in range(3)]
        for part, name in zip(parts, ("query", "key", "value")):
            fill(part, f"{at}attention.self.{name}")
        fuse_linear(layer.self_attention.linear[0], parts)
        fill(layer.self_attention.linear[1], f"{at}attention.output.dense")
        fill(layer.self_attention.layer_norm, f"{at}attention.output.LayerNorm", norm=True)
        fill(layer.ffn.linear_0, f"{at}intermediate.dense")
        fill(layer.ffn.linear_1, f"{at}output.dense")
        fill(layer.ffn.layer_norm, f"{at}output.LayerNorm", norm=True)
    # Ids go in as they are: the words only have to be as many as the rows.
    spec.register_vocabulary([f"<{i}>" for i in range(encoder.embeddings[0].weight.shape[0])])
    spec.config.unk_token = "<0>"
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    spec.validate()
    spec.optimize(quantization=None)
    part = folder.with_name("ctranslate2-part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    spec.save(str(part))
    part.rename(folder)

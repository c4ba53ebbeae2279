"""fastembed with the model that its own options take: a custom dense model, and for the rest the model of its list that
has the same form, from specific_model_path. `sorted` feeds it texts of similar lengths together, which it does not do
itself. Its SPLADE takes the logarithm of every token's logits and the maximum after that."""

import importlib.metadata
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402

from . import Refused  # noqa: E402
from .tokenised import dense_rows  # noqa: E402


class Engine:
    version = importlib.metadata.version("fastembed")

    def __init__(self, spec: dict):
        self.task, self.vocabulary = spec["task"], spec["vocabulary"]
        settings = {"specific_model_path": spec["file"], "threads": spec["threads"]}
        if self.task == "embed":
            from fastembed import TextEmbedding
            from fastembed.common.model_description import ModelSource, PoolingType

            TextEmbedding.add_custom_model(
                model="bench/dense",
                pooling=PoolingType[spec["pooling"].upper()],
                normalization=spec["normalize"],
                sources=ModelSource(hf="bench/dense"),
                dim=spec["hidden_size"],
                model_file="model.onnx",
            )
            self.model = TextEmbedding("bench/dense", **settings)
        elif self.task == "sparse":
            from fastembed import SparseTextEmbedding

            self.model = SparseTextEmbedding("prithivida/Splade_PP_en_v1", **settings)
        else:
            from fastembed.rerank.cross_encoder import TextCrossEncoder

            self.model = TextCrossEncoder("BAAI/bge-reranker-base", **settings)
        tokenizer = self.model.model.tokenizer
        if tokenizer.truncation["max_length"] != spec["limit"]:
            raise Refused(f"fastembed cuts at {tokenizer.truncation['max_length']} tokens, not at {spec['limit']}")

    def lengths(self, texts: list) -> list[int]:
        pairs = [tuple(text) if isinstance(text, list) else text for text in texts]
        return [sum(one.attention_mask) for one in self.model.model.tokenizer.encode_batch(pairs)]

    def embed(self, texts: list, size: int) -> list:
        if self.task == "rerank":
            return list(self.model.rerank_pairs([tuple(text) for text in texts], batch_size=size))
        made = list(self.model.embed(texts, batch_size=size))
        return [(one.indices, one.values) for one in made] if self.task == "sparse" else made

    def run(self, texts: list, options: dict) -> list:
        if not options.get("sorted"):
            return self.embed(texts, options["batch"])
        # By characters: what one can know without its tokenizer.
        order = sorted(range(len(texts)), key=lambda index: -sum(map(len, texts[index])))
        results = [None] * len(texts)
        for index, result in zip(order, self.embed([texts[index] for index in order], options["batch"])):
            results[index] = result
        return results

    def rows(self, results: list) -> np.ndarray:
        return dense_rows(results, self.task, self.vocabulary)

"""torch in eager mode: sentence-transformers for dense vectors, transformers and the tokenizers wheel for the rest (its
CrossEncoder and SparseEncoder add work of their own around the same model)."""

import os

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import logging  # noqa: E402

from .tokenised import Tokenised  # noqa: E402


class Engine(Tokenised):
    version = torch.__version__.split("+")[0]

    def __init__(self, spec: dict):
        super().__init__(spec)
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        torch.set_num_threads(spec["threads"])
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[spec["options"]["precision"]]
        self.takes_types = spec["types"]
        if self.task == "embed":
            from sentence_transformers import SentenceTransformer

            self.model = SentenceTransformer(spec["folder"], device="cpu", model_kwargs={"dtype": dtype})
            self.model.max_seq_length = spec["limit"]
        else:
            kind = {
                "sparse": transformers.AutoModelForMaskedLM,
                "rerank": transformers.AutoModelForSequenceClassification,
            }[self.task]
            self.model = kind.from_pretrained(spec["folder"], dtype=dtype).eval()

    @torch.inference_mode()
    def forward(self, ids, mask, types) -> np.ndarray:
        given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self.takes_types:
            given["token_type_ids"] = torch.from_numpy(types)
        logits = self.model(**given).logits
        if self.task == "sparse":
            # Padding at zero does not raise a maximum that counts above zero only.
            most = (logits.relu_() * given["attention_mask"].unsqueeze(-1)).amax(1)
            return torch.log1p(most.float()).numpy()
        return logits.float().numpy()

    def run(self, texts: list, options: dict) -> list:
        if self.task != "embed":
            return super().run(texts, options)
        vectors = self.model.encode(texts, batch_size=options["batch"], convert_to_tensor=True, show_progress_bar=False)
        return list(vectors.float().numpy())

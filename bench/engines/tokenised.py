"""What engines that take token ids share: the tokenizers wheel, batches of similar lengths, pooling in numpy.

A subclass has forward(ids, mask, types): int64 [batch, sequence] to hidden states [batch, sequence, hidden], to
logits, or to the maximum over tokens [batch, vocabulary].
"""

import numpy as np
from tokenizers import Tokenizer


class Tokenised:
    def __init__(self, spec: dict):
        self.task, self.pooling, self.normalize = spec["task"], spec["pooling"], spec["normalize"]
        self.pad_id, self.vocabulary = spec["pad_id"], spec["vocabulary"]
        self.tokenizer = Tokenizer.from_file(f"{spec['folder']}/tokenizer.json")
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(spec["limit"])

    def encode(self, texts: list) -> list:
        return self.tokenizer.encode_batch([tuple(text) if isinstance(text, list) else text for text in texts])

    def lengths(self, texts: list) -> list[int]:
        return [len(one.ids) for one in self.encode(texts)]

    def batches(self, encoded: list, size: int):
        """(indices, ids, mask, types), longest texts first."""
        order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index].ids))
        for begin in range(0, len(order), size):
            chosen = order[begin : begin + size]
            shape = (len(chosen), len(encoded[chosen[0]].ids))
            ids = np.full(shape, self.pad_id, np.int64)
            mask, types = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
            for row, index in enumerate(chosen):
                one = encoded[index]
                ids[row, : len(one.ids)] = one.ids
                types[row, : len(one.ids)] = one.type_ids
                mask[row, : len(one.ids)] = 1
            yield chosen, ids, mask, types

    def finish(self, out: np.ndarray, mask: np.ndarray) -> list:
        """A batch's results: vectors, (indices, values), or scores."""
        if self.task == "embed":
            if self.pooling == "cls":
                pooled = out[:, 0].copy()  # an engine may use its output again
            else:
                weight = mask[:, :, None].astype(np.float32)
                pooled = (out * weight).sum(1) / weight.sum(1)
            if self.normalize:
                pooled = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
            return list(pooled)
        if self.task == "rerank":
            return list(out.copy())
        sparse = []
        for row, kept in zip(out, mask.sum(1)):
            # The maximum comes first: the logarithm of 30,000 numbers a text, not of as many a token.
            weights = row if row.ndim == 1 else np.log1p(np.maximum(row[:kept].max(0), 0))
            indices = weights.nonzero()[0]
            sparse.append((indices, weights[indices]))
        return sparse

    def run(self, texts: list, options: dict) -> list:
        encoded = self.encode(texts)
        results = [None] * len(texts)
        for chosen, ids, mask, types in self.batches(encoded, options["batch"]):
            for index, result in zip(chosen, self.finish(self.forward(ids, mask, types), mask)):
                results[index] = result
        return results

    def rows(self, results: list) -> np.ndarray:
        return dense_rows(results, self.task, self.vocabulary)


def dense_rows(results: list, task: str, vocabulary: int) -> np.ndarray:
    if task != "sparse":
        return np.asarray(results, np.float32).reshape(len(results), -1)
    rows = np.zeros((len(results), vocabulary), np.float32)
    for row, (indices, values) in zip(rows, results):
        row[indices] = values
    return rows

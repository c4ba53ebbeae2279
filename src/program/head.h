// Where a family's part of a Program ends and a task's begins.
#pragma once

#include <memory>
#include <optional>

#include "program/program.h"

namespace inlay {

// What a task reads from a model.
enum class Head {
  kHidden,      // the last hidden state
  kMaskedLm,    // a masked language model's logits: SPLADE and its like
  kClassifier,  // the logits of *ForSequenceClassification: cross-encoders
  kCausalLm,    // a causal language model's logits at the last token: yes/no rerankers
  kAttention,   // how much the last layer's first row heeds each token, the mean over heads: BM42
};

struct Ending {
  // kHidden: the last hidden state, [tokens, hidden_size], or [texts, hidden_size] when one row a
  // text was asked for. kMaskedLm, kCausalLm: what the decoder multiplies (the head's dense,
  // activation and norm are steps already), rows likewise. kClassifier: the logits, [texts,
  // labels]. kAttention: [tokens, 1].
  ValueId hidden = kNoValue;
  WeightRef decoder,
      decoder_bias;  // kMaskedLm, kCausalLm: [vocabulary, width of hidden]; the bias may be absent
  // kHidden: the hidden values are the texts' vectors, with everything done that the folder's
  // modules say (a graph with sentence_embedding).
  bool finished = false;
  // What the body was built from, for heads that families do not know (ColBERT's "linear.weight").
  std::shared_ptr<const Weights> checkpoint{};
};

}  // namespace inlay

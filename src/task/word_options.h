// Which of SparseOptions' settings of words belong to which model.
#pragma once

#include <string>

#include "inlay/inlay.hpp"
#include "task/bm25.h"

namespace inlay::task {

// Of a model that weighs words; what is false is refused by refuse_word_options.
struct WordSettings {
  bool bm25 = false;   // k, b, avg_len
  bool words = false;  // language, token_max_length, disable_stemmer
  bool alpha = false;  // bm42_alpha
};
// Throws kUsage naming the first setting that is given and that the model does not have.
void refuse_word_options(const SparseOptions& options, const std::string& model,
                         const WordSettings& has = {});

// What is given, else fastembed's defaults; avg_len is the model's.
Bm25Options bm25_options(const SparseOptions& options, double avg_len);

}  // namespace inlay::task

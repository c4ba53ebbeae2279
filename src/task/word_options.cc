// See word_options.h.
#include "task/word_options.h"

#include "base/error.h"

namespace inlay::task {

void refuse_word_options(const SparseOptions& options, const std::string& model,
                         const WordSettings& has) {
  struct Setting {
    const char* name;
    bool given, taken;
    const char* models;
  };
  const Setting settings[] = {
      {"--bm25-k", options.bm25_k.has_value(), has.bm25, "BM25 or miniCOIL"},
      {"--bm25-b", options.bm25_b.has_value(), has.bm25, "BM25 or miniCOIL"},
      {"--bm25-avg-len", options.bm25_avg_len.has_value(), has.bm25, "BM25 or miniCOIL"},
      {"--language", options.language.has_value(), has.words, "BM25"},
      {"--token-max-length", options.token_max_length.has_value(), has.words, "BM25"},
      {"--disable-stemmer", options.disable_stemmer, has.words, "BM25"},
      {"--bm42-alpha", options.bm42_alpha.has_value(), has.alpha, "BM42"},
  };
  for (const Setting& setting : settings) {
    if (!setting.given || setting.taken) continue;
    fail(ErrorCode::kUsage, setting.name,
         std::string("expected ") + setting.models + " as the model, got " + printable(model) +
             ". Leave the option out, or name another model with -m.");
  }
}

Bm25Options bm25_options(const SparseOptions& options, double avg_len) {
  Bm25Options out;
  out.k = options.bm25_k.value_or(out.k);
  out.b = options.bm25_b.value_or(out.b);
  out.avg_len = options.bm25_avg_len.value_or(avg_len);
  out.language = options.language.value_or(out.language);
  out.disable_stemmer = options.disable_stemmer;
  if (options.token_max_length) {
    if (*options.token_max_length < 1) {
      fail(ErrorCode::kUsage, "--token-max-length",
           "expected at least 1, got " + std::to_string(*options.token_max_length) + ".");
    }
    out.token_max_length = static_cast<std::size_t>(*options.token_max_length);
  }
  return out;
}

}  // namespace inlay::task

// BM42: a word weighs what the last layer's [CLS] heeds of it, in place of how often it occurs.
// fastembed 0.7.4, sparse/bm42.py (0.9.1 computes the same). Queries need no model: each word once.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "files/known_models.h"
#include "files/word_lists.h"
#include "task/sparse_cut.h"
#include "task/stemmer.h"
#include "task/task.h"
#include "task/word_options.h"
#include "task/word_pieces.h"
#include "task/word_vector.h"

namespace inlay::task {
namespace {

constexpr const char* kBm42Language = "english";
constexpr double kAlpha = 0.5;

bool is_punctuation(std::string_view word) {  // Python's string.punctuation
  constexpr std::string_view kMarks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
  return word.size() == 1 && kMarks.find(word[0]) != std::string_view::npos;
}

class Bm42 final : public Task {
 public:
  Bm42(const files::ModelFiles& model, const SparseOptions& options)
      : name_(model.name()),
        options_(options),
        alpha_(options.bm42_alpha.value_or(kAlpha)),
        most_tokens_(model.tokenizer().max_length.value_or(0)),
        pieces_(model) {
    const auto words = model.stop_words(files::kStopWords);
    if (words) {
      stop_words_.insert(words->begin(), words->end());
    } else {
      notes_.push_back("BM42 runs without stop words: stopwords.txt is not in " +
                       model.folder().string() + ".");
    }
  }

  std::optional<Reads> reads() const override {
    return Reads{Head::kAttention, std::nullopt, most_tokens_};
  }
  void append(Program* program, const Ending& ending) override {
    if (program->value(ending.hidden).width != 1) {
      fail(ErrorCode::kUnsupported, name_,
           "expected a BERT, whose attention BM42 reads, got another family. Take "
           "Qdrant/all_miniLM_L6_v2_with_attentions.");
    }
    program->set_output(ending.hidden);
  }
  std::int64_t dim() const override { return 0; }
  std::vector<std::string> notes() const override { return notes_; }
  void begin(std::size_t texts, Result* result) const override { result->sparse.resize(texts); }

  bool look_up(const Source& source, std::size_t index, tokens::Encoding* encoding,
               Result* result) const override {
    if (source.request.role != Role::kQuery) return false;
    WordVector vector;
    for (const Weighed& word : stems(encoding->ids))
      vector.set(word_index(word.stem), 1, word.stem);
    write(std::move(vector), index, result);
    return true;
  }

  bool read(const Computed& item, std::size_t index, Result* result) const override {
    const std::span<const float> attention = item.outputs[0];
    if (!all_finite(attention)) return false;
    // Of words with one stem the heaviest counts; in the order in which stems first occur, of two
    // with one hash the later.
    std::unordered_map<std::string_view, double> weights;
    std::vector<std::string_view> order;
    const std::vector<Weighed> words = stems(item.ids);
    for (const Weighed& word : words) {
      double weight = 0;
      for (const std::size_t token : word.tokens) weight += static_cast<double>(attention[token]);
      const auto [at, first] = weights.try_emplace(word.stem, weight);
      if (first) order.push_back(word.stem);
      at->second = std::max(at->second, weight);
    }
    WordVector vector;
    for (const std::string_view stem : order)
      vector.set(word_index(stem), std::pow(std::log(1 + weights[stem]), alpha_), stem);
    write(std::move(vector), index, result);
    return true;
  }

 private:
  struct Weighed {
    std::string stem;
    std::vector<std::size_t> tokens;
  };
  std::vector<Weighed> stems(std::span<const std::int32_t> ids) const {
    const Stemmer stemmer(kBm42Language);
    std::vector<Weighed> out;
    for (Word& word : pieces_.words(ids, true)) {
      if (stop_words_.contains(word.text) || is_punctuation(word.text)) continue;
      stemmer.stem(&word.text);
      out.push_back({std::move(word.text), std::move(word.tokens)});
    }
    return out;
  }
  void write(WordVector vector, std::size_t index, Result* result) const {
    result->sparse[index] = std::move(vector).take(options_.words);
    cut_sparse(options_, &result->sparse[index]);
  }

  const std::string name_;
  const SparseOptions options_;
  const double alpha_;
  const std::int64_t most_tokens_;
  const WordPieces pieces_;
  std::unordered_set<std::string> stop_words_;
  std::vector<std::string> notes_;
};

}  // namespace

bool is_bm42(const files::ModelFiles& model) {
  const files::KnownModel* known = files::find_known_model(model.name());
  if (known != nullptr) return std::string_view(known->short_name) == "bm42";
  return !model.has_modules() && model.has_file(files::kStopWords) &&
         !model.has_file(files::kMiniCoilVocab);
}

std::unique_ptr<Task> make_bm42(const files::ModelFiles& model, const SparseOptions& options) {
  refuse_word_options(options, model.name(), {.alpha = true});
  if (options.bm42_alpha && !(*options.bm42_alpha >= 0 && std::isfinite(*options.bm42_alpha))) {
    fail(ErrorCode::kUsage, "--bm42-alpha",
         "expected a number of at least 0, got " + std::to_string(*options.bm42_alpha) + ".");
  }
  return std::make_unique<Bm42>(model, options);
}

}  // namespace inlay::task

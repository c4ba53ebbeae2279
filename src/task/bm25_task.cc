// BM25 as a task: no Program, nothing to load but a list of stop words. Documents are weighed by
// their words, queries have each word once.
#include "task/bm25.h"
#include "task/sparse_cut.h"
#include "task/task.h"
#include "task/word_options.h"
#include "task/word_vector.h"

namespace inlay::task {
namespace {

class Bm25Task final : public Task {
 public:
  Bm25Task(const files::ModelFiles& model, const SparseOptions& options, const Bm25Options& bm25)
      : options_(options),
        stop_words_(model.stop_words(bm25.language + ".txt")),
        bm25_(bm25, stop_words_.value_or(std::vector<std::string>())) {
    // Tamil has no list anywhere, and without stems fastembed uses none.
    if (stop_words_ || bm25.disable_stemmer || bm25.language == "tamil") return;
    notes_.push_back("BM25 runs without stop words: " + bm25.language + ".txt of Qdrant/bm25 is " +
                     (model.folder().empty()
                          ? "not on this machine, inlay model get bm25 brings it."
                          : "not in " + model.folder().string() + "."));
  }

  std::optional<Reads> reads() const override { return std::nullopt; }
  void append(Program* /*program*/, const Ending& /*ending*/) override {}
  std::int64_t dim() const override { return 0; }
  std::vector<std::string> notes() const override { return notes_; }
  void begin(std::size_t texts, Result* result) const override { result->sparse.resize(texts); }

  void encode(const Source& /*source*/, const Shared* /*shared*/, std::size_t /*index*/,
              tokens::Encoding* out) const override {
    out->clear();  // look_up() has words for tokens
  }
  bool look_up(const Source& source, std::size_t index, tokens::Encoding* encoding,
               Result* result) const override {
    const std::vector<std::string> terms = bm25_.terms(source.prompt + source.request.texts[index]);
    for (const std::string& term : terms) encoding->ids.push_back(word_index(term));
    SparseVector& sparse = result->sparse[index];
    sparse = source.request.role == Role::kQuery ? bm25_.query(terms, options_.words)
                                                 : bm25_.document(terms, options_.words);
    cut_sparse(options_, &sparse);
    return true;
  }
  bool read(const Computed& /*item*/, std::size_t /*index*/, Result* /*result*/) const override {
    return false;  // nothing is computed
  }

 private:
  const SparseOptions options_;
  const std::optional<std::vector<std::string>> stop_words_;
  const Bm25 bm25_;
  std::vector<std::string> notes_;
};

}  // namespace

std::unique_ptr<Task> make_bm25(const files::ModelFiles& model, const SparseOptions& options) {
  refuse_word_options(options, model.name(), {.bm25 = true, .words = true});
  const Bm25Options bm25 = bm25_options(options, Bm25Options().avg_len);
  check_bm25(bm25);
  return std::make_unique<Bm25Task>(model, options, bm25);
}

}  // namespace inlay::task

// See minicoil.h. The task is at the end.
#include "task/minicoil.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "files/word_lists.h"
#include "task/sparse_cut.h"
#include "task/task.h"
#include "task/word_options.h"
#include "tokens/unicode.h"

namespace inlay::task {
namespace {

constexpr const char* kMinicoilLanguage = "english";
constexpr double kAverageLength = 150;
// Words to count start in a bucket of so many indices behind the vocabulary's.
constexpr std::int64_t kGap = 32000;
constexpr std::array<std::string_view, 5> kSpecial{"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"};

// The runs of word characters (str.isalnum() or '_') of a token; fastembed's
// remove_non_alphanumeric and split.
std::vector<std::string> subwords(std::string_view text) {
  std::vector<std::string> out(1);
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    at += c.bytes;
    if (c.value == U'_' || tokens::has(c.value, tokens::kLetter | tokens::kNumber)) {
      utf8_append(out.back(), c.value);
    } else if (!out.back().empty()) {
      out.emplace_back();
    }
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !utf8_continues(c); }));
}

}  // namespace

class MiniCoil::Sentence {
 public:
  Entry* find(const std::string& key) {
    const auto at = places_.find(key);
    return at == places_.end() ? nullptr : &entries_[at->second];
  }
  void set(const std::string& key, Entry entry) {
    const auto [at, added] = places_.try_emplace(key, entries_.size());
    if (added) {
      entries_.push_back(std::move(entry));
    } else {
      entries_[at->second] = std::move(entry);
    }
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> places_;
};

MiniCoil::MiniCoil(const files::ModelFiles& model, const Bm25Options& bm25)
    : bm25_(bm25), pieces_(model) {
  const std::string where = (model.folder() / files::kMiniCoilVocab).string();
  const auto vocab = model.find_json(files::kMiniCoilVocab);
  const auto heads = model.array(files::kMiniCoilHeads);
  if (!vocab || !heads) {
    fail(ErrorCode::kNotFound, model.folder().string(),
         "expected miniCOIL's " + std::string(files::kMiniCoilVocab) + " and " +
             std::string(files::kMiniCoilHeads) + ", got only one of them. Fetch the model again.");
  }
  for (const JsonValue& word : vocab->root().at("vocab").items()) {
    words_.emplace_back(word.string());
    ids_[words_.back()] = static_cast<std::int64_t>(words_.size());
  }
  for (const auto& [stem, word] : vocab->root().at("stem_mapping").members()) {
    const auto id = ids_.find(std::string(word.string()));
    if (id == ids_.end())
      fail(ErrorCode::kBadInput, word.where(), "expected a word of the vocabulary, got another.");
    stems_[std::string(stem)] = id->second;
  }
  const Shape& shape = heads->tensor.shape;
  if (shape.size() != 3 || shape[0] <= static_cast<std::int64_t>(words_.size()) || shape[1] < 1 ||
      shape[2] < 1 || shape[2] > kGap) {
    fail(ErrorCode::kBadInput, heads->file,
         "expected a matrix for each of " + std::to_string(words_.size()) +
             " words and one more, got " + shape_text(shape) + ".");
  }
  hidden_size_ = shape[1];
  width_ = shape[2];
  if ((static_cast<std::int64_t>(words_.size()) * width_ / kGap + 4) * kGap >
      std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorCode::kUnsupported, where,
         "expected fewer words, got " + std::to_string(words_.size()) + ".");
  }
  heads_ = to_float(heads->tensor, heads->file);
  if (!all_finite(heads_))
    fail(ErrorCode::kBadInput, heads->file, "expected finite weights, got NaN or infinity.");
  const auto stop_words = model.stop_words(files::kStopWords).value_or(std::vector<std::string>());
  stop_words_.insert(stop_words.begin(), stop_words.end());
}

// 0: none of the vocabulary.
std::int64_t MiniCoil::id_of(const std::string& token, const Stemmer& stemmer) const {
  if (stop_words_.contains(token)) return 0;
  if (const auto id = ids_.find(token); id != ids_.end()) return id->second;
  if (const auto id = stems_.find(token); id != stems_.end()) return id->second;
  std::string stem = token;
  stemmer.stem(&stem);
  const auto id = stems_.find(stem);
  return id == stems_.end() ? 0 : id->second;
}

// tanh(mean * head), of length one where it has one.
std::vector<double> MiniCoil::place_of(std::int64_t id, const std::vector<float>& mean) const {
  std::vector<double> place(static_cast<std::size_t>(width_));
  const float* head = heads_.data() + id * hidden_size_ * width_;
  for (const float x : mean) {
    for (double& p : place) p += static_cast<double>(x) * static_cast<double>(*head++);
  }
  double squares = 0;
  for (double& p : place) {
    p = static_cast<double>(static_cast<float>(std::tanh(p)));
    squares += p * p;
  }
  const double norm = std::sqrt(squares);
  if (norm < 1e-8) return place;
  for (double& p : place) p /= norm;
  return place;
}

MiniCoil::Sentence MiniCoil::resolve(std::span<const std::int32_t> ids,
                                     std::span<const float> hidden, const Stemmer& stemmer) const {
  struct Known {
    std::int64_t count = 0, tokens = 0;
    std::vector<float> sum;
  };
  std::map<std::int64_t, Known> known;
  std::vector<std::string> order;  // of words to count, as they first occur
  std::unordered_map<std::string, std::int64_t> unknown;
  for (const Word& word : pieces_.words(ids, false)) {
    const std::int64_t id = id_of(word.text, stemmer);
    if (id == 0) {
      if (++unknown[word.text] == 1) order.push_back(word.text);
      continue;
    }
    Known& entry = known[id];
    entry.sum.resize(static_cast<std::size_t>(hidden_size_));
    ++entry.count;
    entry.tokens += static_cast<std::int64_t>(word.tokens.size());
    for (const std::size_t token : word.tokens) {
      const auto row = hidden.subspan(token * entry.sum.size(), entry.sum.size());
      for (std::size_t i = 0; i < row.size(); ++i) entry.sum[i] += row[i];
    }
  }
  Sentence sentence;
  for (auto& [id, entry] : known) {
    for (float& x : entry.sum) x /= static_cast<float>(entry.tokens);
    const std::string& word = words_[static_cast<std::size_t>(id - 1)];
    sentence.set(word, {word, id, entry.count, place_of(id, entry.sum)});
  }
  for (const std::string& word : order) sentence.set(word, {word, 0, unknown[word], {}});
  return sentence;
}

bool MiniCoil::unwanted(const std::string& word) const {
  // Of single punctuation marks, '_' alone is made of word characters.
  return word == "_" || stop_words_.contains(word) ||
         std::find(kSpecial.begin(), kSpecial.end(), word) != kSpecial.end();
}

// Words to count become what BM25 would make of them.
MiniCoil::Sentence MiniCoil::clean(const Sentence& sentence, const Stemmer& stemmer) const {
  Sentence cleaned;
  for (const Entry& entry : sentence.entries()) {
    if (entry.id != 0) {
      cleaned.set(entry.word, entry);
      continue;
    }
    if (unwanted(entry.word)) continue;
    for (std::string& word : subwords(entry.word)) {
      stemmer.stem(&word);
      if (characters(word) > bm25_.token_max_length || unwanted(word)) continue;
      if (Entry* same = cleaned.find(word)) {
        same->count += entry.count;
      } else {
        cleaned.set(word, {word, 0, entry.count, {}});
      }
    }
  }
  return cleaned;
}

std::int32_t MiniCoil::unknown_index(std::string_view word) const {
  const auto vocabulary = static_cast<std::int64_t>(ids_.size()) + 1;
  const std::int64_t shift = (vocabulary * width_ / kGap + 2) * kGap;
  const std::int64_t hash = std::abs(static_cast<std::int64_t>(murmur3(word)));
  return static_cast<std::int32_t>(
      shift + hash % (std::int64_t{std::numeric_limits<std::int32_t>::max()} - shift));
}

WordVector MiniCoil::vector(std::span<const std::int32_t> ids, std::span<const float> hidden,
                            bool query) const {
  const Stemmer stemmer(kMinicoilLanguage);
  const Sentence sentence = clean(resolve(ids, hidden, stemmer), stemmer);
  double length = 0;
  for (const Entry& entry : sentence.entries()) length += static_cast<double>(entry.count);
  WordVector vector;
  for (const Entry& entry : sentence.entries()) {
    const double weight = query ? 1 : bm25_weight(bm25_, static_cast<double>(entry.count), length);
    if (entry.id == 0) {
      vector.set(unknown_index(entry.word), weight, entry.word);
      continue;
    }
    for (std::size_t i = 0; i < entry.place.size(); ++i) {
      vector.set(static_cast<std::int32_t>(entry.id * width_ + static_cast<std::int64_t>(i)),
                 entry.place[i] * weight, entry.word);
    }
  }
  return vector;
}

namespace {

class MiniCoilTask final : public Task {
 public:
  MiniCoilTask(const files::ModelFiles& model, const SparseOptions& options,
               const Bm25Options& bm25)
      : name_(model.name()),
        options_(options),
        most_tokens_(model.tokenizer().max_length.value_or(0)),
        minicoil_(model, bm25) {
    if (!model.has_file(files::kStopWords)) {
      notes_.push_back("miniCOIL runs without stop words: stopwords.txt is not in " +
                       model.folder().string() + ".");
    }
  }

  std::optional<Reads> reads() const override {
    return Reads{Head::kHidden, std::nullopt, most_tokens_};
  }
  void append(Program* program, const Ending& ending) override {
    const std::int64_t width = program->value(ending.hidden).width;
    if (width != minicoil_.hidden_size()) {
      fail(ErrorCode::kBadInput, name_,
           "expected heads of the encoder's width " + std::to_string(width) + ", got " +
               std::to_string(minicoil_.hidden_size()) +
               ". The files do not belong together; fetch the model again.");
    }
    program->set_output(ending.hidden);
  }
  std::int64_t dim() const override { return 0; }
  std::vector<std::string> notes() const override { return notes_; }
  void begin(std::size_t texts, Result* result) const override { result->sparse.resize(texts); }

  bool read(const Computed& item, std::size_t index, Result* result) const override {
    if (!all_finite(item.outputs[0])) return false;
    const bool query = item.request.role == Role::kQuery;
    SparseVector& sparse = result->sparse[index];
    sparse = minicoil_.vector(item.ids, item.outputs[0], query).take(options_.words);
    cut_sparse(options_, &sparse);
    return true;
  }

 private:
  const std::string name_;
  const SparseOptions options_;
  const std::int64_t most_tokens_;
  const MiniCoil minicoil_;
  std::vector<std::string> notes_;
};

}  // namespace

bool is_minicoil(const files::ModelFiles& model) { return model.has_file(files::kMiniCoilVocab); }

std::unique_ptr<Task> make_minicoil(const files::ModelFiles& model, const SparseOptions& options) {
  refuse_word_options(options, model.name(), {.bm25 = true});
  const Bm25Options bm25 = bm25_options(options, kAverageLength);
  check_bm25(bm25);
  return std::make_unique<MiniCoilTask>(model, options, bm25);
}

}  // namespace inlay::task

// See tokenizer.h: reads the files into a pipeline, joins texts and special tokens, cuts to length,
// decodes.
#include "tokens/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokens/bert_path.h"
#include "tokens/bpe.h"
#include "tokens/byte_path.h"
#include "tokens/decoders.h"
#include "tokens/post_processors.h"
#include "tokens/space_path.h"
#include "tokens/special_names.h"
#include "tokens/text_tokens.h"
#include "tokens/truncation.h"
#include "tokens/unigram.h"
#include "tokens/wordlevel.h"
#include "tokens/wordpiece.h"

namespace inlay::tokens {

std::unique_ptr<Model> read_model(const JsonValue& json) {
  // Files of the library's first years have no type; the members tell.
  std::string type = json.string_or("type", "");
  if (type.empty()) {
    type = json.contains("merges")                      ? "BPE"
           : json.contains("continuing_subword_prefix") ? "WordPiece"
           : json.at("vocab").is_array()                ? "Unigram"
                                                        : "WordLevel";
  }
  if (type == "WordPiece") return WordPiece::from_json(json);
  if (type == "BPE") return Bpe::from_json(json);
  if (type == "Unigram") return Unigram::from_json(json);
  if (type == "WordLevel") return WordLevel::from_json(json);
  fail(ErrorCode::kUnsupported, json.where() + "/type",
       "expected BPE, WordPiece, Unigram or WordLevel, got \"" + printable(type) +
           "\". Use another tokenizer file.");
}

namespace {

constexpr std::string_view kConfigFile = "tokenizer_config.json";

BertNormalizerOptions read_bert_options(const JsonValue& json) {
  BertNormalizerOptions options;
  options.clean_text = json.bool_or("clean_text", true);
  options.handle_chinese_chars = json.bool_or("handle_chinese_chars", true);
  if (const auto strip = json.find("strip_accents")) options.strip_accents = strip->boolean();
  options.lowercase = json.bool_or("lowercase", true);
  return options;
}

// A pipeline that another file of the model wants lower-cased.
class LowercaseFirst final : public Normalizer {
 public:
  explicit LowercaseFirst(std::unique_ptr<Normalizer> rest) : rest_(std::move(rest)) {}
  void normalize(NormalizedString& text) const override {
    text.lowercase();
    if (rest_) rest_->normalize(text);
  }

 private:
  std::unique_ptr<Normalizer> rest_;  // may be null
};

bool lowercases(const JsonValue& normalizer) {
  const std::string type = normalizer.string_or("type", "");
  if (type == "Lowercase") return true;
  if (type == "BertNormalizer") return read_bert_options(normalizer).lowercase;
  if (type != "Sequence") return false;
  const auto parts = normalizer.at("normalizers").items();
  return std::any_of(parts.begin(), parts.end(), lowercases);
}

// Takes a quick way where the parts allow it.
void choose_path(TextPipeline* pipeline,
                 const std::optional<BertNormalizerOptions>& bert_normalizer) {
  const Normalizer* normalizer = pipeline->normalizer.get();
  const PreTokenizer* pre_tokenizer = pipeline->pre_tokenizer.get();
  if (pre_tokenizer == nullptr) return;
  if (const auto* bpe = dynamic_cast<const Bpe*>(pipeline->model.get())) {
    if (const auto words = pre_tokenizer->byte_words())
      pipeline->words = std::make_unique<BytePath>(*words, bpe);
  }
  // The other ways normalize word by word: no added token may be sought in a whole normalized text.
  if (pipeline->words || pipeline->added.any(true)) return;
  const auto* wordpiece = dynamic_cast<const WordPiece*>(pipeline->model.get());
  if (wordpiece != nullptr && bert_normalizer && pre_tokenizer->is_bert()) {
    pipeline->words = std::make_unique<BertPath>(*bert_normalizer, normalizer, wordpiece);
  } else if (pre_tokenizer->words_at_spaces() &&
             (normalizer == nullptr || normalizer->local_at_spaces())) {
    pipeline->words = std::make_unique<SpacePath>(normalizer, pre_tokenizer, pipeline->model.get());
  }
}

// vocab.txt: a token a line, the line's number its id; line ends as Python's text mode reads them.
Vocab read_vocab_txt(std::string_view text, std::string_view where) {
  if (const std::size_t good = utf8_valid_prefix(text); good != text.size()) {
    fail(ErrorCode::kBadInput, std::string(where) + ": byte " + std::to_string(good),
         "expected UTF-8, got other bytes. The file is damaged; fetch it again.");
  }
  Vocab vocab;
  for (std::int32_t line = 0; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    if (end > kMaxTokenBytes) {
      fail(ErrorCode::kBadInput, std::string(where) + ": line " + std::to_string(line + 1),
           "expected a token of at most " + std::to_string(kMaxTokenBytes) + " bytes, got " +
               std::to_string(end) + ". The file is damaged; fetch it again.");
    }
    vocab.add(text.substr(0, end), line);
    const bool crlf = text.substr(end).starts_with("\r\n");
    text.remove_prefix(std::min(text.size(), end + (crlf ? 2 : 1)));
  }
  if (vocab.size() == 0) {
    fail(ErrorCode::kBadInput, where,
         "expected a token a line, got an empty file. Fetch it again.");
  }
  vocab.seal();
  return vocab;
}

// Puts a text's byte offsets back onto characters that are not blank.
class OffsetTrimmer {
 public:
  explicit OffsetTrimmer(std::string_view text) : text_(text) {}
  Range trim(Range range, TextTokens::Blanks blanks, bool first, bool add_prefix_space) const {
    if (range.begin > range.end || range.end > text_.size())
      return range;  // not offsets in the text
    if (blanks.leading > 0) {
      std::uint32_t leading = blanks.leading;
      // One blank at the start of the text is the one that add_prefix_space put there.
      if ((first || range.begin == 0) && add_prefix_space && leading == 1) leading = 0;
      for (; leading > 0 && range.begin < range.end; --leading) {
        range.begin = std::min(range.begin + utf8_decode(text_, range.begin).bytes, range.end);
      }
    }
    std::uint32_t end = range.end, trailing = blanks.trailing;
    for (; trailing > 0 && end > 0; --trailing) {
      --end;
      while (end > 0 && utf8_continues(text_[end])) --end;
    }
    if (trailing == 0) range.end = std::max(end, range.begin);
    return range;
  }

 private:
  std::string_view text_;
};

}  // namespace

struct Tokenizer::Impl {
  TextPipeline pipeline;
  PostProcessor post_processor;
  std::unique_ptr<Decoder> decoder;  // may be null
  SpecialIds special_ids;

  // `first` holds the tokens of texts[0] where they are known already.
  void encode(std::span<const std::string_view> texts, const TextTokens* first,
              const EncodeOptions& options, Encoding* out) const;
  std::size_t room(bool pair, const EncodeOptions& options) const;
  void encode_text(std::size_t index, std::string_view text, bool pair, std::size_t first,
                   const EncodeOptions& options, TextTokens* out) const;
  void append(const PlanItem& item, std::string_view text, const TextTokens& tokens,
              std::size_t kept, const EncodeOptions& options, Encoding* out) const;
};

// What special tokens leave of max_length.
std::size_t Tokenizer::Impl::room(bool pair, const EncodeOptions& options) const {
  const int special = options.add_special_tokens ? post_processor.added_tokens(pair) : 0;
  return static_cast<std::size_t>(std::max(0, options.max_length - special));
}

// Text `index` of one or two, as far as the cut can need it; `first` is the first text's count.
void Tokenizer::Impl::encode_text(std::size_t index, std::string_view text, bool pair,
                                  std::size_t first, const EncodeOptions& options,
                                  TextTokens* out) const {
  if (options.max_length < 0) {
    fail(ErrorCode::kUsage, "max_length",
         "expected 0 or more, got a negative number. Give 0 for no limit.");
  }
  TextOptions text_options;
  text_options.offsets = options.offsets;
  text_options.direction = options.direction;
  if (options.max_length > 0)
    text_options.limit = tokens_needed(index, pair, room(pair, options), first, options.strategy);
  pipeline.encode(text, text_options, out);
}

void Tokenizer::Impl::encode(std::span<const std::string_view> texts, const TextTokens* first,
                             const EncodeOptions& options, Encoding* out) const {
  thread_local TextTokens scratch[2];
  out->clear();
  const bool pair = texts.size() == 2;
  const Plan& plan = post_processor.plan(pair, options.add_special_tokens);
  if (first == nullptr) {
    encode_text(0, texts[0], pair, 0, options, &scratch[0]);
    first = &scratch[0];
  }
  Lengths have{first->ids.size(), 0};
  if (pair) {
    encode_text(1, texts[1], pair, have.first, options, &scratch[1]);
    have.second = scratch[1].ids.size();
  }
  Lengths kept = have;
  if (options.max_length > 0) {
    kept = truncate(have, pair, room(pair, options), options.strategy);
    out->truncated = kept.first < have.first || kept.second < have.second;
  }
  for (const PlanItem& item : plan) {
    const auto text = static_cast<std::size_t>(item.text);
    append(item, item.kind == PlanItem::Kind::kText ? texts[text] : std::string_view(),
           text == 0 ? *first : scratch[text], item.text == 0 ? kept.first : kept.second, options,
           out);
  }
}

void Tokenizer::Impl::append(const PlanItem& item, std::string_view text, const TextTokens& tokens,
                             std::size_t kept, const EncodeOptions& options, Encoding* out) const {
  if (item.kind == PlanItem::Kind::kSpecial) {
    out->ids.push_back(item.id);
    out->type_ids.push_back(item.type_id);
    out->special.push_back(item.marked ? 1 : 0);
    if (options.offsets) out->offsets.emplace_back(0, 0);
    return;
  }
  const std::size_t first =
      options.direction == TruncationDirection::kLeft ? tokens.ids.size() - kept : 0;
  const std::int32_t* begin = tokens.ids.begin() + first;
  out->ids.insert(out->ids.end(), begin, begin + kept);
  out->type_ids.insert(out->type_ids.end(), kept, item.type_id);
  out->special.insert(out->special.end(), kept, 0);
  if (!options.offsets) return;
  const OffsetTrimmer trimmer(text);
  for (std::size_t i = 0; i < kept; ++i) {
    Range range = tokens.origins[first + i];
    for (const PlanItem::Trim& trim : item.trims) {
      range = trimmer.trim(range, tokens.blanks[first + i], i == 0 && trim.at_start,
                           trim.add_prefix_space);
    }
    out->offsets.emplace_back(range.begin, range.end);
  }
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view where,
                               std::string_view config_json, const LoadOptions& options) {
  const JsonDocument document = JsonDocument::parse(tokenizer_json, where);
  const JsonValue root = document.root();
  std::optional<JsonDocument> config;
  if (!config_json.empty()) config = JsonDocument::parse(config_json, kConfigFile);
  if (const std::string version = root.string_or("version", "1.0"); version != "1.0") {
    fail(ErrorCode::kUnsupported, root.where() + "/version",
         "expected 1.0, got \"" + printable(version) + "\". Use another tokenizer file.");
  }
  auto impl = std::make_unique<Impl>();
  TextPipeline& pipeline = impl->pipeline;
  pipeline.model = read_model(root.at("model"));
  std::optional<BertNormalizerOptions> bert_normalizer;
  bool lowercased = false;
  if (const auto normalizer = root.find("normalizer")) {
    pipeline.normalizer = Normalizer::from_json(*normalizer);
    lowercased = lowercases(*normalizer);
    if (normalizer->string_or("type", "") == "BertNormalizer")
      bert_normalizer = read_bert_options(*normalizer);
  }
  if (options.lowercase && !lowercased) {
    pipeline.normalizer = std::make_unique<LowercaseFirst>(std::move(pipeline.normalizer));
    bert_normalizer.reset();
  }
  if (const auto pre_tokenizer = root.find("pre_tokenizer")) {
    pipeline.pre_tokenizer = read_pre_tokenizer(*pre_tokenizer);
  }
  if (const auto added = root.find("added_tokens")) {
    pipeline.added.read(*added, *pipeline.model, pipeline.normalizer.get());
  }
  if (const auto processor = root.find("post_processor"))
    impl->post_processor = PostProcessor(*processor);
  if (const auto decoder = root.find("decoder")) impl->decoder = read_decoder(*decoder);
  choose_path(&pipeline, bert_normalizer);
  impl->special_ids = find_special_ids(config ? std::optional(config->root()) : std::nullopt,
                                       pipeline.added, *pipeline.model, impl->post_processor);
  return Tokenizer(std::move(impl));
}

Tokenizer Tokenizer::from_vocab_txt(std::string_view vocab, std::string_view where,
                                    std::string_view config_json, const LoadOptions& load) {
  std::optional<JsonDocument> document;
  if (!config_json.empty()) document = JsonDocument::parse(config_json, kConfigFile);
  const std::optional<JsonValue> config = document ? std::optional(document->root()) : std::nullopt;
  const auto special = [&](std::string_view key, std::string_view fallback) {
    std::optional<AddedTokens::Token> token;
    if (config) token = read_special_token(*config, key);
    if (token) return *token;
    return AddedTokens::Token{std::string(fallback), false, false, false, false, true};
  };
  // In the order in which transformers adds those that the vocabulary lacks.
  const std::vector<AddedTokens::Token> tokens = {
      special("unk_token", "[UNK]"), special("sep_token", "[SEP]"), special("pad_token", "[PAD]"),
      special("cls_token", "[CLS]"), special("mask_token", "[MASK]")};
  BertNormalizerOptions options;
  if (config) {
    options.lowercase = config->bool_or("do_lower_case", true);
    options.handle_chinese_chars = config->bool_or("tokenize_chinese_chars", true);
    if (const auto strip = config->find("strip_accents")) options.strip_accents = strip->boolean();
  }
  auto impl = std::make_unique<Impl>();
  TextPipeline& pipeline = impl->pipeline;
  pipeline.model = std::make_unique<WordPiece>(read_vocab_txt(vocab, where), tokens[0].content,
                                               "##", 100, std::string(where));
  pipeline.normalizer = make_bert_normalizer(options);
  const bool lowercase_first = load.lowercase && !options.lowercase;
  if (lowercase_first)
    pipeline.normalizer = std::make_unique<LowercaseFirst>(std::move(pipeline.normalizer));
  pipeline.pre_tokenizer = make_bert_pre_tokenizer();
  pipeline.added.add(tokens, *pipeline.model, pipeline.normalizer.get());
  const auto id = [&](const AddedTokens::Token& token) {
    return pipeline.added.id(token.content).value_or(0);
  };
  impl->post_processor =
      PostProcessor::bert(tokens[3].content, id(tokens[3]), tokens[1].content, id(tokens[1]));
  impl->decoder = make_wordpiece_decoder("##", true);
  choose_path(&pipeline, lowercase_first ? std::nullopt : std::optional(options));
  impl->special_ids =
      find_special_ids(config, pipeline.added, *pipeline.model, impl->post_processor);
  return Tokenizer(std::move(impl));
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

void Tokenizer::encode(std::string_view text, const EncodeOptions& options, Encoding* out) const {
  impl_->encode({&text, 1}, nullptr, options, out);
}

void Tokenizer::encode_pair(std::string_view first, std::string_view second,
                            const EncodeOptions& options, Encoding* out) const {
  const std::string_view texts[] = {first, second};
  impl_->encode(texts, nullptr, options, out);
}

Tokenizer::First::First(std::string_view text, const EncodeOptions& options)
    : text_(text), options_(options), tokens_(std::make_unique<TextTokens>()) {}
Tokenizer::First::~First() = default;

std::shared_ptr<const Tokenizer::First> Tokenizer::prepare_first(
    std::string_view first, const EncodeOptions& options) const {
  std::shared_ptr<First> prepared(new First(first, options));
  impl_->encode_text(0, first, true, 0, options, prepared->tokens_.get());
  return prepared;
}

void Tokenizer::encode_pair(const First& first, std::string_view second, Encoding* out) const {
  const std::string_view texts[] = {first.text_, second};
  impl_->encode(texts, first.tokens_.get(), first.options_, out);
}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  Encoding out;
  encode(text, options, &out);
  return out;
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second,
                                const EncodeOptions& options) const {
  Encoding out;
  encode_pair(first, second, options, &out);
  return out;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) {
    std::optional<std::string> token = id_to_token(id);
    if (token && !(skip_special_tokens && impl_->pipeline.added.is_special(*token)))
      tokens.push_back(*std::move(token));
  }
  std::string text;
  if (impl_->decoder) impl_->decoder->apply(&tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !impl_->decoder) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::optional<std::int32_t> Tokenizer::token_to_id(std::string_view token) const {
  if (const auto id = impl_->pipeline.added.id(token)) return id;
  const std::int32_t id = impl_->pipeline.model->vocab().find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::optional<std::string> Tokenizer::id_to_token(std::int32_t id) const {
  if (const std::string* text = impl_->pipeline.added.text(id)) return *text;
  const auto token = impl_->pipeline.model->vocab().token(id);
  return token ? std::optional(std::string(*token)) : std::nullopt;
}

std::int64_t Tokenizer::vocab_size() const {
  const auto base = static_cast<std::int64_t>(impl_->pipeline.model->vocab().size());
  return base + impl_->pipeline.added.beyond(*impl_->pipeline.model);
}

int Tokenizer::special_tokens_added(bool pair) const {
  return impl_->post_processor.added_tokens(pair);
}
const SpecialIds& Tokenizer::special_ids() const { return impl_->special_ids; }

}  // namespace inlay::tokens

// See pre_tokenizers.h.
#include "tokens/pre_tokenizers.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokens/byte_alphabet.h"
#include "tokens/nesting.h"
#include "tokens/regex.h"
#include "tokens/split.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

// Memory of one split, reused from call to call on a thread.
struct SplitScratch {
  std::vector<Range> matches, parts;
  std::vector<Stretch> stretches;
  std::string text;
};
SplitScratch& scratch() {
  thread_local SplitScratch scratch;
  return scratch;
}

// Every character for which is_match(c) holds is a match of its own.
template <typename IsMatch>
void match_characters(std::string_view text, IsMatch&& is_match, std::vector<Range>* matches) {
  matches->clear();
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = utf8_decode(text, at);
    if (is_match(c.value)) {
      matches->push_back(
          {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + c.bytes)});
    }
    at += c.bytes;
  }
}

// Splits all pieces at what find(text, matches) finds.
template <typename Find>
void split_at(Pieces* pieces, SplitBehavior behavior, bool invert, Find&& find) {
  SplitScratch& memory = scratch();
  pieces->split([&](std::string_view text, auto&& keep) {
    find(text, &memory.matches);
    cover(text, memory.matches, &memory.stretches);
    if (invert) {
      for (Stretch& stretch : memory.stretches) stretch.match = !stretch.match;
    }
    apply_behavior(behavior, &memory.stretches, &memory.parts);
    for (const Range part : memory.parts) keep(part);
  });
}

template <typename IsMatch>
void split_at_characters(Pieces* pieces, SplitBehavior behavior, IsMatch&& is_match) {
  split_at(pieces, behavior, false, [&](std::string_view text, std::vector<Range>* matches) {
    match_characters(text, is_match, matches);
  });
}

class BertPreTokenizer final : public PreTokenizer {
 public:
  bool is_bert() const override { return true; }
  void apply(Pieces* pieces)
      const override {  // white space removed, then punctuation isolated: in one pass
    pieces->split([](std::string_view text, auto&& keep) {
      std::uint32_t word = 0, at = 0;
      while (at < text.size()) {
        const CodePoint c = utf8_decode(text, at);
        const std::uint32_t flags = char_flags(c.value);
        if ((flags & (kWhitespace | kPunctuation)) != 0) {
          keep(Range{word, at});
          word = at + c.bytes;
          if ((flags & kWhitespace) == 0) keep(Range{at, word});
        }
        at += c.bytes;
      }
      keep(Range{word, at});
    });
  }
};

class Whitespace final : public PreTokenizer {
 public:
  void apply(Pieces* pieces) const override {  // keeps the matches of \w+|[^\w\s]+
    pieces->split([](std::string_view text, auto&& keep) {
      const auto kind = [](char32_t c) { return is_word(c) ? 1 : is_whitespace(c) ? 0 : 2; };
      std::uint32_t begin = 0;
      int current = 0;
      for (std::uint32_t at = 0; at < text.size();) {
        const CodePoint c = utf8_decode(text, at);
        const int next = kind(c.value);
        if (next != current) {
          if (current != 0) keep(Range{begin, at});
          begin = at;
          current = next;
        }
        at += c.bytes;
      }
      if (current != 0) keep(Range{begin, static_cast<std::uint32_t>(text.size())});
    });
  }
};

class WhitespaceSplit final : public PreTokenizer {
 public:
  bool words_at_spaces() const override { return true; }
  void apply(Pieces* pieces) const override {
    split_at_characters(pieces, SplitBehavior::kRemoved, is_whitespace);
  }
};

class Punctuation final : public PreTokenizer {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}
  void apply(Pieces* pieces) const override {
    split_at_characters(pieces, behavior_, is_punctuation);
  }

 private:
  SplitBehavior behavior_;
};

class Digits final : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  void apply(Pieces* pieces) const override {
    split_at_characters(pieces, individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                        is_numeric);
  }

 private:
  bool individual_;
};

class CharDelimiterSplit final : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(char32_t delimiter) : delimiter_(delimiter) {}
  void apply(Pieces* pieces) const override {
    split_at_characters(pieces, SplitBehavior::kRemoved,
                        [this](char32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(std::uint64_t length) : length_(length) {}
  void apply(Pieces* pieces) const override {
    pieces->split([this](std::string_view text, auto&& keep) {
      std::uint32_t begin = 0, at = 0;
      std::uint64_t characters = 0;
      while (at < text.size()) {
        at += utf8_decode(text, at).bytes;
        if (++characters == length_) {
          keep(Range{begin, at});
          begin = at;
          characters = 0;
        }
      }
      keep(Range{begin, at});
    });
  }

 private:
  std::uint64_t length_;
};

class UnicodeScripts final : public PreTokenizer {
 public:
  void apply(Pieces* pieces) const override {
    // A part begins where the script changes; characters of no script go with what is before them,
    // and vanish when nothing is (an oddity of the reference).
    pieces->split([](std::string_view text, auto&& keep) {
      std::uint32_t begin = 0, at = 0;
      std::uint8_t script = kScriptAny;
      while (at < text.size()) {
        const CodePoint c = utf8_decode(text, at);
        const std::uint8_t next = fixed_script(c.value);
        if (next != kScriptAny && next != script) {
          if (script != kScriptAny) keep(Range{begin, at});
          begin = at;
          script = next;
        }
        at += c.bytes;
      }
      if (script != kScriptAny) keep(Range{begin, at});
    });
  }
};

class Split final : public PreTokenizer {
 public:
  Split(Regex regex, SplitBehavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  // The published patterns leave no gaps, so that their matches are the parts either way.
  std::optional<ByteWords> byte_words() const override {
    const bool keeps =
        behavior_ == SplitBehavior::kIsolated || (behavior_ == SplitBehavior::kRemoved && invert_);
    if (!keeps || regex_.matcher() == nullptr) return std::nullopt;
    return ByteWords{regex_.matcher(), false};
  }
  void apply(Pieces* pieces) const override {
    split_at(pieces, behavior_, invert_,
             [this](std::string_view text, std::vector<Range>* matches) {
               regex_.find_all(text, matches);
             });
  }

 private:
  Regex regex_;
  SplitBehavior behavior_;
  bool invert_;
};

class SplitLiteral final : public PreTokenizer {
 public:
  SplitLiteral(std::string literal, SplitBehavior behavior, bool invert)
      : literal_(std::move(literal)), behavior_(behavior), invert_(invert) {}
  void apply(Pieces* pieces) const override {
    split_at(
        pieces, behavior_, invert_, [this](std::string_view text, std::vector<Range>* matches) {
          matches->clear();
          for (std::size_t at = text.find(literal_); at != std::string_view::npos;
               at = text.find(literal_, at + literal_.size())) {
            matches->push_back(
                {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + literal_.size())});
          }
        });
  }

 private:
  std::string literal_;  // not empty
  SplitBehavior behavior_;
  bool invert_;
};

enum class PrependScheme { kAlways, kNever, kFirst };

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme), split_(split) {}
  bool needs_origins() const override { return scheme_ == PrependScheme::kFirst; }
  bool marks_every_word() const { return scheme_ != PrependScheme::kFirst; }
  std::string_view word_mark() const override {
    return scheme_ == PrependScheme::kAlways ? std::string_view(replacement_) : std::string_view();
  }
  void apply(Pieces* pieces) const override {
    pieces->rewrite([this](Pieces::Writer& writer) {
      const std::string_view old = writer.old();
      const bool marked = old.starts_with(' ') || old.starts_with(replacement_);
      if (!marked && (scheme_ == PrependScheme::kAlways ||
                      (scheme_ == PrependScheme::kFirst && writer.origin() == 0))) {
        writer.put(replacement_, 0);
      }
      for (std::size_t at = 0; at < old.size();) {
        std::size_t space = std::min(old.find(' ', at), old.size());
        writer.copy(at, space);
        if (space < old.size()) writer.put(replacement_, space);
        at = space + 1;
      }
      if (!split_) return writer.finish_whole();
      SplitScratch& memory = scratch();
      const std::string_view text = writer.written();
      memory.matches.clear();
      for (std::size_t at = text.find(replacement_); at != std::string_view::npos;
           at = text.find(replacement_, at + replacement_.size())) {
        memory.matches.push_back(
            {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + replacement_.size())});
      }
      cover(text, memory.matches, &memory.stretches);
      apply_behavior(SplitBehavior::kMergedWithNext, &memory.stretches, &memory.parts);
      for (const Range part : memory.parts) writer.finish_part(part);
    });
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex) : add_prefix_space_(add_prefix_space) {
    if (use_regex) {
      regex_.emplace(
          R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
          "ByteLevel");
    }
  }
  bool only_spells() const { return !regex_ && !add_prefix_space_; }
  std::optional<ByteWords> byte_words() const override {
    if (!regex_) return std::nullopt;
    return ByteWords{regex_->matcher(), add_prefix_space_};
  }
  void apply(Pieces* pieces) const override {
    SplitScratch& memory = scratch();
    pieces->rewrite([&](Pieces::Writer& writer) {
      std::string_view text = writer.old();
      const bool prefixed = add_prefix_space_ && !text.starts_with(' ');
      if (prefixed) {
        memory.text.assign(1, ' ');
        memory.text += text;
        text = memory.text;
      }
      if (!regex_) {
        spell(writer, text, {0, static_cast<std::uint32_t>(text.size())}, prefixed);
        return writer.finish_whole();
      }
      regex_->find_all(text, &memory.matches);
      for (const Range match : memory.matches) {
        const auto begin = static_cast<std::uint32_t>(writer.written().size());
        spell(writer, text, match, prefixed);
        writer.finish_part({begin, static_cast<std::uint32_t>(writer.written().size())});
      }
    });
  }

 private:
  static void spell(Pieces::Writer& writer, std::string_view text, Range range, bool prefixed) {
    for (std::uint32_t at = range.begin; at < range.end; ++at) {
      writer.put_character(kByteCharacters[static_cast<unsigned char>(text[at])],
                           prefixed && at > 0 ? at - 1 : at);
    }
  }
  bool add_prefix_space_;
  std::optional<Regex> regex_;
};

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  bool needs_origins() const override {
    for (const auto& part : parts_) {
      if (part->needs_origins()) return true;
    }
    return false;
  }
  // A Split and a ByteLevel that spells.
  std::optional<ByteWords> byte_words() const override {
    if (parts_.size() != 2 || dynamic_cast<const Split*>(parts_[0].get()) == nullptr) {
      return std::nullopt;
    }
    const auto* spelling = dynamic_cast<const ByteLevel*>(parts_[1].get());
    if (spelling == nullptr || !spelling->only_spells()) return std::nullopt;
    return parts_[0]->byte_words();
  }
  // WhitespaceSplit, then Metaspace on each word alike.
  bool words_at_spaces() const override {
    if (parts_.size() != 2 || !parts_[0]->words_at_spaces()) return false;
    const auto* metaspace = dynamic_cast<const Metaspace*>(parts_[1].get());
    return metaspace != nullptr && metaspace->marks_every_word();
  }
  std::string_view word_mark() const override {
    return words_at_spaces() ? parts_[1]->word_mark() : std::string_view();
  }
  void apply(Pieces* pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// A string of exactly one character.
std::string read_character(const JsonValue& json) {
  const std::string_view text = json.string();
  if (text.empty() || utf8_decode(text, 0).bytes != text.size()) {
    fail(ErrorCode::kBadInput, json.where(),
         "expected one character, got \"" + printable(text) + "\". Correct the file.");
  }
  return std::string(text);
}

std::unique_ptr<PreTokenizer> read_metaspace(const JsonValue& json) {
  PrependScheme scheme = PrependScheme::kAlways;
  const std::string name = json.string_or("prepend_scheme", "");
  if (name == "never") {
    scheme = PrependScheme::kNever;
  } else if (name == "first") {
    scheme = PrependScheme::kFirst;
  } else if (!name.empty() && name != "always") {
    fail(ErrorCode::kBadInput, json.where() + "/prepend_scheme",
         "expected always, never or first, got \"" + printable(name) + "\". Correct the file.");
  }
  if (!json.bool_or("add_prefix_space", true)) {  // how it was said before prepend_scheme
    if (!name.empty() && scheme != PrependScheme::kNever) {
      fail(ErrorCode::kBadInput, json.where() + "/add_prefix_space",
           "expected what prepend_scheme says, got false beside \"" + printable(name) +
               "\". Correct the file.");
    }
    scheme = PrependScheme::kNever;
  }
  return std::make_unique<Metaspace>(read_character(json.at("replacement")), scheme,
                                     json.bool_or("split", true));
}

std::unique_ptr<PreTokenizer> read_split(const JsonValue& json) {
  const JsonValue pattern = json.at("pattern");
  const SplitBehavior behavior = read_split_behavior(json.at("behavior"));
  const bool invert = json.at("invert").boolean();
  if (const auto regex = pattern.find("Regex")) {
    return std::make_unique<Split>(Regex(regex->string(), regex->where()), behavior, invert);
  }
  const JsonValue literal = pattern.at("String");
  if (literal.string()
          .empty()) {  // matches between all characters, as the empty regular expression does
    return std::make_unique<Split>(Regex("", literal.where()), behavior, invert);
  }
  return std::make_unique<SplitLiteral>(std::string(literal.string()), behavior, invert);
}

std::unique_ptr<PreTokenizer> read_fixed_length(const JsonValue& json) {
  const std::int64_t length = json.integer_or("length", 5);
  if (length <= 0) {
    fail(ErrorCode::kBadInput, json.where() + "/length",
         "expected a length of at least 1, got " + std::to_string(length) + ". Correct the file.");
  }
  return std::make_unique<FixedLength>(static_cast<std::uint64_t>(length));
}

std::unique_ptr<PreTokenizer> read_nested_pre_tokenizer(const JsonValue& json, int depth) {
  const std::string_view type = json.at("type").string();
  if (type == "BertPreTokenizer") return make_bert_pre_tokenizer();
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "WhitespaceSplit") return std::make_unique<WhitespaceSplit>();
  if (type == "Metaspace") return read_metaspace(json);
  if (type == "ByteLevel") {
    return std::make_unique<ByteLevel>(json.at("add_prefix_space").boolean(),
                                       json.bool_or("use_regex", true));
  }
  if (type == "Split") return read_split(json);
  if (type == "Digits") return std::make_unique<Digits>(json.at("individual_digits").boolean());
  if (type == "Punctuation") {
    const auto behavior = json.find("behavior");
    return std::make_unique<Punctuation>(behavior ? read_split_behavior(*behavior)
                                                  : SplitBehavior::kIsolated);
  }
  if (type == "CharDelimiterSplit") {
    return std::make_unique<CharDelimiterSplit>(
        utf8_decode(read_character(json.at("delimiter")), 0).value);
  }
  if (type == "UnicodeScripts") return std::make_unique<UnicodeScripts>();
  if (type == "FixedLength") return read_fixed_length(json);
  if (type == "Sequence") {
    if (depth >= kMaxNesting) {
      fail(ErrorCode::kBadInput, json.where(),
           "expected at most 32 nested sequences, got more. Correct the file.");
    }
    std::vector<std::unique_ptr<PreTokenizer>> parts;
    for (const JsonValue& item : json.at("pretokenizers").items())
      parts.push_back(read_nested_pre_tokenizer(item, depth + 1));
    if (parts.size() == 1) return std::move(parts.front());
    return std::make_unique<SequencePreTokenizer>(std::move(parts));
  }
  fail(ErrorCode::kUnsupported, json.where() + "/type",
       "expected a pre-tokenizer that Inlay has, got \"" + printable(type) +
           "\". Use another tokenizer file.");
}

}  // namespace

std::unique_ptr<PreTokenizer> make_bert_pre_tokenizer() {
  return std::make_unique<BertPreTokenizer>();
}

std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonValue& json) {
  return json.is_null() ? nullptr : read_nested_pre_tokenizer(json, 0);
}

}  // namespace inlay::tokens

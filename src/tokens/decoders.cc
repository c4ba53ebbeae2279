// See decoders.h.
#include "tokens/decoders.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/byte_alphabet.h"
#include "tokens/nesting.h"
#include "tokens/regex.h"

namespace inlay::tokens {
namespace {

constexpr std::int64_t kMaxStrip = 65535;
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What a text may become; a chain of replacements could otherwise grow it exponentially.
constexpr std::size_t kMaxDecodedBytes = 256U << 20U;
void check_growth(std::size_t bytes) {
  if (bytes > kMaxDecodedBytes) {
    fail(ErrorCode::kBadInput, "decoder",
         "expected decoders that leave at most 256 MiB, got more. Use another tokenizer file.");
  }
}

// Rust's str::replace: an empty `from` stands before every character and at the end.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  if (from.empty()) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t bytes = utf8_decode(text, at).bytes;
      result += to;
      result += text.substr(at, bytes);
      at += bytes;
      check_growth(result.size());
    }
    return result += to;
  }
  std::size_t at = 0;
  for (std::size_t found; (found = text.find(from, at)) != std::string_view::npos;
       at = found + from.size()) {
    result += text.substr(at, found - at);
    result += to;
    check_growth(result.size());
  }
  return result += text.substr(at);
}

// How many bytes at the start of `text`, which is not well-formed there, one replacement character
// stands for: the longest beginning of a well-formed sequence, at least one (Unicode's practice,
// and Rust's from_utf8_lossy).
std::size_t broken_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t expected = 0;
  unsigned char low = 0x80, high = 0xBF;  // of the second byte
  if (first >= 0xC2 && first <= 0xDF) expected = 2;
  if (first >= 0xE0 && first <= 0xEF) expected = 3;
  if (first >= 0xF0 && first <= 0xF4) expected = 4;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  std::size_t length = 1;
  while (length < expected && length < text.size() && byte(length) >= low && byte(length) <= high) {
    low = 0x80;
    high = 0xBF;
    ++length;
  }
  return length;
}

std::string lossy(std::string_view bytes) {
  std::string result;
  while (!bytes.empty()) {
    const std::size_t good = utf8_valid_prefix(bytes);
    result += bytes.substr(0, good);
    bytes.remove_prefix(good);
    if (bytes.empty()) break;
    result += kReplacementCharacter;
    bytes.remove_prefix(broken_bytes(bytes));
  }
  return result;
}

std::string cleanup(std::string text) {
  if (text.find(' ') == std::string::npos) return text;
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

class ByteLevelDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>* tokens) const override {
    std::string bytes;
    for (const std::string& token : *tokens) {
      const std::size_t before = bytes.size();
      for (std::size_t at = 0; at < token.size();) {
        const CodePoint c = utf8_decode(token, at);
        const int byte = character_byte(c.value);
        if (byte < 0) {  // not of the alphabet: the token stands for itself
          bytes.resize(before);
          bytes += token;
          break;
        }
        bytes += static_cast<char>(byte);
        at += c.bytes;
      }
    }
    tokens->assign(1, lossy(bytes));
  }
};

class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>* tokens) const override {
    for (std::size_t i = 0; i < tokens->size(); ++i) {
      std::string& token = (*tokens)[i];
      if (i != 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(0, 1, ' ');
        }
      }
      if (cleanup_) token = cleanup(std::move(token));
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, bool drop_first)
      : replacement_(std::move(replacement)), drop_first_(drop_first) {}
  void apply(std::vector<std::string>* tokens) const override {
    for (std::size_t i = 0; i < tokens->size(); ++i) {
      (*tokens)[i] = replace_all((*tokens)[i], replacement_, i == 0 && drop_first_ ? "" : " ");
    }
  }

 private:
  std::string replacement_;
  bool drop_first_;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(std::vector<std::string>* tokens) const override {
    for (std::size_t i = 0; i < tokens->size(); ++i) {
      (*tokens)[i] = replace_all((*tokens)[i], suffix_, i + 1 == tokens->size() ? "" : " ");
    }
  }

 private:
  std::string suffix_;
};

class ByteFallbackDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>* tokens) const override {
    std::vector<std::string> result;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (utf8_valid(bytes)) {
        result.push_back(bytes);
      } else {
        result.insert(result.end(), bytes.size(), std::string(kReplacementCharacter));
      }
      bytes.clear();
    };
    for (std::string& token : *tokens) {
      if (const auto byte = byte_of(token)) {
        bytes += static_cast<char>(*byte);
      } else {
        flush();
        result.push_back(std::move(token));
      }
    }
    flush();
    *tokens = std::move(result);
  }

 private:
  static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }
  static std::optional<int> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    const int high = token[3] == '+' ? 0 : hex(token[3]);  // Rust reads "+F" as a number too
    const int low = hex(token[4]);
    if (high < 0 || low < 0) return std::nullopt;
    return high * 16 + low;
  }
};

class FuseDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>* tokens) const override {
    std::string all;
    for (const std::string& token : *tokens) all += token;
    tokens->clear();
    tokens->push_back(std::move(all));
  }
};

class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(std::vector<std::string>* tokens) const override {
    for (std::string& token : *tokens) {
      std::string_view rest = token;
      for (std::size_t i = 0; i < start_ && rest.starts_with(content_); ++i)
        rest.remove_prefix(content_.size());
      for (std::size_t i = 0; i < stop_ && rest.ends_with(content_); ++i)
        rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
  }

 private:
  std::string content_;  // one character
  std::size_t start_, stop_;
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(std::string literal, std::optional<Regex> regex, std::string content)
      : literal_(std::move(literal)), regex_(std::move(regex)), content_(std::move(content)) {}
  void apply(std::vector<std::string>* tokens) const override {
    std::vector<Range> matches;
    for (std::string& token : *tokens) {
      if (token.empty()) continue;  // the reference looks for nothing in an empty token
      if (!regex_) {
        token = replace_all(token, literal_, content_);
        continue;
      }
      regex_->find_all(token, &matches);
      std::string result;
      std::size_t at = 0;
      for (const Range match : matches) {
        result.append(token, at, match.begin - at);
        result += content_;
        at = match.end;
        check_growth(result.size());
      }
      token = result.append(token, at);
    }
  }

 private:
  std::string literal_;
  std::optional<Regex> regex_;
  std::string content_;
};

class CtcDecoder final : public Decoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>* tokens) const override {
    tokens->erase(std::unique(tokens->begin(), tokens->end()), tokens->end());
    for (std::string& token : *tokens) {
      token = replace_all(token, pad_, "");
      if (cleanup_) token = replace_all(cleanup(std::move(token)), delimiter_, " ");
    }
    std::erase_if(*tokens, [](const std::string& token) { return token.empty(); });
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> parts)
      : parts_(std::move(parts)) {}
  void apply(std::vector<std::string>* tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

std::string read_text(const JsonValue& json, std::string_view key) {
  return std::string(json.at(key).string());
}

std::string read_character(const JsonValue& json, std::string_view key) {
  std::string text = read_text(json, key);
  if (text.empty() || utf8_decode(text, 0).bytes != text.size()) {
    fail(ErrorCode::kBadInput, json.where() + "/" + std::string(key),
         "expected one character, got \"" + printable(text) + "\". Correct the file.");
  }
  return text;
}

std::unique_ptr<Decoder> read_strip(const JsonValue& json) {
  std::size_t counts[2];
  for (const bool stop : {false, true}) {
    const JsonValue count = json.at(stop ? "stop" : "start");
    if (count.integer() < 0 || count.integer() > kMaxStrip) {
      fail(ErrorCode::kBadInput, count.where(),
           "expected a count from 0 to 65535, got " + std::to_string(count.integer()) +
               ". Correct the file.");
    }
    counts[stop] = static_cast<std::size_t>(count.integer());
  }
  return std::make_unique<StripDecoder>(read_character(json, "content"), counts[0], counts[1]);
}

std::unique_ptr<Decoder> read_replace(const JsonValue& json) {
  const JsonValue pattern = json.at("pattern");
  const auto regex = pattern.find("Regex");
  std::string literal = regex ? "" : read_text(pattern, "String");
  std::optional<Regex> compiled;
  if (regex) compiled.emplace(regex->string(), regex->where());
  if (!regex && literal.empty()) compiled.emplace("", pattern.where());
  return std::make_unique<ReplaceDecoder>(std::move(literal), std::move(compiled),
                                          read_text(json, "content"));
}

std::unique_ptr<Decoder> read_nested_decoder(const JsonValue& json, int depth) {
  const std::string_view type = json.at("type").string();
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "WordPiece")
    return make_wordpiece_decoder(read_text(json, "prefix"), json.at("cleanup").boolean());
  if (type == "Metaspace") {
    const bool never = json.string_or("prepend_scheme", "always") == "never" ||
                       !json.bool_or("add_prefix_space", true);
    return std::make_unique<MetaspaceDecoder>(read_character(json, "replacement"), !never);
  }
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(read_text(json, "suffix"));
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return read_strip(json);
  if (type == "Replace") return read_replace(json);
  if (type == "CTC") {
    return std::make_unique<CtcDecoder>(read_text(json, "pad_token"),
                                        read_text(json, "word_delimiter_token"),
                                        json.at("cleanup").boolean());
  }
  if (type == "Sequence") {
    if (depth >= kMaxNesting) {
      fail(ErrorCode::kBadInput, json.where(),
           "expected at most 32 nested sequences, got more. Correct the file.");
    }
    std::vector<std::unique_ptr<Decoder>> parts;
    for (const JsonValue& item : json.at("decoders").items())
      parts.push_back(read_nested_decoder(item, depth + 1));
    return std::make_unique<SequenceDecoder>(std::move(parts));
  }
  fail(ErrorCode::kUnsupported, json.where() + "/type",
       "expected a decoder that Inlay has, got \"" + printable(type) +
           "\". Use another tokenizer file.");
}

}  // namespace

std::unique_ptr<Decoder> make_wordpiece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}

std::unique_ptr<Decoder> read_decoder(const JsonValue& json) {
  return json.is_null() ? nullptr : read_nested_decoder(json, 0);
}

}  // namespace inlay::tokens

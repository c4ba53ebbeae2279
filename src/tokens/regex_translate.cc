// See regex_translate.h.
#include "tokens/regex_translate.h"

#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/code_set.h"

namespace inlay::tokens {
namespace {

constexpr std::size_t kMaxPatternBytes = 64 * 1024;
constexpr std::size_t kSharedClassBytes =
    256;  // of a class's text, from which sharing saves something
constexpr int kMaxDepth = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where, bool share)
      : pattern_(pattern), where_(where), share_(share) {}

  std::string run() {
    if (pattern_.size() > kMaxPatternBytes)
      refuse(ErrorCode::kBadInput, "expected a pattern of at most 64 KiB, got a longer one");
    while (at_ < pattern_.size() && out_.size() < kMaxTranslatedBytes) item();
    if (!groups_.empty() && at_ == pattern_.size()) broken();
    if (!shared_.empty()) out_ += "(?(DEFINE)" + definitions_ + ")";
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, const std::string& message) const {
    fail(code, where_,
         message + " at byte " + std::to_string(at_) + " of the pattern \"" + printable(pattern_) +
             "\". Write the pattern without it.");
  }
  [[noreturn]] void broken() const {
    refuse(ErrorCode::kBadInput, "expected a well-formed regular expression, got a broken one");
  }
  [[noreturn]] void unsupported() const {
    refuse(ErrorCode::kUnsupported,
           "expected regular expression syntax that Inlay has, got another construct");
  }
  bool more() const { return at_ < pattern_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  // ---- outside classes

  void begin_atom() { atom_ = out_.size(); }

  void item() {
    switch (const char c = peek()) {
      case '\\':
        begin_atom();
        ++at_;
        escape();
        break;
      case '[':
        begin_atom();
        emit_class();
        break;
      case '(':
        open_group();
        break;
      case ')':
        if (groups_.empty()) broken();
        ++at_;
        atom_ = groups_.back().out;
        extended_ = groups_.back().extended;
        groups_.pop_back();
        out_ += ')';
        break;
      case '^':  // Ruby: the start of a line, but not after a final line break
        ++at_;
        out_ += "(?:^)";
        break;
      case '$':  // Ruby: the end of a line, and the end of the text even behind a final line break
        ++at_;
        out_ += "(?:(?=\\n)|\\z)";
        break;
      case '*':
      case '+':
      case '?':
        out_ += c;
        ++at_;
        if (peek() == '+' || peek() == '?') out_ += pattern_[at_++];
        break;
      case '{':
        interval();
        break;
      case '#':
        if (extended_) {
          while (more() && peek() != '\n') ++at_;
          break;
        }
        [[fallthrough]];
      default:
        begin_atom();
        literal();
    }
  }

  void literal() {
    const CodePoint c = utf8_decode(pattern_, at_);
    at_ += c.bytes;
    if (c.value < 0x80 && extended_ && (c.value == ' ' || (c.value >= 9 && c.value <= 13))) return;
    emit_code_point(c.value);
  }

  void emit_code_point(char32_t c) {
    if (c < 0x80 && !is_alnum(static_cast<char>(c))) {
      if (c == '|' || c == '.') {
        out_ += static_cast<char>(c);
        return;
      }
      emit_hex(c);
    } else {
      utf8_append(out_, c);
    }
  }
  void emit_hex(char32_t c) {
    char text[16];
    std::snprintf(text, sizeof(text), "\\x{%X}", static_cast<unsigned>(c));
    out_ += text;
  }

  // {n,m}: Ruby's {,m} is {0,m}, and {n,m}+ repeats the repetition where PCRE2 would make it
  // possessive.
  void interval() {
    std::size_t end = at_ + 1;
    const auto digits = [&] {
      const std::size_t begin = end;
      while (end < pattern_.size() && is_digit(pattern_[end])) ++end;
      return pattern_.substr(begin, end - begin);
    };
    const std::string_view low = digits();
    const bool comma = end < pattern_.size() && pattern_[end] == ',';
    if (comma) ++end;
    const std::string_view high = comma ? digits() : low;
    if (end >= pattern_.size() || pattern_[end] != '}' || (low.empty() && high.empty()) ||
        low.size() > 5 || high.size() > 5) {
      begin_atom();
      ++at_;
      out_ += "\\{";
      return;
    }
    at_ = end + 1;
    std::string repeat = "{" + std::string(low.empty() ? "0" : low);
    if (comma) repeat += "," + std::string(high);
    repeat += "}";
    out_ += repeat;
    if (peek() == '+') {
      out_.insert(atom_, "(?:");
      out_ += ')';
    } else if (peek() == '?' && !comma) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    } else if (peek() == '?') {
      out_ += pattern_[at_++];
    }
  }

  void open_group() {
    if (groups_.size() > kMaxDepth)
      refuse(ErrorCode::kBadInput, "expected at most 100 nested groups, got more");
    const std::size_t begin = out_.size();
    ++at_;
    if (peek() != '?') {
      if (peek() == '*') unsupported();
      groups_.push_back({begin, extended_});
      out_ += '(';
      return;
    }
    if (starts("?#")) {
      while (more() && peek() != ')') ++at_;
      if (!more()) broken();
      ++at_;
      return;
    }
    for (const std::string_view kind : {"?:", "?=", "?!", "?>", "?<=", "?<!"}) {
      if (!starts(kind)) continue;
      at_ += kind.size();
      groups_.push_back({begin, extended_});
      out_ += '(';
      out_ += kind;
      return;
    }
    if (starts("?<")) {
      std::size_t end = at_ + 2;
      while (end < pattern_.size() && (is_alnum(pattern_[end]) || pattern_[end] == '_')) ++end;
      if (end >= pattern_.size() || pattern_[end] != '>' || end == at_ + 2) unsupported();
      out_ += '(';
      out_ += pattern_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      groups_.push_back({begin, extended_});
      return;
    }
    options(begin);
  }

  // (?imx-imx) and (?imx-imx:...); Ruby's m lets the dot match line breaks, which PCRE2 calls s.
  void options(std::size_t begin) {
    ++at_;
    std::string flags;
    bool on = true;
    const bool extended_before = extended_;
    for (;; ++at_) {
      const char c = peek();
      if (c == '-') {
        on = false;
        flags += '-';
      } else if (c == 'i') {
        flags += 'i';
      } else if (c == 'm') {
        flags += 's';
      } else if (c == 'x') {
        extended_ = on;  // white space and comments are dropped here, so PCRE2 need not know
      } else {
        break;
      }
    }
    if (flags.ends_with('-')) flags.pop_back();
    if (peek() == ':') {
      ++at_;
      groups_.push_back({begin, extended_before});
      out_ += "(?" + flags + ":";
    } else if (peek() == ')') {
      ++at_;
      out_ += flags.empty() ? "" : "(?" + flags + ")";
    } else {
      unsupported();
    }
  }

  void escape() {
    if (!more()) broken();
    if (const auto set = class_escape(false)) {
      emit_set(*set, false);
      return;
    }
    switch (const char c = peek()) {
      case 'b':
      case 'B': {
        ++at_;
        const std::string word = set_text(named("w"), false);
        out_ += c == 'b'
                    ? "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))"
                    : "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))";
        return;
      }
      case 'A':
      case 'z':
      case 'Z':
        ++at_;
        out_ += '\\';
        out_ += c;
        return;
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7':
      case '8':
      case '9':
        ++at_;
        if (is_digit(peek())) unsupported();
        out_ += '\\';
        out_ += c;
        return;
      case 'G':
      case 'K':
      case 'k':
      case 'g':
      case 'R':
      case 'X':
      case 'O':
      case 'N':
      case 'y':
      case 'Y':
        unsupported();
      default:
        emit_hex(escaped_character());
    }
  }

  // After a backslash: the character that it stands for, in and outside classes.
  char32_t escaped_character() {
    const CodePoint c = utf8_decode(pattern_, at_);
    at_ += c.bytes;
    switch (c.value) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 'f':
        return '\f';
      case 'v':
        return 0x0B;
      case 'a':
        return 0x07;
      case 'e':
        return 0x1B;
      case 'u':
        return hex_digits(4, 4);
      case 'x':
        if (peek() == '{') {
          ++at_;
          const char32_t value = hex_digits(1, 8);
          if (peek() != '}') broken();
          ++at_;
          return value;
        }
        return ascii_only(hex_digits(1, 2));
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7': {
        char32_t value = c.value - '0';
        for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i)
          value = value * 8 + static_cast<char32_t>(pattern_[at_++] - '0');
        return ascii_only(value);
      }
      case 'c':
      case 'C':
      case 'M':
        unsupported();
      default:
        return c.value;
    }
  }
  char32_t ascii_only(char32_t value) const {
    if (value >= 0x80) unsupported();  // raw bytes of a UTF-8 sequence
    return value;
  }
  char32_t hex_digits(int least, int most) {
    char32_t value = 0;
    int count = 0;
    while (count < most && hex_value(peek()) >= 0) {
      value = value * 16 + static_cast<char32_t>(hex_value(pattern_[at_++]));
      ++count;
    }
    if (count < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) broken();
    return value;
  }

  // ---- classes

  CodeSet named(std::string_view name) const {
    CodeSet set;
    if (name == "ascii" || name == "ASCII") {
      set.add(0, 0x7F);
      return set;
    }
    const auto ranges = unicode_class(name);
    if (ranges.empty()) {
      refuse(ErrorCode::kUnsupported,
             "expected a character class that Inlay has, got \"" + printable(name) + "\"");
    }
    set.add(ranges);
    return set;
  }

  // Oniguruma's word characters, in brackets: without the superscripts and fractions of Latin-1,
  // which it counts as word characters everywhere else (recorded from the wheel over every code
  // point).
  CodeSet bracket_word() const {
    CodeSet others;
    others.add(0xB2, 0xB3);
    others.add(0xB9, 0xB9);
    others.add(0xBC, 0xBE);
    others.complement();
    CodeSet word = named("w");
    word.intersect(std::move(others));
    return word;
  }
  static bool is_word_name(std::string_view name) {
    return name.size() == 4 && (name[0] | 0x20) == 'w' && (name[1] | 0x20) == 'o' &&
           (name[2] | 0x20) == 'r' && (name[3] | 0x20) == 'd';
  }

  // \s \d \w \h \p{..} and their complements, at the letter; nullopt for anything else.
  std::optional<CodeSet> class_escape(bool in_brackets) {
    const char c = peek();
    const char lower = static_cast<char>(c | 0x20);
    CodeSet set;
    bool negated = c != lower;
    if (lower == 's' || lower == 'd' || lower == 'w' || lower == 'h') {
      ++at_;
      set = lower == 'w' && in_brackets ? bracket_word() : named(std::string_view(&lower, 1));
    } else if (lower == 'p' && peek(1) == '{') {
      at_ += 2;
      if (peek() == '^') {
        negated = !negated;
        ++at_;
      }
      const std::size_t close = pattern_.find('}', at_);
      if (close == std::string_view::npos) broken();
      const std::string_view name = pattern_.substr(at_, close - at_);
      set = in_brackets && is_word_name(name) ? bracket_word() : named(name);
      at_ = close + 1;
    } else {
      return std::nullopt;
    }
    if (negated) set.complement();
    return set;
  }

  // At '['. Returns the set without its outer negation.
  CodeSet read_class(bool* negated, int depth) {
    if (depth > kMaxDepth)
      refuse(ErrorCode::kBadInput, "expected at most 100 nested classes, got more");
    ++at_;
    *negated = peek() == '^';
    if (*negated) ++at_;
    CodeSet whole, part;
    bool intersecting = false, first = true;
    const auto close_part = [&] {
      part.normalize();
      if (intersecting) {
        whole.intersect(std::move(part));
      } else {
        whole = std::move(part);
      }
      part = CodeSet();
    };
    for (;; first = false) {
      if (!more()) broken();
      if (peek() == ']' && !first) break;
      if (starts("&&")) {
        at_ += 2;
        close_part();
        intersecting = true;
        continue;
      }
      if (starts("[:")) {
        if (posix_bracket(&part)) continue;
      }
      if (peek() == '[') {
        bool inner_negated = false;
        CodeSet inner = read_class(&inner_negated, depth + 1);
        if (inner_negated) inner.complement();
        part.add(inner);
        continue;
      }
      if (peek() == '\\') {
        ++at_;
        if (!more()) broken();
        if (const auto set = class_escape(true)) {
          part.add(*set);
          continue;
        }
        --at_;
      }
      const char32_t low = class_character();
      char32_t high = low;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < pattern_.size() && peek(1) != '[') {
        const std::size_t dash = at_;
        ++at_;
        if (peek() == '\\' && is_class_escape(peek(1))) {
          at_ = dash;
        } else {
          high = class_character();
          if (high < low) broken();
        }
      }
      part.add(low, high);
    }
    ++at_;
    close_part();
    return whole;
  }
  static bool is_class_escape(char c) {
    return std::string_view("sSdDwWhHpP").find(c) != std::string_view::npos;
  }
  char32_t class_character() {
    if (peek() == '\\') {
      ++at_;
      if (!more()) broken();
      if (peek() == 'b') {
        ++at_;
        return 0x08;
      }
      return escaped_character();
    }
    const CodePoint c = utf8_decode(pattern_, at_);
    at_ += c.bytes;
    return c.value;
  }
  bool posix_bracket(CodeSet* part) {
    const std::size_t close = pattern_.find(":]", at_ + 2);
    if (close == std::string_view::npos || close - at_ > 16) return false;
    std::string_view name = pattern_.substr(at_ + 2, close - at_ - 2);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    CodeSet set = is_word_name(name) ? bracket_word() : named(name);
    if (name == "punct") set.add(unicode_class("S"));  // in brackets; \p{Punct} is \p{P}
    if (negated) set.complement();
    part->add(set);
    at_ = close + 2;
    return true;
  }

  void emit_class() {
    bool negated = false;
    CodeSet set = read_class(&negated, 0);
    emit_set(std::move(set), negated);
  }
  void emit_set(CodeSet set, bool negated) { out_ += set_text(std::move(set), negated); }
  std::string set_text(CodeSet set, bool negated) {
    set.normalize();
    if (set.ranges().empty()) return negated ? "(?s:.)" : "(?!)";
    std::string text = negated ? "[^" : "[";
    char buffer[40];
    for (const CodeRange& range : set.ranges()) {
      // PCRE2 refuses surrogates, and no valid text holds one.
      for (const CodeRange& half :
           {CodeRange{range.first, std::min<char32_t>(range.last, 0xD7FF)},
            CodeRange{std::max<char32_t>(range.first, 0xE000), range.last}}) {
        if (half.first > half.last) continue;
        std::snprintf(buffer, sizeof(buffer), "\\x{%X}-\\x{%X}", static_cast<unsigned>(half.first),
                      static_cast<unsigned>(half.last));
        text += buffer;
      }
    }
    text += "]";
    if (!share_ || text.size() < kSharedClassBytes) return text;
    const auto [entry, is_new] =
        shared_.try_emplace(text, "c" + std::to_string(shared_.size()) + "_");
    if (is_new) definitions_ += "(?<" + entry->second + ">" + text + ")";
    return "(?&" + entry->second + ")";
  }

  struct Group {
    std::size_t out;
    bool extended;
  };
  std::string_view pattern_, where_;
  const bool share_;
  std::map<std::string, std::string> shared_;  // a class's text to its name
  std::string definitions_;
  std::size_t at_ = 0;
  std::string out_;
  std::size_t atom_ = 0;  // where in out_ the last atom begins
  std::vector<Group> groups_;
  bool extended_ = false;
};

}  // namespace

std::string translate_regex(std::string_view pattern, std::string_view where, bool share) {
  return Translator(pattern, where, share).run();
}

}  // namespace inlay::tokens

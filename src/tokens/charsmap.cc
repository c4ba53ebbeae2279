// The character map of the Precompiled normalizer: reading, checking, applying.
#include "tokens/charsmap.h"

#include <array>
#include <bitset>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

// The bits of a unit, as the Darts-clone library lays them out.
constexpr std::uint32_t kValueBit = 1U << 31;
constexpr bool has_leaf(std::uint32_t unit) noexcept { return ((unit >> 8) & 1U) != 0; }
constexpr std::uint32_t leaf_value(std::uint32_t unit) noexcept { return unit & ~kValueBit; }
constexpr std::uint32_t label(std::uint32_t unit) noexcept { return unit & (kValueBit | 0xFFU); }
constexpr std::uint32_t offset(std::uint32_t unit) noexcept {
  return (unit >> 10) << ((unit & (1U << 9)) >> 6);
}

[[noreturn]] void broken(std::string_view where, const std::string& message) {
  fail(ErrorCode::kBadInput, where, message + " The file is damaged; fetch it again.");
}

std::uint32_t read_u32(std::string_view bytes, std::size_t at) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr auto kDigits = [] {
    std::array<std::int8_t, 256> digits{};
    for (auto& digit : digits) digit = -1;
    constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
      digits[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
    }
    return digits;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  std::uint32_t count = 0;
  for (const char c : digits) {
    const std::int8_t digit = kDigits[static_cast<unsigned char>(c)];
    if (digit < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xFFU);
    }
  }
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;  // bits that no encoder leaves
  return out;
}

Charsmap Charsmap::from_base64(std::string_view base64, std::string_view where) {
  const std::optional<std::string> blob = decode_base64(base64);
  if (!blob) broken(where, "expected base64, got \"" + printable(base64, 40) + "\".");
  return from_bytes(*blob, where);
}

Charsmap Charsmap::from_bytes(std::string_view blob, std::string_view where) {
  if (blob.size() < 4) {
    broken(where, "expected the size of a trie, got " + std::to_string(blob.size()) + " bytes.");
  }
  const std::size_t trie_bytes = read_u32(blob, 0) / 4 * std::size_t{4};
  if (trie_bytes == 0 || trie_bytes > blob.size() - 4) {
    broken(where, "expected a trie within " + std::to_string(blob.size() - 4) +
                      " bytes, got one of " + std::to_string(trie_bytes) + ".");
  }
  Charsmap map;
  map.units_.resize(trie_bytes / 4);
  for (std::size_t i = 0; i < map.units_.size(); ++i) map.units_[i] = read_u32(blob, 4 + 4 * i);
  map.replacements_ = blob.substr(4 + trie_bytes);
  if (!utf8_valid(map.replacements_))
    broken(where, "expected replacements in UTF-8, got other bytes.");
  map.check(where);
  return map;
}

// Walks everything that the root leads to. Nodes are shared between words (the trie is a graph), so
// a node that is met again is no fault; one that is met on the way from itself is.
void Charsmap::check(std::string_view where) const {
  const auto size = static_cast<std::uint32_t>(units_.size());
  // Edges by the node (the position that labels are added to) that they leave: begin[node] ..
  // begin[node + 1].
  std::vector<std::uint32_t> begin(static_cast<std::size_t>(size) + 1, 0);
  const auto parent = [&](std::uint32_t at) { return at ^ (units_[at] & 0xFFU); };
  const auto is_edge = [&](std::uint32_t at) {
    return (units_[at] & kValueBit) == 0 && (units_[at] & 0xFFU) != 0 && parent(at) < size;
  };
  for (std::uint32_t at = 0; at < size; ++at) {
    if (is_edge(at)) ++begin[parent(at) + 1];
  }
  for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
  std::vector<std::uint32_t> edges(begin.back());
  std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
  for (std::uint32_t at = 0; at < size; ++at) {
    if (is_edge(at)) edges[next[parent(at)]++] = at;
  }
  next.assign(begin.begin(), begin.end() - 1);

  enum : std::uint8_t { kNew, kOpen, kDone };
  std::vector<std::uint8_t> state(size, kNew);
  std::vector<std::uint32_t> path;
  const auto enter = [&](std::uint32_t unit_at) {
    const std::uint32_t node = unit_at ^ offset(units_[unit_at]);
    const auto place = [&] { return "unit " + std::to_string(unit_at); };
    if (node >= size) {
      broken(where, "expected " + place() + " to lead to one of " + std::to_string(size) +
                        " units, got " + std::to_string(node) + ".");
    }
    if (has_leaf(units_[unit_at])) {
      const std::uint32_t value = leaf_value(units_[node]);
      const bool inside = value < replacements_.size();
      if (!inside || utf8_continues(replacements_[value])) {
        broken(where, "expected " + place() + " to name the start of a replacement, got byte " +
                          std::to_string(value) + " of " + std::to_string(replacements_.size()) +
                          ".");
      }
    }
    if (state[node] == kOpen)
      broken(where, "expected a trie without cycles, got one at " + place() + ".");
    if (state[node] == kNew) {
      state[node] = kOpen;
      path.push_back(node);
    }
  };
  enter(0);
  while (!path.empty()) {
    const std::uint32_t node = path.back();
    if (next[node] < begin[node + 1]) {
      enter(edges[next[node]++]);
    } else {
      state[node] = kDone;
      path.pop_back();
    }
  }
}

std::optional<std::string_view> Charsmap::find(std::string_view key) const noexcept {
  std::uint32_t node = offset(units_[0]);
  for (const char byte : key) {
    const auto c = static_cast<unsigned char>(byte);
    if (c == 0) break;
    const std::uint32_t at = node ^ c;
    if (at >= units_.size() || label(units_[at]) != c) break;
    node = at ^ offset(units_[at]);
    if (has_leaf(units_[at])) {
      const std::string_view rest =
          std::string_view(replacements_).substr(leaf_value(units_[node]));
      return rest.substr(0, rest.find('\0'));
    }
  }
  return std::nullopt;
}

namespace {

// Emits one character late, because a replacement shorter than what it replaces changes the
// character before it.
class Sink {
 public:
  explicit Sink(NormalizedString::Transform& out) : out_(out) {}
  void put(char32_t c, std::ptrdiff_t change) {
    flush();
    held_ = c;
    change_ = change;
    holding_ = true;
  }
  void replace(std::string_view old_part, std::string_view new_part) {
    const std::ptrdiff_t old_count = count(old_part);
    std::ptrdiff_t made = 0;
    for (std::size_t at = 0; at < new_part.size(); ++made) {
      const CodePoint c = utf8_decode(new_part, at);
      at += c.bytes;
      put(c.value, made < old_count ? 0 : 1);
    }
    if (made < old_count && holding_) change_ += made - old_count;
  }
  void flush() {
    if (holding_) out_.emit(held_, change_);
    holding_ = false;
  }

 private:
  static std::ptrdiff_t count(std::string_view text) {
    std::ptrdiff_t characters = 0;
    for (const char byte : text)
      characters += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1 : 0;
    return characters;
  }
  NormalizedString::Transform& out_;
  char32_t held_ = 0;
  std::ptrdiff_t change_ = 0;
  bool holding_ = false;
};

class CharsmapNormalizer final : public Normalizer {
 public:
  explicit CharsmapNormalizer(Charsmap map) : map_(std::move(map)) {
    std::string character;
    for (char32_t c = 0x20; c < kPlainEnd; ++c) {
      const std::uint8_t packed = char_record(c).grapheme;
      switch (static_cast<GraphemeClass>(packed & 31U)) {
        case GraphemeClass::kExtend:
        case GraphemeClass::kZwj:
        case GraphemeClass::kSpacingMark:
        case GraphemeClass::kV:
        case GraphemeClass::kT:
          joins_[c] = true;
          break;
        case GraphemeClass::kOther:
        case GraphemeClass::kLv:
        case GraphemeClass::kLvt:
          character.clear();
          utf8_append(character, c);
          plain_[c] = packed >> 5U == 0 && !map_.find(character);
          break;
        default:
          break;
      }
    }
  }

  bool local_at_spaces() const override {
    // The characters at which texts are cut must stay white space.
    for (const std::string_view space : {" ", "\t", "\n"}) {
      const std::string_view made = map_.find(space).value_or(space);
      if (made.empty() || made.find_first_not_of(" \t\n") != std::string_view::npos) return false;
    }
    return true;
  }

  bool keeps(char32_t c) const override { return c < kPlainEnd && plain_[c]; }

  void normalize(NormalizedString& text) const override {
    const std::string_view old = text.text();
    std::size_t at = plain_end(old, 0);
    if (at == old.size()) return;
    NormalizedString::Transform out(text);
    Sink sink(out);
    bool modified = false;
    // Pieces without a replacement, as yet unwritten: old [done, ...).
    std::size_t done = 0;
    const auto put = [&](std::size_t begin, std::size_t end, std::string_view replacement) {
      modified = true;
      keep(old, done, begin, text.tracking(), sink, out);
      done = end;
      if (text.tracking()) {
        sink.replace(old.substr(begin, end - begin), replacement);
      } else {
        out.raw() += replacement;
      }
    };
    for (; at < old.size(); at = plain_end(old, at)) {
      const std::size_t end = grapheme_end(old, at);
      if (end - at < 6) {
        if (const auto found = map_.find(old.substr(at, end - at))) {
          put(at, end, *found);
          at = end;
          continue;
        }
      }
      while (at < end) {
        const std::size_t bytes = utf8_decode(old, at).bytes;
        if (const auto found = map_.find(old.substr(at, bytes))) put(at, at + bytes, *found);
        at += bytes;
      }
    }
    if (!modified) return;
    keep(old, done, old.size(), text.tracking(), sink, out);
    sink.flush();
    out.finish();
  }

 private:
  // End of the characters that stay: each a cluster of its own and without replacement.
  std::size_t plain_end(std::string_view text, std::size_t at) const {
    while (at < text.size()) {
      const CodePoint c = utf8_decode(text, at);
      if (c.value >= kPlainEnd || !plain_[c.value]) break;
      const std::size_t next = at + c.bytes;
      if (next < text.size() && static_cast<unsigned char>(text[next]) >= 0x80) {
        const char32_t behind = utf8_decode(text, next).value;
        if (behind >= kPlainEnd || joins_[behind]) break;
      }
      at = next;
    }
    return at;
  }

  // Old [begin, end) unchanged. With tracking through the sink, whose last character may still
  // change.
  static void keep(std::string_view old, std::size_t begin, std::size_t end, bool tracking,
                   Sink& sink, NormalizedString::Transform& out) {
    if (!tracking) {
      out.raw() += old.substr(begin, end - begin);
      return;
    }
    if (begin == end) return;
    const std::size_t last = utf8_before(old, end);
    sink.flush();
    out.keep(begin, last);
    sink.put(utf8_decode(old, last).value, 0);
  }

  Charsmap map_;
  // Characters without a replacement, which make a cluster of their own before any that does not
  // join them; and those that may join.
  static constexpr char32_t kPlainEnd = 0x10000;
  std::bitset<kPlainEnd> plain_, joins_;
};

}  // namespace

std::unique_ptr<Normalizer> make_charsmap_normalizer(Charsmap map) {
  return std::make_unique<CharsmapNormalizer>(std::move(map));
}

}  // namespace inlay::tokens

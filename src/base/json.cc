// JSON over simdjson's DOM. What simdjson leaves open is closed here: repeated keys and lone
// surrogates are refused, and every message says where.
#include "base/json.h"

#include <charconv>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/json_raw.h"
#include "base/utf8.h"

namespace inlay {
namespace {

// Deeper than any file of the field; shallow enough for recursion in the check below.
constexpr std::size_t kMaxDepth = 256;

using Type = simdjson::dom::element_type;

void check_tree(simdjson::dom::element element, const std::string& file) {
  switch (element.type()) {
    case Type::OBJECT: {
      simdjson::dom::object object;
      if (element.get(object) != simdjson::SUCCESS) return;
      std::unordered_set<std::string_view> seen;
      const bool large = object.size() > 16;
      std::vector<std::string_view> few;
      if (large) seen.reserve(object.size());
      for (const auto member : object) {
        bool repeated = false;
        if (large) {
          repeated = !seen.insert(member.key).second;
        } else {
          for (const auto& key : few) repeated = repeated || key == member.key;
          few.push_back(member.key);
        }
        if (repeated) {
          fail(ErrorCode::kBadInput, file,
               "expected each key once in an object, got a second \"" + printable(member.key) +
                   "\". Remove one of them.");
        }
        if (!utf8_valid(member.key))
          fail(ErrorCode::kBadInput, file, "expected text, got a key with a lone surrogate.");
        check_tree(member.value, file);
      }
      return;
    }
    case Type::ARRAY: {
      simdjson::dom::array array;
      if (element.get(array) != simdjson::SUCCESS) return;
      for (const auto item : array) check_tree(item, file);
      return;
    }
    case Type::STRING: {
      std::string_view text;
      if (element.get(text) != simdjson::SUCCESS || !utf8_valid(text)) {
        fail(ErrorCode::kBadInput, file, "expected text, got a string with a lone surrogate.");
      }
      return;
    }
    default:
      return;
  }
}

const char* type_text(simdjson::dom::element element) {
  switch (element.type()) {
    case Type::OBJECT:
      return "an object";
    case Type::ARRAY:
      return "an array";
    case Type::STRING:
      return "a string";
    case Type::BOOL:
      return "true or false";
    case Type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

JsonValue::Element opaque(simdjson::dom::element element) {
  return std::bit_cast<JsonValue::Element>(element);
}

[[noreturn]] void wrong_type(const JsonValue& value, const char* expected) {
  fail(ErrorCode::kBadInput, value.where(),
       std::string("expected ") + expected + ", got " + value.type_name() + ".");
}

// Python writes integers of any length ("model_max_length": 1000000000000000019884624838656), the
// parser takes 64 bits. Longer ones get a ".0" and are read as reals.
std::string widen_integers(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string out;
  out.reserve(text.size() + 64);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size();) {
    if (quoted || !digit(text[i])) {
      if (text[i] == '"') quoted = !quoted;
      const std::size_t length = quoted && text[i] == '\\' && i + 1 < text.size() ? 2 : 1;
      out.append(text, i, length);
      i += length;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && digit(text[i])) ++i;
    out.append(text, begin, i - begin);
    // A real already: its fraction and exponent are digits of their own.
    const char before = begin > 0 ? text[begin - 1] : ' ';
    const char after = i < text.size() ? text[i] : ' ';
    const bool real = before == '.' || before == 'e' || before == 'E' || before == '+' ||
                      after == '.' || after == 'e' || after == 'E' ||
                      (before == '-' && begin > 1 && (text[begin - 2] | 0x20) == 'e');
    if (!real && i - begin > 18) out += ".0";
  }
  return out;
}

}  // namespace

struct JsonDocument::State {
  simdjson::dom::parser parser;
  std::shared_ptr<const std::string> file;
  simdjson::dom::element root;
};

JsonDocument JsonDocument::parse(std::string_view text, std::string_view file,
                                 std::string_view remedy) {
  auto state = std::make_shared<State>();
  state->file = std::make_shared<const std::string>(file);
  simdjson::error_code error = state->parser.allocate(text.size(), kMaxDepth);
  if (error == simdjson::SUCCESS) {
    error =
        state->parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(state->root);
  }
  if (error == simdjson::NUMBER_ERROR) {
    const std::string wide = widen_integers(text);
    error = state->parser.allocate(wide.size(), kMaxDepth);
    if (error == simdjson::SUCCESS) {
      error = state->parser.parse(wide.data(), wide.size(), /*realloc_if_needed=*/true)
                  .get(state->root);
    }
  }
  if (error != simdjson::SUCCESS) {
    fail(ErrorCode::kBadInput, file,
         std::string("expected valid JSON, got: ") + simdjson::error_message(error) + " " +
             std::string(remedy));
  }
  check_tree(state->root, *state->file);
  JsonDocument document;
  document.state_ = std::move(state);
  return document;
}

JsonValue JsonDocument::root() const { return JsonValue(opaque(state_->root), state_->file, ""); }

bool JsonValue::is_null() const { return json_raw(*this).is_null(); }
bool JsonValue::is_object() const { return json_raw(*this).is_object(); }
bool JsonValue::is_array() const { return json_raw(*this).is_array(); }
bool JsonValue::is_string() const { return json_raw(*this).is_string(); }
bool JsonValue::is_number() const { return json_raw(*this).is_number(); }
bool JsonValue::is_integer() const { return json_raw(*this).is_int64(); }
bool JsonValue::is_bool() const { return json_raw(*this).is_bool(); }
const char* JsonValue::type_name() const { return type_text(json_raw(*this)); }

std::string JsonValue::where() const { return *file_ + ": " + (path_.empty() ? "/" : path_); }

std::string_view JsonValue::string() const {
  std::string_view text;
  if (json_raw(*this).get(text) != simdjson::SUCCESS) wrong_type(*this, "a string");
  return text;
}

std::int64_t JsonValue::integer() const {
  std::int64_t value = 0;
  if (json_raw(*this).get(value) == simdjson::SUCCESS) return value;
  double real = 0;
  if (json_raw(*this).get(real) == simdjson::SUCCESS && real == std::floor(real) &&
      std::fabs(real) < 0x1p53) {
    return static_cast<std::int64_t>(real);
  }
  if (is_number())
    fail(ErrorCode::kBadInput, where(), "expected an integer in 64 bits, got another number.");
  wrong_type(*this, "an integer");
}

double JsonValue::number() const {
  double value = 0;
  if (json_raw(*this).get(value) != simdjson::SUCCESS) wrong_type(*this, "a number");
  return value;
}

bool JsonValue::boolean() const {
  bool value = false;
  if (json_raw(*this).get(value) != simdjson::SUCCESS) wrong_type(*this, "true or false");
  return value;
}

bool JsonValue::contains(std::string_view key) const {
  simdjson::dom::element child;
  return json_raw(*this).is_object() && json_raw(*this).at_key(key).get(child) == simdjson::SUCCESS;
}

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  if (!json_raw(*this).is_object()) wrong_type(*this, "an object");
  simdjson::dom::element child;
  if (json_raw(*this).at_key(key).get(child) != simdjson::SUCCESS || child.is_null())
    return std::nullopt;
  return JsonValue(opaque(child), file_, path_ + "/" + std::string(key));
}

JsonValue JsonValue::at(std::string_view key) const {
  auto child = find(key);
  if (!child) {
    fail(ErrorCode::kBadInput, where(),
         "expected a member \"" + std::string(key) + "\", got an object without it.");
  }
  return *std::move(child);
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::members() const {
  simdjson::dom::object object;
  if (json_raw(*this).get(object) != simdjson::SUCCESS) wrong_type(*this, "an object");
  std::vector<std::pair<std::string_view, JsonValue>> out;
  for (const auto member : object) {
    out.emplace_back(member.key,
                     JsonValue(opaque(member.value), file_, path_ + "/" + printable(member.key)));
  }
  return out;
}

std::vector<JsonValue> JsonValue::items() const {
  simdjson::dom::array array;
  if (json_raw(*this).get(array) != simdjson::SUCCESS) wrong_type(*this, "an array");
  std::vector<JsonValue> out;
  std::size_t index = 0;
  for (const auto item : array)
    out.push_back(JsonValue(opaque(item), file_, path_ + "/" + std::to_string(index++)));
  return out;
}

std::size_t JsonValue::size() const {
  // Counted by walking: simdjson saturates its own counts at 2^24 - 1.
  std::size_t count = 0;
  simdjson::dom::array array;
  simdjson::dom::object object;
  if (json_raw(*this).get(array) == simdjson::SUCCESS) {
    for ([[maybe_unused]] const auto item : array) ++count;
  } else if (json_raw(*this).get(object) == simdjson::SUCCESS) {
    for ([[maybe_unused]] const auto member : object) ++count;
  } else {
    wrong_type(*this, "an array or object");
  }
  return count;
}

std::string JsonValue::string_or(std::string_view key, std::string_view fallback) const {
  const auto child = find(key);
  return std::string(child ? child->string() : fallback);
}
std::int64_t JsonValue::integer_or(std::string_view key, std::int64_t fallback) const {
  const auto child = find(key);
  return child ? child->integer() : fallback;
}
double JsonValue::number_or(std::string_view key, double fallback) const {
  const auto child = find(key);
  return child ? child->number() : fallback;
}
bool JsonValue::bool_or(std::string_view key, bool fallback) const {
  const auto child = find(key);
  return child ? child->boolean() : fallback;
}

void json_append_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4U];
          out += kHex[static_cast<unsigned char>(c) & 0xFU];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

namespace {
template <typename T>
void append_number(std::string& out, T value) {
  if (!std::isfinite(value))
    fail(ErrorCode::kInternal, "json", "expected a finite number, got NaN or infinity.");
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}
}  // namespace

void json_append_float(std::string& out, float value) { append_number(out, value); }
void json_append_double(std::string& out, double value) { append_number(out, value); }

}  // namespace inlay

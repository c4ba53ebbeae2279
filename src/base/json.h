// Reading JSON: a strict, read-only view over simdjson that knows where it is, so that an error
// names file and place. Writing JSON: numbers in their shortest form that reads back the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inlay {

class JsonDocument;

// A node of a document and the path that led to it. Valid while the document lives. Getters throw
// kBadInput
// "[file: /path] expected a string, got a number".
class JsonValue {
 public:
  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_string() const;
  bool is_number() const;  // integer or real
  bool is_integer() const;
  bool is_bool() const;

  std::string_view string() const;
  std::int64_t integer()
      const;  // also accepts a real without fraction that fits, as Python writes 1e-0
  double number() const;
  bool boolean() const;

  // Objects. find: absent or null gives nullopt. at: absent throws.
  std::optional<JsonValue> find(std::string_view key) const;
  JsonValue at(std::string_view key) const;
  bool contains(std::string_view key) const;                            // present, even when null
  std::vector<std::pair<std::string_view, JsonValue>> members() const;  // in file order
  // Arrays.
  std::vector<JsonValue> items() const;
  std::size_t size() const;  // of an array or object

  // Shorthands for optional members with a default; a member of the wrong type throws.
  std::string string_or(std::string_view key, std::string_view fallback) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback) const;
  double number_or(std::string_view key, double fallback) const;
  bool bool_or(std::string_view key, bool fallback) const;

  std::string where() const;      // "config.json: /hidden_size"
  const char* type_name() const;  // "a string"

  // simdjson's element, as base/json_raw.h reads it. Its own type stays out of this header, which a
  // third of all files include: it takes two seconds to compile.
  struct Element {
    const void* document;
    std::size_t index;
  };
  Element element() const { return element_; }

 private:
  friend class JsonDocument;
  JsonValue(Element element, std::shared_ptr<const std::string> file, std::string path)
      : element_(element), file_(std::move(file)), path_(std::move(path)) {}
  Element element_;
  std::shared_ptr<const std::string> file_;
  std::string path_;
};

// An owned, parsed document. Movable; safe to read from many threads.
class JsonDocument {
 public:
  // Throws kBadInput naming `file` for bad UTF-8, bad syntax, depth over 256, lone surrogates or a
  // repeated key.
  // `remedy` ends the message about bad syntax. Integers beyond 64 bits are read as reals.
  static JsonDocument parse(
      std::string_view text, std::string_view file,
      std::string_view remedy = "The file is damaged or is not JSON; fetch it again.");
  JsonValue root() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

// Appends to a string. The caller keeps the grammar (commas, brackets).
void json_append_string(std::string& out,
                        std::string_view text);  // quoted, escaped; text must be UTF-8
void json_append_float(std::string& out,
                       float value);  // shortest; NaN and infinity throw kInternal
void json_append_double(std::string& out, double value);

}  // namespace inlay

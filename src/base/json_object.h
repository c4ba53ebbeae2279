// A JSON object or array, written member by member in the order of the calls.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace inlay {

class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) {
    name(key);
    json_append_string(out_, value);
    return *this;
  }
  JsonObject& integer(std::string_view key, std::int64_t value) {
    return raw(key, std::to_string(value));
  }
  // NaN and infinity, which JSON does not have, become null.
  JsonObject& number(std::string_view key, double value) {
    if (!std::isfinite(value)) return raw(key, "null");
    name(key);
    json_append_double(out_, value);
    return *this;
  }
  JsonObject& boolean(std::string_view key, bool value) {
    return raw(key, value ? "true" : "false");
  }
  JsonObject& texts(std::string_view key, const std::vector<std::string>& values) {
    name(key);
    out_ += "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i != 0) out_ += ",";
      json_append_string(out_, values[i]);
    }
    out_ += "]";
    return *this;
  }
  JsonObject& raw(std::string_view key, std::string_view json) {
    name(key);
    out_ += json;
    return *this;
  }
  std::string done() const { return out_ + "}"; }

 private:
  void name(std::string_view key) {
    if (out_.size() > 1) out_ += ",";
    json_append_string(out_, key);
    out_ += ":";
  }
  std::string out_ = "{";
};

class JsonArray {
 public:
  void add(std::string_view json) {
    if (out_.size() > 1) out_ += ",";
    out_ += json;
  }
  std::string done() const { return out_ + "]"; }

 private:
  std::string out_ = "[";
};

}  // namespace inlay

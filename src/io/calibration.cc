// {"model":"...","dim":384,"count":1000,"minimum":[...],"maximum":[...]}
#include "io/calibration.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"

namespace inlay::io {
namespace {

constexpr std::size_t kMaxFile = std::size_t{64} << 20U;  // 100,000 dimensions take 4 MB

std::vector<float> read_range(const JsonValue& root, const char* key, std::int64_t dim) {
  const JsonValue list = root.at(key);
  if (!list.is_array() || list.size() != static_cast<std::size_t>(dim)) {
    fail(ErrorCode::kBadInput, list.where(),
         "expected " + std::to_string(dim) + " numbers, got " +
             (list.is_array() ? std::to_string(list.size()) : list.type_name()) +
             ". Calibrate again with this model and these options.");
  }
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(dim));
  for (const JsonValue& item : list.items()) {
    const auto value = static_cast<float>(item.number());
    if (!std::isfinite(value))
      fail(ErrorCode::kBadInput, item.where(), "expected a float, got a number beyond it.");
    values.push_back(value);
  }
  return values;
}

void append_range(std::string& out, const char* key, const std::vector<float>& values) {
  out += std::string(",\"") + key + "\":[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    json_append_float(out, values[i]);
  }
  out += ']';
}

}  // namespace

void Calibration::add(const Result& result) {
  dim = result.dim;
  const auto width = static_cast<std::size_t>(dim);
  for (std::size_t text = 0; text < result.texts.size(); ++text) {
    if (!result.texts[text].error.empty()) continue;
    const float* row = result.vectors.data() + text * width;
    if (count++ == 0) {
      minimum.assign(row, row + width);
      maximum = minimum;
    }
    for (std::size_t i = 0; i < width; ++i) {
      minimum[i] = std::min(minimum[i], row[i]);
      maximum[i] = std::max(maximum[i], row[i]);
    }
  }
}

std::string calibration_json(const Calibration& calibration) {
  std::string out = "{\"model\":";
  json_append_string(out, calibration.model);
  out += ",\"dim\":" + std::to_string(calibration.dim) +
         ",\"count\":" + std::to_string(calibration.count);
  append_range(out, "minimum", calibration.minimum);
  append_range(out, "maximum", calibration.maximum);
  return out + "}\n";
}

Calibration read_calibration(const std::string& path, std::int64_t dim) {
  const JsonDocument document = JsonDocument::parse(read_file(path, kMaxFile), path);
  const JsonValue root = document.root();
  Calibration calibration;
  calibration.model = root.string_or("model", "");
  calibration.dim = root.at("dim").integer();
  calibration.count = root.integer_or("count", 0);
  if (calibration.dim != dim) {
    fail(ErrorCode::kBadInput, path + ": /dim",
         "expected " + std::to_string(dim) + ", the width of the model's vectors, got " +
             std::to_string(calibration.dim) +
             ". Calibrate again with this model and these options.");
  }
  calibration.minimum = read_range(root, "minimum", dim);
  calibration.maximum = read_range(root, "maximum", dim);
  for (std::size_t i = 0; i < calibration.minimum.size(); ++i) {
    if (calibration.minimum[i] > calibration.maximum[i]) {
      fail(ErrorCode::kBadInput, path + ": /minimum/" + std::to_string(i),
           "expected at most the maximum, got more. Calibrate again.");
    }
  }
  return calibration;
}

}  // namespace inlay::io

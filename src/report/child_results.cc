// Floats in their shortest form: they come back as the same bits.
#include "report/child_results.h"

#include <cmath>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/json_raw.h"

namespace inlay::report {
namespace {

std::string floats_json(std::span<const float> values) {
  std::string out = "[";
  for (const float value : values) {
    if (out.size() > 1) out += ',';
    if (std::isfinite(value)) {
      json_append_float(out, value);
    } else {
      out += "null";
    }
  }
  return out + "]";
}

std::string integers_json(std::span<const std::int32_t> values) {
  std::string out = "[";
  for (const std::int32_t value : values) {
    if (out.size() > 1) out += ',';
    out += std::to_string(value);
  }
  return out + "]";
}

// Without a path an item: there are hundreds of thousands.
std::vector<float> floats_of(const JsonValue& json) {
  simdjson::dom::array items;
  if (json_raw(json).get(items) != simdjson::SUCCESS)
    fail(ErrorCode::kBadInput, json.where(), "expected an array of numbers.");
  std::vector<float> out;
  for (const simdjson::dom::element item : items) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!item.is_null() && item.get(value) != simdjson::SUCCESS)
      fail(ErrorCode::kBadInput, json.where(), "expected an array of numbers.");
    out.push_back(static_cast<float>(value));
  }
  return out;
}

}  // namespace

std::string results_json(const Result& result) {
  JsonArray sparse, late, texts;
  for (const SparseVector& vector : result.sparse) {
    sparse.add(JsonObject()
                   .raw("indices", integers_json(vector.indices))
                   .raw("values", floats_json(vector.values))
                   .done());
  }
  for (const TokenVectors& vectors : result.late)
    late.add(
        JsonObject().integer("dim", vectors.dim).raw("values", floats_json(vectors.values)).done());
  for (const TextInfo& text : result.texts)
    texts.add(JsonObject().integer("tokens", text.tokens).text("error", text.error).done());
  return JsonObject()
      .integer("dim", result.dim)
      .raw("vectors", floats_json(result.vectors))
      .raw("sparse", sparse.done())
      .raw("late", late.done())
      .raw("scores", floats_json(result.scores))
      .raw("texts", texts.done())
      .done();
}

Result parse_results(const JsonValue& json) {
  Result result;
  result.dim = json.at("dim").integer();
  result.vectors = floats_of(json.at("vectors"));
  result.scores = floats_of(json.at("scores"));
  for (const JsonValue& item : json.at("sparse").items()) {
    SparseVector vector;
    for (const JsonValue& index : item.at("indices").items())
      vector.indices.push_back(static_cast<std::int32_t>(index.integer()));
    vector.values = floats_of(item.at("values"));
    result.sparse.push_back(std::move(vector));
  }
  for (const JsonValue& item : json.at("late").items())
    result.late.push_back({item.at("dim").integer(), floats_of(item.at("values"))});
  for (const JsonValue& item : json.at("texts").items()) {
    TextInfo text;
    text.tokens = static_cast<int>(item.at("tokens").integer());
    text.error = item.at("error").string();
    result.texts.push_back(std::move(text));
  }
  return result;
}

JsonObject stats_json(const Stats& stats) {
  JsonObject out;
  out.text("event", "stats")
      .text("model", stats.model)
      .text("revision", stats.revision)
      .text("device", stats.device)
      .text("backend", stats.backend)
      .text("isa", stats.isa)
      .text("dtype", stats.dtype)
      .text("weight_file", stats.weight_file)
      .text("packed_weights", stats.packed_weights)
      .integer("threads", stats.threads)
      .integer("max_length", stats.max_length)
      .integer("partitions", stats.partitions)
      .integer("fallback_ops", stats.fallback_ops)
      .number("padded_share", stats.padded_share)
      .number("load_seconds", stats.load_seconds)
      .integer("peak_rss", stats.peak_rss);
  return out;
}

Stats parse_stats(const JsonValue& json) {
  Stats stats;
  stats.model = json.at("model").string();
  stats.revision = json.at("revision").string();
  stats.device = json.at("device").string();
  stats.backend = json.at("backend").string();
  stats.isa = json.at("isa").string();
  stats.dtype = json.at("dtype").string();
  stats.weight_file = json.at("weight_file").string();
  stats.packed_weights = json.at("packed_weights").string();
  stats.threads = static_cast<int>(json.at("threads").integer());
  stats.max_length = json.at("max_length").integer();
  stats.partitions = json.at("partitions").integer();
  stats.fallback_ops = json.at("fallback_ops").integer();
  stats.padded_share = json.at("padded_share").number();
  stats.load_seconds = json.at("load_seconds").number();
  stats.peak_rss = json.at("peak_rss").integer();
  return stats;
}

}  // namespace inlay::report

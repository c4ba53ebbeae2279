// Written by hand: the order of the keys is part of the contract.
#include "report/run_report.h"

#include <cstdio>

#include "base/json.h"

namespace inlay::report {
namespace {

void add(std::string& out, const char* key, const std::string& text) {
  out += std::string(out.empty() ? "{\"" : ",\"") + key + "\":";
  json_append_string(out, text);
}
void add(std::string& out, const char* key, std::int64_t value) {
  out += std::string(",\"") + key + "\":" + std::to_string(value);
}
void add(std::string& out, const char* key, double value) {
  out += std::string(",\"") + key + "\":";
  json_append_double(out, value);
}
void add(std::string& out, const char* key, const std::vector<std::string>& texts) {
  out += std::string(",\"") + key + "\":";
  char before = '[';
  for (const std::string& text : texts) {
    out += before;
    json_append_string(out, text);
    before = ',';
  }
  out += "]";
}

}  // namespace

std::string run_report_json(const Stats& stats, double total_seconds) {
  std::string out;
  add(out, "device", stats.device);
  add(out, "backend", stats.backend);
  add(out, "isa", stats.isa);
  add(out, "dtype", stats.dtype);
  add(out, "model", stats.model);
  add(out, "revision", stats.revision);
  add(out, "weight_file", stats.weight_file);
  add(out, "adapter", stats.adapter);
  add(out, "packed_weights", stats.packed_weights);
  add(out, "texts", stats.texts);
  add(out, "tokens", stats.tokens);
  add(out, "truncated", stats.truncated);
  add(out, "padded_share", stats.padded_share);
  add(out, "partitions", stats.partitions);
  add(out, "fallback_ops", stats.fallback_ops);
  if (!stats.device_notes.empty()) add(out, "device_notes", stats.device_notes);
  if (!stats.served.empty()) {
    out += ",\"served\":{";
    for (const auto& [device, texts] : stats.served) {
      if (out.back() != '{') out += ',';
      json_append_string(out, device);
      out += ":" + std::to_string(texts);
    }
    out += "}";
  }
  out += ",\"seconds\":{\"load\":";
  json_append_double(out, stats.load_seconds);
  add(out, "tokenize", stats.tokenize_seconds);
  add(out, "compute", stats.compute_seconds);
  add(out, "total", total_seconds);
  out += "}";
  add(out, "peak_rss", stats.peak_rss);
  return out + "}\n";
}

std::string run_summary(const Stats& stats, double total_seconds) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.2f", total_seconds);
  std::string out = std::to_string(stats.texts) + (stats.texts == 1 ? " text, " : " texts, ") +
                    std::to_string(stats.tokens) + " tokens, " + std::to_string(stats.truncated) +
                    " truncated in " + seconds + " s; " + stats.device;
  for (const std::string& part : {stats.isa, stats.dtype}) {
    if (!part.empty()) out += ", " + part;
  }
  for (const auto& [device, texts] : stats.served)
    out += "; " + std::to_string(texts) + " by " + device;
  return out;
}

}  // namespace inlay::report

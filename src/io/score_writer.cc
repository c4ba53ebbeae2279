// Scores in the shortest form that reads back the same.
#include "io/score_writer.h"

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "io/vector_writer.h"

namespace inlay::io {
namespace {

std::string line_start(std::int64_t index, const TextInfo& info) {
  std::string line = "{\"index\":" + std::to_string(index);
  if (!info.error.empty()) {
    line += ",\"error\":";
    json_append_string(line, info.error);
  }
  return line;
}

}  // namespace

void write_scores(OutputFile& out, const Result& result, std::int64_t first_index) {
  const std::size_t labels = result.labels.size();
  for (std::size_t t = 0; t < result.texts.size(); ++t) {
    const TextInfo& info = result.texts[t];
    std::string line = line_start(first_index + static_cast<std::int64_t>(t), info);
    if (info.error.empty() && labels == 1) {
      line += ",\"score\":";
      json_append_float(line, result.scores[t]);
    } else if (info.error.empty()) {
      line += ",\"scores\":[";
      for (std::size_t i = 0; i < labels; ++i) {
        if (i > 0) line += ',';
        json_append_float(line, result.scores[t * labels + i]);
      }
      line += "],\"labels\":[";
      for (std::size_t i = 0; i < labels; ++i) {
        if (i > 0) line += ',';
        json_append_string(line, result.labels[i]);
      }
      line += ']';
    }
    append_line_end(line, info);
    out.write(line);
  }
}

void Ranking::add(const Result& result) {
  for (std::size_t t = 0; t < result.texts.size(); ++t)
    entries_.push_back({result.scores[t], result.texts[t]});
}

void Ranking::write(OutputFile& out, const std::vector<std::string>& texts, std::size_t top) const {
  std::vector<std::size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const bool fine_a = entries_[a].info.error.empty();
    const bool fine_b = entries_[b].info.error.empty();
    if (fine_a != fine_b) return fine_a;
    return fine_a && entries_[a].score > entries_[b].score;
  });
  if (top != 0 && order.size() > top) order.resize(top);
  for (const std::size_t index : order) {
    const Entry& entry = entries_[index];
    std::string line = line_start(static_cast<std::int64_t>(index), entry.info);
    if (entry.info.error.empty()) {
      line += ",\"score\":";
      json_append_float(line, entry.score);
    }
    line += ",\"text\":";
    json_append_string(line, texts[index]);
    append_line_end(line, entry.info);
    out.write(line);
  }
}

}  // namespace inlay::io

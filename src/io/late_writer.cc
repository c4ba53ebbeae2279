// Numbers in the shortest form that reads back the same.
#include "io/late_writer.h"

#include <span>
#include <string>

#include "base/json.h"
#include "io/sparse_writer.h"
#include "io/vector_writer.h"

namespace inlay::io {
namespace {

void append_numbers(std::string& line, std::span<const float> values) {
  line += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) line += ',';
    json_append_float(line, values[i]);
  }
  line += ']';
}

void append_vectors(std::string& line, const TokenVectors& vectors) {
  line += ",\"vectors\":[";
  const auto dim = static_cast<std::size_t>(vectors.dim);
  const std::span<const float> values = vectors.values;
  for (std::size_t at = 0; at < values.size(); at += dim) {
    if (at > 0) line += ',';
    append_numbers(line, values.subspan(at, dim));
  }
  line += ']';
}

// `append` adds what text `t` has.
template <typename F>
void write_lines(OutputFile& out, const Result& result, std::int64_t first_index, const F& append) {
  std::string line;
  for (std::size_t t = 0; t < result.texts.size(); ++t) {
    const TextInfo& text = result.texts[t];
    line = "{\"index\":" + std::to_string(first_index + static_cast<std::int64_t>(t));
    if (text.error.empty()) {
      append(line, t);
    } else {
      line += ",\"error\":";
      json_append_string(line, text.error);
    }
    append_line_end(line, text);
    out.write(line);
  }
}

}  // namespace

void write_late(OutputFile& out, const Result& result, std::int64_t first_index) {
  write_lines(out, result, first_index,
              [&](std::string& line, std::size_t t) { append_vectors(line, result.late[t]); });
}

void write_joint(OutputFile& out, const Result& result, std::int64_t first_index) {
  const auto dim = static_cast<std::size_t>(result.dim);
  write_lines(out, result, first_index, [&](std::string& line, std::size_t t) {
    line += ",\"embedding\":";
    append_numbers(line, std::span(result.vectors).subspan(t * dim, dim));
    if (!result.sparse.empty()) append_sparse(line, result.sparse[t]);
    if (!result.late.empty()) append_vectors(line, result.late[t]);
  });
}

}  // namespace inlay::io

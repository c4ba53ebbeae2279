// One line a text; numbers in the shortest form that reads back the same.
#include "io/sparse_writer.h"

#include "base/json.h"
#include "io/vector_writer.h"

namespace inlay::io {

void append_sparse(std::string& line, const SparseVector& vector) {
  line += ",\"indices\":[";
  for (std::size_t i = 0; i < vector.indices.size(); ++i)
    line += (i == 0 ? "" : ",") + std::to_string(vector.indices[i]);
  line += "],\"values\":[";
  for (std::size_t i = 0; i < vector.values.size(); ++i) {
    if (i > 0) line += ',';
    json_append_float(line, vector.values[i]);
  }
  line += ']';
}

void SparseWriter::write(const Result& result, std::int64_t first_index) {
  for (std::size_t t = 0; t < result.texts.size(); ++t) {
    const TextInfo& text = result.texts[t];
    line_ = "{\"index\":" + std::to_string(first_index + static_cast<std::int64_t>(t));
    if (!text.error.empty()) {
      line_ += ",\"error\":";
      json_append_string(line_, text.error);
    } else {
      const SparseVector& vector = result.sparse[t];
      append_sparse(line_, vector);
      if (words_) {
        line_ += ",\"words\":[";
        for (std::size_t i = 0; i < vector.indices.size(); ++i) {
          if (i > 0) line_ += ',';
          json_append_string(
              line_, vector.words.empty() ? engine_.token(vector.indices[i]) : vector.words[i]);
        }
        line_ += ']';
      }
    }
    append_line_end(line_, text);
    out_.write(line_);
  }
}

}  // namespace inlay::io

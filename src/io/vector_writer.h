// Dense vectors out: jsonl, csv or npy, in any storage type.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"
#include "io/output_file.h"

namespace inlay::io {

enum class OutputFormat {
  kJsonl,  // {"index":0,"embedding":[...],"tokens":7,"truncated":false,"prompt":null}
  kCsv,    // index,v0,v1,...; of chunks: index,chunk,begin,end,v0,v1,...
  kNpy,    // one array [texts, width], version 1.0, little endian
};

// .jsonl, .csv and .npy (in any case) say so themselves; nullopt for everything else.
std::optional<OutputFormat> output_format_of(std::string_view path);

// What every jsonl line ends with: `,"tokens":7,"truncated":false,"prompt":null}` and a newline.
void append_line_end(std::string& out, const TextInfo& text);

// Takes results in order. Not thread-safe. write() and finish() throw kCannotWrite; csv and npy
// throw kBadInput for a text that has no result, jsonl writes {"index":3,"error":"...",...} in its
// place. A text in chunks has a row a chunk: in jsonl {"index":0,"chunk":1,"begin":40,"end":97,
// "embedding":[...],"whole":true,...}, its "tokens" those that the chunk pools; npy, whose rows say
// not whose they are, throws kUsage.
class VectorWriter {
 public:
  VectorWriter(OutputFile& out, std::int64_t dim, Quantization how);
  virtual ~VectorWriter() = default;
  // `result` is of the texts from `first_index` on; vectors of texts without a result may be
  // changed.
  void write(Result& result, std::int64_t first_index);
  virtual void finish() = 0;  // the output still has to be committed

 protected:
  // Where a row belongs.
  struct RowOf {
    std::int64_t index = 0;  // of the text
    std::int64_t number = 0;
    const Chunk* chunk = nullptr;  // of the text, `number` in order; null: all of it
  };
  virtual void write_row(std::string_view row, const TextInfo& text, const RowOf& of) = 0;
  virtual void write_error(const std::string& error, const TextInfo& text, std::int64_t index);
  // Appends element `i` of a row as text: the shortest form that reads back the same.
  void append_element(std::string& out, std::string_view row, std::int64_t i) const;

  OutputFile& out_;
  const std::int64_t dim_;
  const Quantization how_;
  std::int64_t width_;  // elements of a stored row; dim/8 for binary types
  std::string scratch_;

 private:
  // The rows of one text; `vectors` of one without a result may be changed.
  void write_text(std::span<float> vectors, const std::vector<Chunk>* chunks, const TextInfo& text,
                  std::int64_t index);
};

// `dim` is the engine's. Throws kUsage when the storage type does not fit it.
std::unique_ptr<VectorWriter> make_vector_writer(OutputFormat format, OutputFile& out,
                                                 std::int64_t dim, Quantization how);

}  // namespace inlay::io

// A stream of texts through an engine, results in input order, in memory that does not grow with
// the stream.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "inlay/inlay.hpp"
#include "io/progress.h"
#include "io/text_reader.h"

namespace inlay::io {

struct StreamOptions {
  std::optional<std::string> prompt;  // as in Request
  Role role = Role::kNone;
  std::optional<std::string> query{};        // reranking: of all texts
  std::optional<std::string> instruction{};  // as in Request
  bool chunks = false;                       // of texts; the reader's spans go along
  bool pairs = false;  // reranking: each text brings its own (TextReader::query)
};

// Called with each result in order; `first_index` is that of its first text. False stops the
// stream.
using ResultSink = std::function<bool(Result& result, std::int64_t first_index)>;

// Reads ahead of the engine by a bounded number of texts and bytes. When the input pauses, what has
// come is computed and handed out rather than held back. The first error, of input, engine or sink,
// cancels what is under way and is rethrown. Returns the number of texts handed out.
std::int64_t embed_stream(Engine& engine, TextReader& reader, const StreamOptions& options,
                          const ResultSink& sink, Progress& progress);

}  // namespace inlay::io

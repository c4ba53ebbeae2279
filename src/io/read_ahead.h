// The beginning of a stream of texts, read before anything is done with it: whether a job is small
// or large decides which device is worth starting.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/text_reader.h"

namespace inlay::io {

// Hands out what another reader has, as that would. Not thread-safe.
class ReadAhead final : public TextReader {
 public:
  // Reads until the end, until more than `most_texts` or kMostBytes are held, or until the input
  // pauses. Throws what `source` throws, after the texts before it have been handed out.
  ReadAhead(std::unique_ptr<TextReader> source, std::size_t most_texts);
  static constexpr std::size_t kMostBytes = std::size_t{16} << 20U;

  // Texts held when reading ahead ended; whether these are all, or certainly not. Neither: the
  // input paused, or is broken.
  std::size_t count() const { return count_; }
  bool whole() const { return whole_; }
  bool many() const { return many_; }

  bool next(std::string* text) override;
  bool ready(int milliseconds) override;
  std::int64_t position() const override;
  std::int64_t total() const override { return source_->total(); }
  std::string where() const override;
  std::string_view query() const override;
  std::optional<std::vector<Span>> take_spans() override;

 private:
  struct Held {
    std::string text, where, query;
    std::optional<std::vector<Span>> spans;
    std::int64_t position = 0;
  };
  std::unique_ptr<TextReader> source_;
  std::deque<Held> held_;
  std::optional<Held> current_;  // the one last handed out, if it was held
  std::exception_ptr error_;
  std::size_t count_ = 0;
  bool whole_ = false, many_ = false;
};

}  // namespace inlay::io

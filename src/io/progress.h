// Progress on standard error: a bar on a terminal, a line every ten seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace inlay::io {

struct ProgressState {
  std::int64_t texts = 0, tokens = 0;
  std::int64_t done = 0, total = -1;  // in any one unit; total -1: not known
  std::string download{};             // the file under way; then done and total are bytes
};

// One line of text about `state` after `seconds`: share, texts (or bytes of a download), rate,
// remaining time. `columns` > 0 draws a bar that fits.
std::string progress_text(const ProgressState& state, double seconds, int columns);

// Not thread-safe. Short work prints nothing.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(const ProgressState& state);

 private:
  void clear();
  using Clock = std::chrono::steady_clock;
  const bool quiet_;
  const bool terminal_;
  const bool color_;
  const Clock::time_point start_;
  Clock::time_point next_;
  bool drawn_ = false;
};

}  // namespace inlay::io

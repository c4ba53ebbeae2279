// Interruption: nothing half-written stays behind.
#pragma once

#include <string>

namespace inlay::cli {

// SIGINT, SIGTERM and SIGHUP end the process at once, with 130 for SIGINT; SIGPIPE becomes an error
// of write().
void install_signal_handlers();

// While an object lives, an interruption removes `path`. At most four at a time; signals are held
// back between hold_signals() and the first of them, so that no file is made that nobody would
// remove.
class RemovedWhenInterrupted {
 public:
  explicit RemovedWhenInterrupted(const std::string& path);
  ~RemovedWhenInterrupted();
  RemovedWhenInterrupted(const RemovedWhenInterrupted&) = delete;
  RemovedWhenInterrupted& operator=(const RemovedWhenInterrupted&) = delete;

 private:
  int slot_ = -1;
};

class HoldSignals {
 public:
  HoldSignals();
  ~HoldSignals();
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;
};

}  // namespace inlay::cli

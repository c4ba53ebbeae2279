// `inlay verify`: a model on a device and in a precision held against plain loops in fp32.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"
#include "report/agreement.h"

namespace inlay::report {

struct Verified {
  std::string task;
  Stats stats;            // of the device
  std::string reference;  // the device held against, in fp32: ref, or cpu where nothing is computed
  std::size_t queries = 0, documents = 0;
  double reference_seconds = 0, device_seconds = 0;  // without loading
  Agreement agreement;
  Tolerance tolerance;               // of the device's dtype
  std::vector<std::string> reasons;  // empty: they agree
};

struct VerifyProgress {
  std::size_t done = 0, total = 0;  // texts that the reference has computed
};

// One entry a task of the model. `texts` empty: the built-in ones; else each is held against all
// others, or, for reranking, the first against the rest. The model must be on this machine. Throws
// what loading and running throw; kUsage for fewer than two texts.
std::vector<Verified> verify(const EngineOptions& options, const std::vector<std::string>& texts,
                             const std::function<void(const VerifyProgress&)>& progress = {});

std::string verify_json(const std::vector<Verified>& results);
std::string verify_table(const std::vector<Verified>& results);

}  // namespace inlay::report

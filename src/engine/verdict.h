// What was measured of the devices of this machine with a model, kept in Inlay's cache folder, and
// which of them `auto` takes for it. Measuring is report/'s.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/select.h"
#include "engine/model_tasks.h"

namespace inlay::engine {

// What a verdict holds for. It says nothing about another model, processor, number of processors
// or version of Inlay.
struct VerdictKey {
  std::string model, revision, identity;  // as ModelTasks; identity empty: nothing is kept
  std::string task;                       // "dense"
  std::string cpu;                        // the processor's name and instruction set
  int threads = 0;                        // that this process may use
};
VerdictKey verdict_key(const ModelTasks& model, std::string_view task);

struct Recommend {
  std::int64_t batch = 0;  // texts a request
  int threads = 0;
  std::string dtype;
  // Of that cell of a grid over batch sizes and threads; 0: no grid was measured, and the cell is
  // the best of a few batch sizes with all threads.
  double grid_ms_per_text = 0;
};

struct DeviceVerdict {
  std::string device, dtype, version, isa;
  // "ok": it agrees with the CPU's fp32 and is faster; "slower", "disagrees", "falls back" (an
  // accelerator that leaves a part of the model to the CPU), "failed".
  std::string state;
  std::string reason;       // of all but "ok", a sentence
  double ms_per_text = 0;   // 0: nothing was measured
  double load_seconds = 0;  // until the first text can be taken
  double ratio_to_cpu = 0;  // ms_per_text over that of the CPU's fp32: below 1 is faster
  double min_cosine = 0, same_nearest = 0;  // to the CPU's fp32
  double padded_share = 0;
  std::int64_t partitions = 1, fallback_ops = 0;
  Recommend recommend;
};

struct Verdict {
  VerdictKey key;
  std::string measured;  // when, ISO 8601 in UTC
  std::int64_t texts = 0;
  std::vector<DeviceVerdict> devices;  // the CPU's fp32 first
};

// Nothing when there is none, or when it is damaged or for something else. Never throws for the
// contents of a file.
std::optional<Verdict> read_verdict(const VerdictKey& key);
// Complete or not at all; replaces what was there. Returns why it could not be kept; empty: it was.
std::string write_verdict(const Verdict& verdict);

std::string verdict_json(const Verdict& verdict);
std::optional<Verdict> parse_verdict(std::string_view json);

// The devices that are expected to be quicker than the CPU for so many texts (0: many, so that
// loading counts nothing), best first. `dtype` is what the caller asked for; other than auto, only
// measurements of that dtype count, against the CPU's in the same. A caller who gives the CPU more
// threads than it was measured with gets none.
std::vector<backend::Preferred> preferred_devices(const Verdict& verdict, std::string_view dtype,
                                                  std::int64_t texts, int threads);

}  // namespace inlay::engine

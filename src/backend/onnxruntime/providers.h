// ONNX Runtime's execution providers as this room sets them up: which options each gets, and what
// came of it: the nodes that it took.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/onnxruntime/library.h"

namespace inlay::backend::onnxruntime {

// The parts of the room, as --device onnxruntime:UNIT names them; the first stands for the room.
inline constexpr const char* kCpuUnit = "cpu";
inline constexpr const char* kCudaUnit = "cuda";
inline constexpr const char* kCoremlUnit = "coreml";

struct ProviderSetup {
  std::string unit;                                          // "coreml"
  std::string name;                                          // "CoreMLExecutionProvider"
  std::vector<std::pair<std::string, std::string>> options;  // as they are sent, in order
  // What a provider that compiles wants: shapes without open dimensions, embeddings by the host.
  bool compiles = false;
};

// What `unit` (empty: cpu) gets: Inlay's preset, then what the caller gives. Throws kUsage for an
// option that the provider does not have, a bad value of coreml's, or any option for the cpu.
ProviderSetup provider_setup(std::string_view unit, const RoomOptions& options);

// Where coreml keeps what it compiled unless the caller names a folder; empty: nowhere.
std::filesystem::path compiled_folder(const RoomOptions& options);

// Adds the provider to a session's options. Returns the library's own words when it refuses; empty:
// done.
std::string append_provider(const Library& library, const ProviderSetup& setup, Options* options);

// What became of a graph's nodes when a session was made.
struct Placement {
  std::int64_t partitions = 1;                   // that the provider took
  std::int64_t fallback_ops = 0;                 // nodes that stay on the CPU
  std::map<std::string, std::int64_t> nodes;     // by provider
  std::map<std::string, std::int64_t> fallback;  // those on the CPU by operator
  bool known = false;                            // whether the library told
  std::vector<std::string> notes;
};

// From one session's assignments (where the library tells them) and from the lines it logged.
// The cpu provider is one partition without fallback. Throws kInternal when the library fails.
Placement read_placement(const Library& library, const ProviderSetup& setup,
                         const SessionHandle* session, const std::vector<std::string>& log);

// The three numbers of CoreML's line about what it can take; false when `line` is another one.
struct CoremlCounts {
  std::int64_t partitions = 0, nodes = 0, supported = 0;
};
bool read_coreml_line(std::string_view line, CoremlCounts* counts);

}  // namespace inlay::backend::onnxruntime

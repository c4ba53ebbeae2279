// Sessions of a provider that compiles: one for each size of group, made when first needed and held
// against the CPU before it serves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/onnxruntime/graph.h"
#include "backend/onnxruntime/session.h"
#include "backend/padded/groups.h"

namespace inlay::backend::onnxruntime {

// Runs a group; out gets [texts, width] or [texts, length, width] for each output. `external`: the
// values of an external graph, where the session's begins with them.
void run_group(Session* session, padded::InputMaker* maker, std::span<const GraphOutput> outputs,
               const PackedBatch& batch, const padded::Group& group,
               std::vector<std::vector<float>>* out, const padded::HostTensor* external = nullptr);

// How a text of that length is grouped: one of a few lengths, and one text or eight.
padded::Cut compiled_cut(std::int64_t length, std::int64_t most);

// Thread-safe.
class SizedSessions {
 public:
  // `program` and `weights`, the block that its graphs refer to, must outlive this; `maker` makes
  // inputs of its graphs. `cache`: the folder of compiled models that Inlay itself keeps small;
  // empty: none.
  SizedSessions(const Program& program, const Library& library, ProviderSetup setup,
                std::string_view weights, const padded::InputMaker& maker, int threads,
                std::filesystem::path cache);

  // The session of a size; null: it is not compiled yet.
  Session* find(std::int64_t texts, std::int64_t length) const;
  // Compiles it if need be, one at a time. Throws kUnavailable when its results are not the CPU's.
  Session& make(std::int64_t texts, std::int64_t length);

  Placement placement() const;             // of the last session made
  std::vector<std::string> notes() const;  // agreement with the CPU by size
 private:
  std::string check_agreement(Session* session, const Graph& graph, std::int64_t texts,
                              std::int64_t length);

  const Program& program_;
  const Library& library_;
  const ProviderSetup setup_;
  const std::string_view weights_;
  const int threads_;
  const std::filesystem::path cache_;
  std::string key_;           // of the weights
  std::mutex making_;         // guards the next
  padded::InputMaker maker_;  // of inputs for checks
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Session>> sessions_;
  Placement placement_;
  std::vector<std::string> notes_;
};

}  // namespace inlay::backend::onnxruntime

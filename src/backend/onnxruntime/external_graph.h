// An ONNX graph of somebody else's, run as it is on groups of texts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/onnxruntime/session.h"
#include "backend/padded/groups.h"
#include "program/program.h"

namespace inlay::backend::onnxruntime {

// Texts that may run together: of the graph's values those that come out are known, so a group is
// bounded by them as well.
std::int64_t external_group_texts(const ExternalGraphStep& step, std::int64_t length);

// Not thread-safe.
class ExternalGraph {
 public:
  // Reads the step's files; it may release them afterwards. Throws kUnavailable as Session does,
  // kUnsupported with the library's words when it refuses the graph.
  ExternalGraph(const ExternalGraphStep& step, const Library& library, const ProviderSetup& setup,
                int threads);

  // How the group of a text of that length is made.
  padded::Cut cut(std::int64_t length) const;
  // [texts, length, width] or [texts, width], float32, under the name kExternalInput. Valid until
  // the next call. Throws kUnsupported when the library fails.
  const padded::HostTensor& run(const PackedBatch& batch, const padded::Group& group);

  const Placement& placement() const { return session_->placement(); }
  std::vector<std::string> notes() const;

 private:
  // One input of a group, of its integers.
  void fill(const ExternalGraphStep::Given& given, const PackedBatch& batch,
            const padded::Group& group, auto* out) const;

  const ExternalGraphStep step_;  // without its files
  const std::unique_ptr<Session> session_;
  struct Slot {
    std::vector<std::int64_t> wide;
    std::vector<std::int32_t> narrow;
  };
  std::vector<Slot> slots_;  // by input
  std::vector<float> values_;
  std::vector<std::uint16_t> halves_;
  padded::HostTensor result_;
};

}  // namespace inlay::backend::onnxruntime

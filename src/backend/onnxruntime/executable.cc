// Batches become groups of texts of like length, padded to one length each. The CPU and CUDA take
// any shape, so one session with open dimensions serves all groups; CoreML compiles each shape, so
// groups are rounded up to a few sizes (sized_sessions.h).
#include "backend/onnxruntime/executable.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "backend/onnxruntime/external_graph.h"
#include "backend/onnxruntime/graph.h"
#include "backend/onnxruntime/session.h"
#include "backend/onnxruntime/sized_sessions.h"
#include "backend/padded/groups.h"
#include "base/error.h"

namespace inlay::backend::onnxruntime {
namespace {

using padded::Cut;
using padded::Group;
using padded::InputMaker;

class OrtExecutable final : public Executable {
 public:
  OrtExecutable(const Program& program, const CompileOptions& options, const Library& library,
                ProviderSetup setup, std::unique_ptr<ExternalGraph> external)
      : program_(program),
        options_(options),
        library_(library),
        setup_(std::move(setup)),
        external_(std::move(external)),
        memory_(plan_memory(program, options, setup_)),
        graph_(make_graph(program_, {0, 0, setup_.compiles})),
        maker_(graph_.inputs),
        grouper_(options.max_texts),
        outputs_(padded::outputs_of(program)) {
    weights_ = graph_.weights.fill();
    const std::string_view block(weights_.as<char>(), weights_.bytes());
    if (setup_.compiles) {
      sized_ = std::make_unique<SizedSessions>(program_, library_, setup_, block, maker_,
                                               options.threads, own_cache());
    } else {
      session_ = std::make_unique<Session>(library_, setup_,
                                           SessionSpec{graph_.model, block, options_.threads});
      weights_ = Buffer();  // the session has its own copy
    }
    program_.release_weights();
    graph_.model.clear();
  }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    padded::check_batch("onnxruntime", batch, options_, outputs_, outs);
    grouper_.each(batch, cut_of(), [&](const Group& group) {
      padded::count_tokens(batch, group, &tokens_);
      Session& session = session_ ? *session_ : sized_->make(group.texts, group.length);
      run_group(&session, &maker_, graph_.outputs, batch, group, &results_,
                external_ ? &external_->run(batch, group) : nullptr);
      for (std::size_t i = 0; i < outs.size(); ++i) take_output(batch, group, i, outs[i]);
      return true;
    });
  }

  bool prepared(std::span<const std::int32_t> offsets) override {
    if (session_) return true;
    const PackedBatch batch{{}, {}, offsets, {}};
    return grouper_.each(batch, cut_of(), [&](const Group& group) {
      return sized_->find(group.texts, group.length) != nullptr;
    });
  }
  void prepare(std::span<const std::int32_t> offsets) override {
    if (session_) return;
    const PackedBatch batch{{}, {}, offsets, {}};
    padded::Grouper grouper(batch.texts());  // run() has the other
    grouper.each(batch, cut_of(), [&](const Group& group) {
      sized_->make(group.texts, group.length);
      return true;
    });
  }

  MemoryPlan memory() const override { return memory_; }
  double padded_share() const override { return tokens_.padded_share(); }
  std::int64_t partitions() const override { return placement().partitions; }
  std::int64_t fallback_ops() const override { return placement().fallback_ops; }
  std::vector<std::string> notes() const override;

 private:
  std::function<Cut(std::int64_t)> cut_of() const {
    return [this](std::int64_t length) { return cut(length); };
  }
  Cut cut(std::int64_t length) const {
    if (external_) return external_->cut(length);
    if (setup_.compiles) return compiled_cut(length, options_.max_text_tokens);
    return {length, padded::least_of_group(length), padded::group_texts(length)};
  }
  // Inlay's own folder of compiled models, unless the caller named another.
  std::filesystem::path own_cache() const {
    const std::filesystem::path folder = compiled_folder(options_.room);
    for (const auto& [option, value] : setup_.options) {
      if (option == "ModelCacheDirectory" && value == folder) return folder;
    }
    return {};
  }
  Placement placement() const {
    if (external_) return external_->placement();
    return session_ ? session_->placement() : sized_->placement();
  }
  void take_output(const PackedBatch& batch, const Group& group, std::size_t index,
                   std::span<float> out) const;

  Program program_;  // graphs and inputs refer to its steps
  const CompileOptions options_;
  const Library& library_;
  const ProviderSetup setup_;
  const std::unique_ptr<ExternalGraph> external_;  // what runs before the graph; may be null
  const MemoryPlan memory_;
  Graph graph_;
  InputMaker maker_;
  Buffer weights_;                        // of a provider that compiles: each graph needs them
  std::unique_ptr<Session> session_;      // of any shape
  std::unique_ptr<SizedSessions> sized_;  // or these
  padded::Grouper grouper_;
  const std::vector<padded::Output> outputs_;
  std::vector<std::vector<float>> results_;  // of a group, by output
  padded::TokenCounts tokens_;
};

void OrtExecutable::take_output(const PackedBatch& batch, const Group& group, std::size_t index,
                                std::span<float> out) const {
  const float* from = results_[index].data();
  padded::take_rows(batch, group, outputs_[index], from, out);
  const int log1p = graph_.outputs[index].log1p;
  if (log1p == 0) return;
  const auto width = static_cast<std::size_t>(outputs_[index].width);
  for (const std::int32_t member : group.members) {  // the sparse head: rows of texts
    const std::span<float> row = out.subspan(static_cast<std::size_t>(member) * width, width);
    for (int again = 0; again < log1p; ++again)
      std::transform(row.begin(), row.end(), row.begin(), [](float v) { return std::log1p(v); });
  }
}

std::vector<std::string> OrtExecutable::notes() const {
  std::vector<std::string> notes{"ONNX Runtime " + library_.version + ", " + library_.path};
  if (external_) {
    for (std::string& note : external_->notes()) notes.push_back(std::move(note));
  }
  const Placement placed = placement();
  std::string nodes;
  for (const auto& [provider, count] : placed.nodes)
    nodes += (nodes.empty() ? "nodes: " : ", ") + std::to_string(count) + " on " + provider;
  if (!nodes.empty()) notes.push_back(std::move(nodes));
  std::string left;
  for (const auto& [op, count] : placed.fallback)
    left += (left.empty() ? "left to the CPU: " : ", ") + op + " x " + std::to_string(count);
  if (!left.empty()) notes.push_back(std::move(left));
  notes.insert(notes.end(), placed.notes.begin(), placed.notes.end());
  if (sized_) {
    for (std::string& note : sized_->notes()) notes.push_back(std::move(note));
  }
  return notes;
}

}  // namespace

MemoryPlan plan_memory(const Program& program, const CompileOptions& options,
                       const ProviderSetup& setup) {
  MemoryPlan memory;
  if (const ExternalGraphStep* external = find_external_graph(program)) {
    // The graph's inner values are not known: a transformer has about twelve rows as wide as those
    // that come out, or fewer and a few of logits.
    const std::int64_t length = options.max_text_tokens;
    const std::int64_t rows = length * external_group_texts(*external, length);
    memory.packed = external->bytes();
    memory.arena =
        std::max(12 * external->width * rows * std::int64_t{sizeof(float)}, 2 * external->bytes());
    return memory;
  }
  const Graph graph = make_graph(program, {0, 0, setup.compiles});
  memory.packed = graph.weights.bytes();
  if (setup.compiles) memory.packed *= 2;  // the library's compiled copy beside this room's
  // Rows of a group: the widest value with its input beside it, and what attention makes of them.
  const padded::GroupFloats group = padded::group_floats(program, options.max_text_tokens);
  memory.arena = (4 * group.rows + 3 * group.scores) * std::int64_t{sizeof(float)};
  // While a session is made the library holds the weights as it parsed them, as tensors and packed,
  // all beside this room's block.
  memory.arena = std::max(memory.arena, 3 * graph.weights.bytes());
  return memory;
}

std::unique_ptr<Executable> make_executable(const Program& program, const CompileOptions& options,
                                            const Library& library, ProviderSetup setup) {
  std::unique_ptr<ExternalGraph> external;
  if (const ExternalGraphStep* step = find_external_graph(program)) {
    external = std::make_unique<ExternalGraph>(*step, library, setup, options.threads);
    setup = provider_setup(kCpuUnit, {});  // of the rest, which is pooling and a layer or two
  }
  return std::make_unique<OrtExecutable>(program, options, library, std::move(setup),
                                         std::move(external));
}

}  // namespace inlay::backend::onnxruntime

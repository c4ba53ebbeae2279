// Batches become groups of texts of like length, padded to one length each. The CPU and CUDA take
// any shape, so one session with open dimensions serves all groups; CoreML compiles each shape, so
// groups are rounded up to a few and their sessions made when they are first needed.
#include "backend/onnxruntime/executable.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <utility>

#include "backend/onnxruntime/compiled_cache.h"
#include "backend/onnxruntime/graph.h"
#include "backend/onnxruntime/session.h"
#include "backend/padded/groups.h"
#include "base/error.h"
#include "base/hash.h"

namespace inlay::backend::onnxruntime {
namespace {

using padded::Group;
using padded::InputMaker;
using padded::TensorView32;

// What a provider that compiles is given: lengths, and texts a run.
constexpr std::int64_t kLengths[] = {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
constexpr std::int64_t kManyTexts = 8;
// Least agreement with the CPU of a size: fp16 of an encoder stays well above.
constexpr double kLeastAgreement = 0.999;

std::int64_t bucket_length(std::int64_t length, std::int64_t most) {
  for (const std::int64_t bucket : kLengths) {
    if (bucket >= length) return std::min(bucket, most);
  }
  return most;
}

// Cosine of two rows; of rows of one number, 1 less a fiftieth of their relative difference, so
// that kLeastAgreement allows 5 %.
double agreement(const float* a, const float* b, std::size_t width) {
  if (width == 1)
    return 1 - std::fabs(double{a[0]} - b[0]) / std::max(1.0, std::fabs(double{b[0]})) / 50;
  double dot = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t d = 0; d < width; ++d) {
    dot += double{a[d]} * b[d];
    aa += double{a[d]} * a[d];
    bb += double{b[d]} * b[d];
  }
  if (aa == 0 && bb == 0) return 1;
  return dot / std::sqrt(aa * bb);
}

class OrtExecutable final : public Executable {
 public:
  OrtExecutable(const Program& program, const CompileOptions& options, const Library& library,
                ProviderSetup setup)
      : program_(program),
        options_(options),
        library_(library),
        setup_(std::move(setup)),
        memory_(plan_memory(program, options, setup_)),
        graph_(make_graph(program_, {0, 0, setup_.compiles})),
        maker_(graph_.inputs),
        vocabulary_(program.vocab_size()),
        order_(options.max_texts),
        outputs_(padded::outputs_of(program)) {
    weights_ = graph_.weights.fill();
    if (setup_.compiles) {
      if (!own_cache().empty()) trim_compiled(own_cache());
      key_ = hash_bytes({weights_.as<char>(), weights_.bytes()}, options.threads).hex();
    } else {
      session_ = std::make_unique<Session>(library_, setup_, spec(graph_));
      weights_ = Buffer();  // the session has its own copy
      placement_ = session_->placement();
    }
    program_.release_weights();
    graph_.model.clear();
  }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    padded::check_batch("onnxruntime", batch, options_, outputs_, outs);
    std::span<const std::int32_t> left = order_.sort(batch);
    while (!left.empty()) {
      Group group = size_of(padded::text_length(batch, left[0]));
      const std::size_t count =
          setup_.compiles
              ? std::min(left.size(), static_cast<std::size_t>(group.texts))
              : padded::group_size(batch, left, padded::least_of_group(group.length), group.texts);
      group.members = left.first(count);
      if (!setup_.compiles || count == 1) group.texts = static_cast<std::int64_t>(count);
      for (const std::int32_t member : group.members)
        real_tokens_ += padded::text_length(batch, member);
      computed_tokens_ += group.texts * group.length;
      run_group(batch, group, outs);
      left = left.subspan(count);
    }
  }

  MemoryPlan memory() const override { return memory_; }
  double padded_share() const override {
    return computed_tokens_ == 0 ? 0
                                 : static_cast<double>(computed_tokens_ - real_tokens_) /
                                       static_cast<double>(computed_tokens_);
  }
  std::int64_t partitions() const override { return placement_.partitions; }
  std::int64_t fallback_ops() const override { return placement_.fallback_ops; }
  std::vector<std::string> notes() const override;

 private:
  SessionSpec spec(const Graph& graph) const {
    return {graph.model, {weights_.as<char>(), weights_.bytes()}, options_.threads};
  }
  // How long a group is whose longest text has `length` tokens, and how many texts it may hold.
  Group size_of(std::int64_t length) const {
    Group group;
    group.length = setup_.compiles ? bucket_length(length, options_.max_text_tokens) : length;
    group.texts = padded::group_texts(group.length);
    if (setup_.compiles) group.texts = group.texts >= kManyTexts ? kManyTexts : 1;
    return group;
  }
  // Inlay's own folder of compiled models, unless the caller named another.
  std::filesystem::path own_cache() const {
    const std::filesystem::path folder = compiled_folder(options_.room);
    for (const auto& [option, value] : setup_.options) {
      if (option == "ModelCacheDirectory" && value == folder) return folder;
    }
    return {};
  }
  Session& session_for(const Group& group);
  void check_agreement(Session* session, const Graph& graph, const Group& group);
  void compute(Session* session, const PackedBatch& batch, const Group& group);
  void run_group(const PackedBatch& batch, const Group& group,
                 std::span<const std::span<float>> outs);
  void take_output(const PackedBatch& batch, const Group& group, std::size_t index,
                   std::span<float> out) const;

  Program program_;  // graphs and inputs refer to its steps
  const CompileOptions options_;
  const Library& library_;
  const ProviderSetup setup_;
  const MemoryPlan memory_;
  Graph graph_;
  InputMaker maker_;
  Buffer weights_;  // of a provider that compiles: the next graph needs them, too
  std::string key_;
  std::unique_ptr<Session> session_;  // of any shape
  std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Session>> sessions_;
  Placement placement_;  // of the last session made
  const std::int64_t vocabulary_;
  padded::LengthOrder order_;
  const std::vector<padded::Output> outputs_;
  std::vector<std::vector<float>> results_;  // of a group, by output
  std::int64_t real_tokens_ = 0, computed_tokens_ = 0;
};

Session& OrtExecutable::session_for(const Group& group) {
  if (session_) return *session_;
  std::unique_ptr<Session>& made = sessions_[{group.texts, group.length}];
  if (!made) {
    const GraphOptions shape{group.texts, group.length, true};
    // Of everything that the compiled model depends on: a changed model is another key.
    const std::string text = make_graph(program_, shape).model + key_ + library_.version;
    const std::string key = hash_bytes(text).hex();
    const Graph graph = make_graph(program_, shape, key);
    auto session = std::make_unique<Session>(library_, setup_, spec(graph));
    placement_ = session->placement();
    if (!own_cache().empty()) touch_compiled(own_cache(), key);
    check_agreement(session.get(), graph, group);
    made = std::move(session);
  }
  return *made;
}

// What an accelerator makes of one size may be wrong for that size alone (ONNX Runtime's issue
// 32569), so each is held against the CPU before it serves.
void OrtExecutable::check_agreement(Session* session, const Graph& graph, const Group& group) {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> offsets{0};
  std::vector<std::int32_t> members;
  std::mt19937 random(1);
  for (std::int64_t t = 0; t < group.texts; ++t) {
    const std::int64_t length = std::max<std::int64_t>(1, group.length - 3 * t);
    for (std::int64_t i = 0; i < length; ++i)
      ids.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocabulary_)));
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
    members.push_back(static_cast<std::int32_t>(t));
  }
  const PackedBatch batch{ids, {}, offsets, {}};
  const Group all{members, group.texts, group.length};
  compute(session, batch, all);
  const std::vector<std::vector<float>> got = results_;
  Session cpu(library_, provider_setup(kCpuUnit, {}), spec(graph));
  compute(&cpu, batch, all);
  double least = 1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto width = static_cast<std::size_t>(graph_.outputs[i].width);
    for (std::size_t row = 0; row + width <= got[i].size(); row += width)
      least = std::min(least, agreement(&got[i][row], &results_[i][row], width));
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", least);
  if (!(least >= kLeastAgreement)) {
    fail(ErrorCode::kUnavailable, "--device onnxruntime:" + setup_.unit,
         "expected it to agree with the CPU (at least 0.999) on " + std::to_string(group.texts) +
             " texts of " + std::to_string(group.length) + " tokens, got " + text +
             ". Remedy: another MLComputeUnits or ModelFormat in --provider-options, or --device "
             "cpu.");
  }
  placement_.notes.push_back("agreement with the CPU at " + std::to_string(group.texts) + " x " +
                             std::to_string(group.length) + ": " + text);
}

// Runs a group; what comes out is in results_.
void OrtExecutable::compute(Session* session, const PackedBatch& batch, const Group& group) {
  results_.resize(graph_.outputs.size());
  std::vector<TensorView32> outputs;
  for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
    const GraphOutput& output = graph_.outputs[i];
    TensorView32 tensor{output.name.c_str(), kFloat, nullptr, {group.texts, output.width}};
    if (output.rows == Rows::kTokens) tensor.shape = {group.texts, group.length, output.width};
    results_[i].resize(tensor.bytes() / sizeof(float));
    tensor.data = results_[i].data();
    outputs.push_back(std::move(tensor));
  }
  session->run(maker_.make(batch, group), outputs);
}

void OrtExecutable::run_group(const PackedBatch& batch, const Group& group,
                              std::span<const std::span<float>> outs) {
  compute(&session_for(group), batch, group);
  for (std::size_t i = 0; i < outs.size(); ++i) take_output(batch, group, i, outs[i]);
}

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
  std::string nodes;
  for (const auto& [provider, count] : placement_.nodes)
    nodes += (nodes.empty() ? "nodes: " : ", ") + std::to_string(count) + " on " + provider;
  if (!nodes.empty()) notes.push_back(std::move(nodes));
  std::string left;
  for (const auto& [op, count] : placement_.fallback)
    left += (left.empty() ? "left to the CPU: " : ", ") + op + " x " + std::to_string(count);
  if (!left.empty()) notes.push_back(std::move(left));
  notes.insert(notes.end(), placement_.notes.begin(), placement_.notes.end());
  return notes;
}

}  // namespace

MemoryPlan plan_memory(const Program& program, const CompileOptions& options,
                       const ProviderSetup& setup) {
  MemoryPlan memory;
  const Graph graph = make_graph(program, {0, 0, setup.compiles});
  memory.packed = graph.weights.bytes();
  if (setup.compiles) memory.packed *= 2;  // the library's compiled copy beside this room's
  // Rows of a group: the widest value with its input beside it, and what attention makes of them.
  const std::int64_t length = options.max_text_tokens;
  const std::int64_t texts = padded::group_texts(length);
  std::int64_t widest = 0;
  std::int64_t scores = 0;
  for (const Value& value : program.values()) {
    if (value.rows == Rows::kTokens) widest = std::max(widest, value.width);
  }
  for (const Step& step : program.steps()) {
    const auto* attention = std::get_if<AttentionStep>(&step.args);
    if (attention == nullptr) continue;
    const bool every = program.value(attention->query.value).rows == Rows::kTokens;
    scores = std::max(scores, attention->heads * texts * length * (every ? length : 1));
  }
  memory.arena = (4 * widest * texts * length + 3 * scores) * std::int64_t{sizeof(float)};
  // While a session is made the library holds the weights as it parsed them, as tensors and packed,
  // all beside this room's block.
  memory.arena = std::max(memory.arena, 3 * graph.weights.bytes());
  return memory;
}

std::unique_ptr<Executable> make_executable(const Program& program, const CompileOptions& options,
                                            const Library& library, ProviderSetup setup) {
  return std::make_unique<OrtExecutable>(program, options, library, std::move(setup));
}

}  // namespace inlay::backend::onnxruntime

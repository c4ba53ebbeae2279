// One compilation at a time, under a lock of its own, so that whoever runs what is compiled never
// waits for it.
#include "backend/onnxruntime/sized_sessions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "backend/onnxruntime/compiled_cache.h"
#include "base/error.h"
#include "base/hash.h"

namespace inlay::backend::onnxruntime {
namespace {

// What a provider that compiles is given: lengths, and texts a run.
constexpr std::int64_t kLengths[] = {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
constexpr std::int64_t kManyTexts = 8;
// Least agreement with the CPU of a size: fp16 of an encoder stays well above.
constexpr double kLeastAgreement = 0.999;

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

}  // namespace

void run_group(Session* session, padded::InputMaker* maker, std::span<const GraphOutput> outputs,
               const PackedBatch& batch, const padded::Group& group,
               std::vector<std::vector<float>>* out, const padded::HostTensor* external) {
  out->resize(outputs.size());
  std::vector<padded::HostTensor> tensors;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const GraphOutput& output = outputs[i];
    padded::HostTensor tensor{output.name.c_str(), kFloat, nullptr, {group.texts, output.width}};
    if (output.rows == Rows::kTokens) tensor.shape = {group.texts, group.length, output.width};
    std::vector<float>& numbers = (*out)[i];
    numbers.resize(tensor.bytes() / sizeof(float));
    tensor.data = numbers.data();
    tensors.push_back(std::move(tensor));
  }
  const std::span<const padded::HostTensor> made = maker->make(batch, group);
  if (external == nullptr) return session->run(made, tensors);
  std::vector<padded::HostTensor> inputs(made.begin(), made.end());
  inputs.push_back(*external);
  session->run(inputs, tensors);
}

padded::Cut compiled_cut(std::int64_t length, std::int64_t most) {
  padded::Cut cut{most, 1, 1, true};
  for (const std::int64_t bucket : kLengths) {
    if (bucket < length) continue;
    cut.length = std::min(bucket, most);
    break;
  }
  if (padded::group_texts(cut.length) >= kManyTexts) cut.texts = kManyTexts;
  return cut;
}

SizedSessions::SizedSessions(const Program& program, const Library& library, ProviderSetup setup,
                             std::string_view weights, const padded::InputMaker& maker, int threads,
                             std::filesystem::path cache)
    : program_(program),
      library_(library),
      setup_(std::move(setup)),
      weights_(weights),
      threads_(threads),
      cache_(std::move(cache)),
      key_(hash_bytes(weights, threads).hex()),
      maker_(maker) {
  if (!cache_.empty()) trim_compiled(cache_);
}

Session* SizedSessions::find(std::int64_t texts, std::int64_t length) const {
  const std::lock_guard lock(mutex_);
  const auto at = sessions_.find({texts, length});
  return at == sessions_.end() ? nullptr : at->second.get();
}

Session& SizedSessions::make(std::int64_t texts, std::int64_t length) {
  const std::lock_guard making(making_);
  if (Session* made = find(texts, length)) return *made;
  const GraphOptions shape{texts, length, true};
  // Of everything that the compiled model depends on: a changed model is another key.
  const std::string key =
      hash_bytes(make_graph(program_, shape).model + key_ + library_.version).hex();
  const Graph graph = make_graph(program_, shape, key);
  auto session =
      std::make_unique<Session>(library_, setup_, SessionSpec{graph.model, weights_, threads_});
  if (!cache_.empty()) touch_compiled(cache_, key);
  std::string note = check_agreement(session.get(), graph, texts, length);
  Session& made = *session;
  const std::lock_guard lock(mutex_);
  placement_ = session->placement();
  notes_.push_back(std::move(note));
  sessions_[{texts, length}] = std::move(session);
  return made;
}

// What an accelerator makes of one size may be wrong for that size alone (ONNX Runtime's issue
// 32569), so each is held against the CPU before it serves.
std::string SizedSessions::check_agreement(Session* session, const Graph& graph, std::int64_t texts,
                                           std::int64_t length) {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> offsets{0};
  std::vector<std::int32_t> members;
  std::mt19937 random(1);
  const auto vocabulary = static_cast<std::uint32_t>(program_.vocab_size());
  for (std::int64_t t = 0; t < texts; ++t) {
    const std::int64_t count = std::max<std::int64_t>(1, length - 3 * t);
    for (std::int64_t i = 0; i < count; ++i)
      ids.push_back(static_cast<std::int32_t>(random() % vocabulary));
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
    members.push_back(static_cast<std::int32_t>(t));
  }
  const PackedBatch batch{ids, {}, offsets, {}};
  const padded::Group all{members, texts, length};
  std::vector<std::vector<float>> got;
  run_group(session, &maker_, graph.outputs, batch, all, &got);
  Session cpu(library_, provider_setup(kCpuUnit, {}), {graph.model, weights_, threads_});
  std::vector<std::vector<float>> expected;
  run_group(&cpu, &maker_, graph.outputs, batch, all, &expected);
  double least = 1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto width = static_cast<std::size_t>(graph.outputs[i].width);
    for (std::size_t row = 0; row + width <= got[i].size(); row += width)
      least = std::min(least, agreement(&got[i][row], &expected[i][row], width));
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", least);
  const std::string size = std::to_string(texts) + (texts == 1 ? " text" : " texts") + " of " +
                           std::to_string(length) + " tokens";
  if (!(least >= kLeastAgreement)) {
    fail(ErrorCode::kUnavailable, "--device onnxruntime:" + setup_.unit,
         "expected it to agree with the CPU (at least 0.999) on " + size + ", got " + text +
             ". Remedy: another MLComputeUnits or ModelFormat in --provider-options, or --device "
             "cpu.");
  }
  return "agreement with the CPU on " + size + ": " + text;
}

Placement SizedSessions::placement() const {
  const std::lock_guard lock(mutex_);
  return placement_;
}

std::vector<std::string> SizedSessions::notes() const {
  const std::lock_guard lock(mutex_);
  return notes_;
}

}  // namespace inlay::backend::onnxruntime

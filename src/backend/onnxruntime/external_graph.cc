// Ids, mask, types and positions as the graph names them, in; one output, out. Padding carries the
// model's own id: families that count positions from it look at nothing else.
#include "backend/onnxruntime/external_graph.h"

#include <algorithm>

#include "backend/onnxruntime/graph.h"
#include "base/error.h"
#include "base/half.h"

namespace inlay::backend::onnxruntime {
namespace {

using Input = ExternalGraphStep::Input;

// Values that come out of a group, at most, unless one text has more: 64 MiB as floats.
constexpr std::int64_t kGroupValues = std::int64_t{1} << 24U;

ExternalGraphStep without_files(ExternalGraphStep step) {
  step.graph.tensor.data = nullptr;
  step.files.clear();
  return step;
}

SessionSpec spec_of(const ExternalGraphStep& step, int threads) {
  const TensorView& file = step.graph.tensor;
  return {{static_cast<const char*>(file.data), file.bytes()}, {}, threads, step.files};
}

// What the library says against it is about the file, not about Inlay.
template <typename Call>
auto about_file(const std::string& file, const char* expected, const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    fail(ErrorCode::kUnsupported, file, std::string(expected) + ", got: " + error.what());
  }
}

}  // namespace

std::int64_t external_group_texts(const ExternalGraphStep& step, std::int64_t length) {
  if (step.text_by_text) return 1;
  const std::int64_t values = step.width * (step.rows == Rows::kTokens ? length : 1);
  return std::clamp<std::int64_t>(kGroupValues / values, 1, padded::group_texts(length));
}

ExternalGraph::ExternalGraph(const ExternalGraphStep& step, const Library& library,
                             const ProviderSetup& setup, int threads)
    : step_(without_files(step)),
      session_(about_file(
          step.graph.name, "expected a graph that this ONNX Runtime takes",
          [&] { return std::make_unique<Session>(library, setup, spec_of(step, threads)); })),
      slots_(step.inputs.size()) {}

padded::Cut ExternalGraph::cut(std::int64_t length) const {
  return {length, padded::least_of_group(length), external_group_texts(step_, length)};
}

void ExternalGraph::fill(const ExternalGraphStep::Given& given, const PackedBatch& batch,
                         const padded::Group& group, auto* out) const {
  out->assign(static_cast<std::size_t>(group.texts * group.length),
              given.input == Input::kIds ? step_.pad_id : 0);
  auto row = out->begin();
  for (const std::int32_t member : group.members) {
    const auto text = static_cast<std::size_t>(member);
    const std::int32_t begin = batch.offsets[text];
    const std::int32_t count = batch.offsets[text + 1] - begin;
    for (std::int32_t i = 0; i < count; ++i) {
      const std::size_t token = static_cast<std::size_t>(begin) + static_cast<std::size_t>(i);
      switch (given.input) {
        case Input::kIds:
          row[i] = batch.ids[token];
          break;
        case Input::kMask:
          row[i] = batch.key_counts.empty() || i < batch.key_counts[text] ? 1 : 0;
          break;
        case Input::kTypes:
          row[i] = batch.type_ids.empty() ? 0 : batch.type_ids[token];
          break;
        case Input::kPositions:
          row[i] = static_cast<std::int32_t>(step_.position_offset) + i;
          break;
      }
    }
    row += group.length;
  }
}

const padded::HostTensor& ExternalGraph::run(const PackedBatch& batch, const padded::Group& group) {
  std::vector<padded::HostTensor> inputs;
  for (std::size_t i = 0; i < step_.inputs.size(); ++i) {
    const ExternalGraphStep::Given& given = step_.inputs[i];
    Slot& slot = slots_[i];
    padded::HostTensor tensor;
    tensor.name = given.name.c_str();
    tensor.type = given.wide ? kInt64 : kInt32;
    tensor.shape = {group.texts, group.length};
    if (given.wide) {
      fill(given, batch, group, &slot.wide);
      tensor.data = slot.wide.data();
    } else {
      fill(given, batch, group, &slot.narrow);
      tensor.data = slot.narrow.data();
    }
    inputs.push_back(std::move(tensor));
  }
  result_.name = step_.output.c_str();
  result_.type = step_.half ? kFloat16 : kFloat;
  result_.shape = {group.texts, step_.width};
  if (step_.rows == Rows::kTokens) result_.shape.insert(result_.shape.begin() + 1, group.length);
  const std::size_t count = result_.bytes() / (step_.half ? sizeof(std::uint16_t) : sizeof(float));
  values_.resize(count);
  if (step_.half) halves_.resize(count);
  result_.data = step_.half ? static_cast<void*>(halves_.data()) : values_.data();
  about_file(step_.graph.name, "expected a graph that runs on [texts, tokens]", [&] {
    session_->run(inputs, {&result_, 1});
  });
  if (step_.half) std::transform(halves_.begin(), halves_.end(), values_.begin(), half_to_float);
  result_.name = kExternalInput;
  result_.type = kFloat;
  result_.data = values_.data();
  return result_;
}

std::vector<std::string> ExternalGraph::notes() const {
  std::vector<std::string> notes{"the model's own graph: " + step_.graph.name + ", " + step_.dtype +
                                 ", output " + step_.output};
  if (step_.text_by_text) {
    notes.emplace_back(
        "one text a run: what comes out of this graph depends on what runs beside a text");
  }
  notes.push_back("operators of the file: " + step_.operators);
  return notes;
}

}  // namespace inlay::backend::onnxruntime

// A body of one step: the folder's own ONNX graph, run as it is. What goes in and what comes out is
// told by names, as transformers' and sentence-transformers' exporters give them; nothing is
// guessed.
#include "arch/external_graph.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "arch/config.h"
#include "base/error.h"
#include "files/onnx_file.h"

namespace inlay::arch {
namespace {

using Input = ExternalGraphStep::Input;
using files::OnnxFile;
using files::OnnxValue;

// TensorProto.DataType.
constexpr std::int64_t kFloat = 1, kInt32 = 6, kInt64 = 7, kFloat16 = 10;

struct InputName {
  const char* name;
  Input input;
};
constexpr std::array<InputName, 4> kInputs{{{"input_ids", Input::kIds},
                                            {"attention_mask", Input::kMask},
                                            {"token_type_ids", Input::kTypes},
                                            {"position_ids", Input::kPositions}}};

std::string values_text(const std::vector<OnnxValue>& values) {
  std::string text;
  for (const OnnxValue& value : values) {
    text += (text.empty() ? "" : ", ") + printable(value.name);
    if (!value.has_shape) continue;
    text += " [";
    for (std::size_t i = 0; i < value.dims.size(); ++i) {
      text += i == 0 ? "" : ", ";
      text += value.dims[i] < 0 ? "?" : std::to_string(value.dims[i]);
    }
    text += "]";
  }
  return text.empty() ? "none" : text;
}

[[noreturn]] void refuse_graph(const OnnxFile& file, const std::string& expected) {
  fail(ErrorCode::kUnsupported, file.name,
       "expected " + expected + ", got a graph with inputs " + values_text(file.inputs) +
           " and outputs " + values_text(file.outputs) +
           ". Choose another file with --onnx-file, or leave that out: Inlay then writes the graph "
           "itself.");
}

ExternalGraphStep::Given given_of(const OnnxFile& file, const OnnxValue& value) {
  const auto* known = std::find_if(kInputs.begin(), kInputs.end(),
                                   [&](const InputName& one) { return value.name == one.name; });
  const bool integers = value.type == kInt64 || value.type == kInt32;
  const bool open = value.dims.size() == 2 && value.dims[0] < 0 && value.dims[1] < 0;
  if (known == kInputs.end() || !integers || (value.has_shape && !open)) {
    refuse_graph(file,
                 "inputs input_ids, attention_mask, token_type_ids and position_ids of integers "
                 "[texts, tokens], both open");
  }
  return {known->input, value.name, value.type == kInt64};
}

const OnnxValue* find_output(const OnnxFile& file, std::string_view name, std::size_t rank) {
  for (const OnnxValue& output : file.outputs) {
    if (output.name == name && output.dims.size() == rank) return &output;
  }
  return nullptr;
}

// The only output of that rank, whatever it is called, unless that is a name for something else.
const OnnxValue* only_output(const OnnxFile& file, std::size_t rank,
                             std::initializer_list<std::string_view> others) {
  const auto fits = [&](const OnnxValue& output) { return output.dims.size() == rank; };
  const auto found = std::find_if(file.outputs.begin(), file.outputs.end(), fits);
  if (found == file.outputs.end() || std::count_if(found, file.outputs.end(), fits) != 1)
    return nullptr;
  const bool other = std::find(others.begin(), others.end(), found->name) != others.end();
  return other ? nullptr : &*found;
}

struct Found {
  const OnnxValue* value = nullptr;
  std::int64_t width = 0;  // where the graph leaves it open; 0: it must not
  bool finished = false;
};

// What the head reads of the outputs.
Found choose_output(const OnnxFile& file, const JsonValue& config, const ExternalOptions& options) {
  switch (options.head) {
    case Head::kHidden: {
      const std::int64_t width = config.integer_or("hidden_size", 0);
      for (const char* name : {"last_hidden_state", "token_embeddings"}) {
        if (const OnnxValue* value = find_output(file, name, 3)) return {value, width};
      }
      if (const OnnxValue* value = only_output(file, 3, {"logits"})) return {value, width};
      const OnnxValue* value = find_output(file, "sentence_embedding", 2);
      if (value == nullptr && file.outputs.size() == 1)  // beside others it may be a pooler's
        value = only_output(file, 2, {"logits", "pooler_output"});
      if (value != nullptr && options.finished) return {value, 0, true};
      refuse_graph(file, std::string("an output last_hidden_state or token_embeddings "
                                     "[texts, tokens, width]") +
                             (options.finished ? ", or sentence_embedding [texts, width]" : ""));
    }
    case Head::kMaskedLm: {
      const std::int64_t width = config_int(config, "vocab_size", 1, kMaxRows);
      const OnnxValue* value = find_output(file, "logits", 3);
      if (value == nullptr) value = only_output(file, 3, {"last_hidden_state"});
      if (value != nullptr && (value->dims[2] < 0 || value->dims[2] == width))
        return {value, width};
      refuse_graph(file, "an output logits [texts, tokens, " + std::to_string(width) + "]");
    }
    case Head::kClassifier: {
      const OnnxValue* value = find_output(file, "logits", 2);
      if (value == nullptr) value = only_output(file, 2, {"sentence_embedding", "pooler_output"});
      const auto labels = config.find("id2label");
      const std::int64_t width =
          labels && labels->is_object() ? static_cast<std::int64_t>(labels->size()) : 0;
      if (value != nullptr) return {value, width};
      refuse_graph(file, "an output logits [texts, labels]");
    }
    case Head::kCausalLm:
    case Head::kAttention:
      break;
  }
  refuse_graph(file,
               "a task that reads hidden states, a masked language model's or a classifier's "
               "logits");
}

// Where positions count from, of families that count from behind their padding id.
std::int64_t position_offset(const files::ModelFiles& model) {
  const std::string type = model.model_type();
  if (type == "mpnet") return 2;
  for (const char* name : {"roberta", "xlm-roberta", "camembert"}) {
    if (type == name) return model.config().integer_or("pad_token_id", 1) + 1;
  }
  return 0;
}

}  // namespace

Body build_external_graph(const files::ModelFiles& model, std::string_view file_name,
                          const ExternalOptions& options) {
  const OnnxFile file = model.onnx_file(file_name);
  const JsonValue config = model.config();
  ExternalGraphStep step;
  bool ids = false;
  bool mask = false;
  bool types = false;
  for (const OnnxValue& input : file.inputs) {
    step.inputs.push_back(given_of(file, input));
    ids = ids || step.inputs.back().input == Input::kIds;
    mask = mask || step.inputs.back().input == Input::kMask;
    types = types || step.inputs.back().input == Input::kTypes;
  }
  if (!ids) refuse_graph(file, "an input input_ids");
  const Found found = choose_output(file, config, options);
  const OnnxValue& output = *found.value;
  step.width = output.dims.back() > 0 ? output.dims.back() : found.width;
  if ((output.type != kFloat && output.type != kFloat16) || step.width < 1 ||
      step.width > kMaxRows) {
    refuse_graph(file, "an output " + printable(output.name) +
                           " of float32 or float16 whose last dimension is a number");
  }
  step.graph = {file.name, file.bytes, (model.folder() / file.name).string()};
  for (const auto& [name, entry] : file.data->entries())
    step.files.push_back({name, entry.tensor, entry.file});
  step.output = output.name;
  step.half = output.type == kFloat16;
  step.rows = output.dims.size() == 3 ? Rows::kTokens : Rows::kTexts;
  step.vocab_size = config_int(config, "vocab_size", 1, kMaxRows);
  if (types) step.type_count = std::max<std::int64_t>(1, config.integer_or("type_vocab_size", 2));
  step.position_offset = position_offset(model);
  for (const char* name : {"max_position_embeddings", "n_positions"}) {
    if (config.find(name)) {
      step.max_tokens =
          config_int(config, name, step.position_offset + 1, kMaxRows) - step.position_offset;
      break;
    }
  }
  const std::int64_t pad = config.integer_or("pad_token_id", 0);
  step.pad_id = static_cast<std::int32_t>(std::clamp<std::int64_t>(pad, 0, step.vocab_size - 1));
  step.text_by_text = file.quantizes_activations || !mask;
  step.dtype = file.dtype;
  step.operators = file.operators;

  Body body;
  body.finished = found.finished;
  body.checkpoint = file.data;
  body.program.hold(file.data);
  body.hidden = body.program.external_graph("graph", std::move(step));
  return body;
}

}  // namespace inlay::arch

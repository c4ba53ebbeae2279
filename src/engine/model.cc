// The public Model and Tokenizer: telling what is in a folder, tokens without an engine. Finding
// and listing models is in model_list.cc.
#include <optional>

#include "arch/arch.h"
#include "base/error.h"
#include "base/json_object.h"
#include "base/utf8.h"
#include "engine/loader.h"
#include "files/locate.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

files::ModelFiles open_model(std::string_view locator, files::Ask ask = files::Ask::kWhenMissing) {
  const files::Located located = files::locate(locator, ask);
  return files::ModelFiles::open(located.folder, located.name);
}

std::string adapters_json(const files::ModelFiles& model) {
  std::string out = "[";
  for (const std::string& name : model.adapters()) {
    if (out.size() > 1) out += ",";
    json_append_string(out, name);
  }
  return out + "]";
}

std::string modules_json(const files::ModelFiles& model) {
  std::string out = "[";
  for (const files::Module& module : model.modules()) {
    if (out.size() > 1) out += ",";
    json_append_string(out, module.type);
  }
  return out + "]";
}

std::string prompts_json(const files::ModelFiles& model) {
  JsonObject prompts;
  for (const files::Prompt& prompt : model.prompts()) prompts.text(prompt.name, prompt.text);
  return prompts.done();
}

std::string pooling_json(const files::ModelFiles& model) {
  std::string out = "[";
  if (model.pooling()) {
    for (const std::string& mode : model.pooling()->modes) {
      if (out.size() > 1) out += ",";
      json_append_string(out, mode);
    }
  }
  return out + "]";
}

void check_text(std::string_view text) {
  const std::size_t valid = utf8_valid_prefix(text);
  if (valid != text.size()) {
    fail(ErrorCode::kBadInput, "text",
         "expected UTF-8, got another byte at offset " + std::to_string(valid) + ".");
  }
}

tokens::EncodeOptions encode_options(const TokenizeOptions& options) {
  if (options.max_length < 0) {
    fail(ErrorCode::kUsage, "--max-length",
         "expected 0 or more, got " + std::to_string(options.max_length) + ".");
  }
  tokens::EncodeOptions encode;
  encode.add_special_tokens = options.add_special_tokens;
  encode.offsets = true;
  encode.max_length = options.max_length;
  encode.direction = options.truncate == Truncate::kLeft ? tokens::TruncationDirection::kLeft
                                                         : tokens::TruncationDirection::kRight;
  return encode;
}

Tokens to_tokens(tokens::Encoding encoding, const TokenizeOptions& options) {
  if (encoding.truncated && options.truncate == Truncate::kError) {
    fail(ErrorCode::kBadInput, "text",
         "expected at most " + std::to_string(options.max_length) +
             " tokens under --truncate error, got more. Shorten the text, raise --max-length or "
             "allow the cut.");
  }
  return {std::move(encoding.ids), std::move(encoding.type_ids), std::move(encoding.offsets),
          encoding.truncated};
}

}  // namespace

std::string Model::show(std::string_view locator, bool with_program) {
  const files::ModelFiles model = open_model(locator, files::Ask::kNever);
  const TaskOptions natural = task::natural_task(model);
  const auto task = task::make_task(model, natural);
  Program program;
  engine::LengthLimits limits;
  if (task->reads()) {
    program = engine::build_program(model, task.get());
    limits = engine::length_limits(model, program, *task->reads());
  }
  std::int64_t parameters = 0;
  for (const Step& step : program.steps()) {
    visit_weights(step.args, [&](const WeightRef& weight) {
      if (weight.present()) parameters += weight.tensor.elements();
    });
  }
  JsonObject out;
  out.text("model", model.name());
  out.text("folder", model.folder().string());
  out.text("revision", model.revision());
  out.boolean("cached", !model.revision().empty());
  out.text("architecture", task->reads()        ? arch::find(model).name
                           : model.is_formula() ? "bm25"
                                                : "token weights");
  out.text("model_type", model.model_type());
  out.text("task", task::task_name(natural));
  out.integer("parameters", parameters);
  out.text("weight_file", model.weight_file());
  out.integer("weight_bytes", model.weight_bytes());
  out.integer("dim", task->dim());
  out.integer("vocab_size", task->reads() ? program.vocab_size() : task->dim());
  out.integer("max_length", limits.standard);
  out.integer("longest_max_length", limits.largest);
  out.raw("modules", modules_json(model));
  out.raw("pooling", pooling_json(model));
  out.raw("adapters", adapters_json(model));
  out.raw("prompts", prompts_json(model));
  if (model.default_prompt_name()) {
    out.text("default_prompt_name", *model.default_prompt_name());
  } else {
    out.raw("default_prompt_name", "null");
  }
  if (with_program) out.text("program", program.text());
  return out.done();
}

std::optional<PromptText> Model::prompt(std::string_view locator,
                                        const std::optional<std::string>& name, Role role,
                                        const std::string& adapter) {
  const files::ModelFiles model = open_model(locator);
  task::PromptChoice choice =
      task::choose_prompt(model, name, role, task::choose_adapter(model, adapter, role));
  if (!choice.name) return std::nullopt;
  return PromptText{*std::move(choice.name), std::move(choice.text)};
}

struct Tokenizer::Impl {
  tokens::Tokenizer tokenizer;
};

Tokenizer::Tokenizer(std::string_view model_locator)
    : impl_(new Impl{engine::load_tokenizer(open_model(model_locator))}) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokens Tokenizer::encode(std::string_view text, const TokenizeOptions& options) const {
  check_text(text);
  return to_tokens(impl_->tokenizer.encode(text, encode_options(options)), options);
}

Tokens Tokenizer::encode_pair(std::string_view first, std::string_view second,
                              const TokenizeOptions& options) const {
  check_text(first);
  check_text(second);
  return to_tokens(impl_->tokenizer.encode_pair(first, second, encode_options(options)), options);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const {
  return impl_->tokenizer.decode(ids, skip_special_tokens);
}

std::string Tokenizer::token(std::int32_t id) const {
  auto token = impl_->tokenizer.id_to_token(id);
  if (!token) {
    fail(ErrorCode::kBadInput, "token id",
         "expected an id of the vocabulary, got " + std::to_string(id) + ".");
  }
  return *std::move(token);
}

std::int64_t Tokenizer::vocab_size() const { return impl_->tokenizer.vocab_size(); }

}  // namespace inlay

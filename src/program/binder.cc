// Name look-up with prefixes and old spellings; problems are collected and reported together.
#include "program/binder.h"

#include "base/error.h"

namespace inlay {
namespace {

constexpr std::size_t kProblemsShown = 12;

bool replace_suffix(std::string* name, std::string_view from, std::string_view to) {
  if (!name->ends_with(from)) return false;
  name->replace(name->size() - from.size(), from.size(), to);
  return true;
}

bool shape_matches(const Shape& actual, const Shape& expected) {
  if (actual.size() != expected.size()) return false;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (expected[i] >= 0 && expected[i] != actual[i]) return false;
  }
  return true;
}

bool is_behind_prefix(std::string_view name, std::string_view anchor) {
  if (!name.ends_with(anchor)) return false;
  return name.size() == anchor.size() || name[name.size() - anchor.size() - 1] == '.';
}

}  // namespace

bool checkpoint_has(const Weights& weights, std::string_view name) {
  for (const auto& [full, entry] : weights.entries()) {
    if (is_behind_prefix(full, name)) return true;
  }
  return false;
}

Binder::Binder(std::shared_ptr<const Weights> weights, std::string_view anchor,
               std::string_view where)
    : weights_(std::move(weights)), where_(where) {
  // The shortest prefix wins: "bert." over "decoder.bert." where a file holds two models.
  const std::string* best = nullptr;
  for (const auto& [name, entry] : weights_->entries()) {
    if (!is_behind_prefix(name, anchor)) continue;
    if (best == nullptr || name.size() < best->size()) best = &name;
  }
  if (best == nullptr) {
    std::string seen;
    for (const auto& [name, entry] : weights_->entries()) {
      if (seen.size() > 200) break;
      seen += (seen.empty() ? "" : ", ") + printable(name);
    }
    fail(ErrorCode::kBadInput, where_,
         "expected a tensor ending in \"" + std::string(anchor) +
             "\" in the checkpoint, got: " + (seen.empty() ? "no tensors" : seen) +
             ". The weights belong to another architecture.");
  }
  prefix_ = best->substr(0, best->size() - anchor.size());
}

const Weights::Entry* Binder::find(std::string_view name, std::string* full) const {
  *full = prefix_ + std::string(name);
  if (const auto* entry = weights_->find(*full)) return entry;
  // TensorFlow's LayerNorm spelling, kept by old conversions.
  std::string old = *full;
  if (replace_suffix(&old, "LayerNorm.weight", "LayerNorm.gamma") ||
      replace_suffix(&old, "LayerNorm.bias", "LayerNorm.beta")) {
    if (const auto* entry = weights_->find(old)) {
      *full = old;
      return entry;
    }
  }
  return nullptr;
}

bool Binder::has(std::string_view name) const {
  std::string full;
  return find(name, &full) != nullptr;
}

WeightRef Binder::take_optional(std::string_view name, const Shape& shape) {
  std::string full;
  const auto* entry = find(name, &full);
  if (entry == nullptr) return {};
  if (!shape_matches(entry->tensor.shape, shape)) {
    problems_.push_back(full + ": expected shape " + shape_text(shape) + ", got " +
                        shape_text(entry->tensor.shape) + " (" + entry->file + ")");
    return {};
  }
  switch (entry->tensor.dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF64:
      break;
    default:
      problems_.push_back(full + ": expected F32, F16, BF16 or F64, got " +
                          dtype_name(entry->tensor.dtype) + " (" + entry->file + ")");
      return {};
  }
  return {full, entry->tensor, entry->file};
}

WeightRef Binder::take(std::string_view name, const Shape& shape) {
  if (!has(name)) {
    problems_.push_back(prefix_ + std::string(name) + ": expected shape " + shape_text(shape) +
                        ", got no such tensor");
    return {};
  }
  return take_optional(name, shape);
}

void Binder::finish() const {
  if (problems_.empty()) return;
  std::string message =
      "expected a checkpoint that fits config.json, got " + std::to_string(problems_.size()) +
      (problems_.size() == 1 ? " tensor that does not: " : " tensors that do not: ");
  for (std::size_t i = 0; i < problems_.size() && i < kProblemsShown; ++i)
    message += (i == 0 ? "" : "; ") + problems_[i];
  if (problems_.size() > kProblemsShown)
    message += "; and " + std::to_string(problems_.size() - kProblemsShown) + " more";
  fail(ErrorCode::kBadInput, where_, message + ". Fetch the model again.");
}

}  // namespace inlay

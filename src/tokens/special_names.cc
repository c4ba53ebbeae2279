// See special_names.h.
#include "tokens/special_names.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace inlay::tokens {
namespace {

struct Slot {
  std::optional<std::int32_t> SpecialIds::*id;
  std::string_view key;
  std::array<std::string_view, 4> spellings;  // of published models, when no file names the token
};
constexpr Slot kSlots[] = {
    {&SpecialIds::unk, "unk_token", {"[UNK]", "<unk>", "", ""}},
    {&SpecialIds::cls, "cls_token", {"[CLS]", "<s>", "<cls>", ""}},
    {&SpecialIds::sep, "sep_token", {"[SEP]", "</s>", "<sep>", ""}},
    {&SpecialIds::pad, "pad_token", {"[PAD]", "<pad>", "<|pad|>", "<|finetune_right_pad_id|>"}},
    {&SpecialIds::mask, "mask_token", {"[MASK]", "<mask>", "", ""}},
    {&SpecialIds::bos, "bos_token", {"<s>", "<bos>", "<|begin_of_text|>", ""}},
    {&SpecialIds::eos, "eos_token", {"</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"}},
};

}  // namespace

std::optional<AddedTokens::Token> read_special_token(const JsonValue& config,
                                                     std::string_view key) {
  const auto value = config.find(key);
  if (!value) return std::nullopt;
  AddedTokens::Token token;
  token.special = true;
  token.normalized = false;
  if (value->is_string()) {
    token.content = value->string();
  } else {
    token.content = value->at("content").string();
    token.single_word = value->bool_or("single_word", false);
    token.lstrip = value->bool_or("lstrip", false);
    token.rstrip = value->bool_or("rstrip", false);
    token.normalized = value->bool_or("normalized", false);
  }
  if (token.content.size() > kMaxTokenBytes) {
    fail(ErrorCode::kBadInput, value->where(),
         "expected a token of at most " + std::to_string(kMaxTokenBytes) + " bytes, got " +
             std::to_string(token.content.size()) + ". The file is damaged; fetch it again.");
  }
  return token;
}

SpecialIds find_special_ids(const std::optional<JsonValue>& config, const AddedTokens& added,
                            const Model& model, const PostProcessor& post_processor) {
  const auto id_of = [&](std::string_view name) -> std::optional<std::int32_t> {
    if (const auto id = added.id(name)) return id;
    const std::int32_t id = model.vocab().find(name);
    return id >= 0 ? std::optional(id) : std::nullopt;
  };
  SpecialIds ids;
  for (const Slot& slot : kSlots) {
    if (config && config->contains(slot.key)) {
      if (const auto token = read_special_token(*config, slot.key))
        ids.*slot.id = id_of(token->content);
      continue;
    }
    for (const std::string_view spelling : slot.spellings) {
      if (spelling.empty() || ids.*slot.id) continue;
      const auto& named = post_processor.special_tokens();
      const auto found = std::find_if(named.begin(), named.end(),
                                      [&](const auto& entry) { return entry.first == spelling; });
      if (found != named.end()) {
        ids.*slot.id = found->second;
      } else if (added.is_special(spelling)) {
        ids.*slot.id = added.id(spelling);
      }
    }
  }
  if (!ids.unk && model.unk_id() >= 0) ids.unk = model.unk_id();
  return ids;
}

}  // namespace inlay::tokens

// See vocab.h.
#include "tokens/vocab.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "base/json_raw.h"

namespace inlay::tokens {

void Vocab::add(std::string_view token, std::int32_t id) {
  if (arena_.size() + token.size() >= std::numeric_limits<std::uint32_t>::max()) {
    fail(ErrorCode::kBadInput, "vocabulary",
         "expected less than 4 GiB of tokens, got more. Use a smaller vocabulary.");
  }
  entries_.push_back(
      {static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(token.size()), id});
  arena_ += token;
  max_token_bytes_ = std::max(max_token_bytes_, token.size());
}

std::int32_t Vocab::seal() {
  arena_.shrink_to_fit();
  slots_.assign(std::bit_ceil(entries_.size() * 2 + 2), Slot{});
  mask_ = slots_.size() - 1;
  for (const Entry& entry : entries_) {
    const std::string_view token = std::string_view(arena_).substr(entry.offset, entry.length);
    const std::uint64_t hash = hash_bytes(token.data(), token.size());
    const auto tag = static_cast<std::uint32_t>(hash >> 32U);
    std::size_t at = hash & mask_;
    for (;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.length == kEmpty) break;
      if (slot.tag == tag && std::string_view(arena_).substr(slot.offset, slot.length) == token)
        break;
    }
    slots_[at] = {tag, entry.id, entry.offset, entry.length};
  }
  by_id_.resize(entries_.size());
  for (std::size_t i = 0; i < by_id_.size(); ++i) by_id_[i] = static_cast<std::uint32_t>(i);
  std::stable_sort(by_id_.begin(), by_id_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return entries_[a].id < entries_[b].id;
  });
  dense_ = true;
  for (std::size_t i = 0; i < by_id_.size(); ++i) {
    if (i > 0 && entries_[by_id_[i]].id == entries_[by_id_[i - 1]].id)
      return entries_[by_id_[i]].id;
    dense_ = dense_ && entries_[by_id_[i]].id == static_cast<std::int32_t>(i);
  }
  return -1;
}

std::optional<std::string_view> Vocab::token(std::int32_t id) const {
  if (id < 0) return std::nullopt;
  if (dense_) {
    if (static_cast<std::size_t>(id) >= by_id_.size()) return std::nullopt;
    return entry_token(by_id_[static_cast<std::size_t>(id)]);
  }
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [this](std::uint32_t entry, std::int32_t wanted) { return entries_[entry].id < wanted; });
  if (found == by_id_.end() || entries_[*found].id != id) return std::nullopt;
  return entry_token(*found);
}

Vocab read_vocab(const JsonValue& object) {
  simdjson::dom::object members;
  if (json_raw(object).get_object().get(members) != simdjson::SUCCESS) {
    fail(ErrorCode::kBadInput, object.where(),
         std::string("expected an object of token: id, got ") + object.type_name() +
             ". The file is damaged; fetch it again.");
  }
  Vocab vocab;
  for (const auto member : members) {
    const auto refuse = [&](const std::string& message) {
      fail(ErrorCode::kBadInput, object.where() + "/" + printable(member.key), message);
    };
    std::int64_t id = -1;
    if (member.value.get_int64().get(id) != simdjson::SUCCESS || id < 0 ||
        id > std::numeric_limits<std::int32_t>::max()) {
      refuse(
          "expected an id from 0 to 2147483647, got something else. The file is damaged; fetch it "
          "again.");
    }
    if (member.key.size() > kMaxTokenBytes) {
      refuse("expected a token of at most " + std::to_string(kMaxTokenBytes) + " bytes, got " +
             std::to_string(member.key.size()) + ". The file is damaged; fetch it again.");
    }
    vocab.add(member.key, static_cast<std::int32_t>(id));
  }
  if (vocab.size() == 0) {
    fail(ErrorCode::kBadInput, object.where(),
         "expected at least one token, got an empty vocabulary. The file is damaged; fetch it "
         "again.");
  }
  if (const std::int32_t shared = vocab.seal(); shared >= 0) {
    fail(ErrorCode::kBadInput, object.where(),
         "expected one token an id, got two tokens with id " + std::to_string(shared) +
             ". The file is damaged; fetch it again.");
  }
  return vocab;
}

}  // namespace inlay::tokens

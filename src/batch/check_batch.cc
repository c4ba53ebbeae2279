#include "batch/check_batch.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace inlay {
namespace {

[[noreturn]] void bad_batch(const char* room, const std::string& message) {
  fail(ErrorCode::kInternal, room, message);
}

// An array that may be left out has an element for each of `count`.
template <typename T>
bool covers(std::span<const T> array, std::int64_t count) {
  return array.empty() || static_cast<std::int64_t>(array.size()) >= count;
}

bool spans_fit(const PackedBatch& batch, std::size_t text) {
  const std::int32_t first = batch.span_offsets[text];
  const std::int32_t end = batch.span_offsets[text + 1];
  const std::int32_t begin_row = batch.offsets[text];
  const std::int32_t end_row = batch.offsets[text + 1];
  bool fits =
      first >= 0 && end >= first && end - first <= end_row - begin_row && end <= batch.span_count();
  for (std::int32_t s = first; fits && s < end; ++s) {
    const auto& [begin, behind] = batch.spans[static_cast<std::size_t>(s)];
    fits = begin >= begin_row && begin < behind && behind <= end_row;
  }
  return fits;
}

void check_text(const char* room, const PackedBatch& batch, std::size_t text,
                std::int64_t longest) {
  const std::int64_t length = std::int64_t{batch.offsets[text + 1]} - batch.offsets[text];
  if (length < 1 || length > longest) {
    bad_batch(room, "expected texts of 1 to " + std::to_string(longest) + " tokens, got " +
                        std::to_string(length) + ".");
  }
  if (!batch.spans.empty() && !spans_fit(batch, text))
    bad_batch(room, "expected spans inside their texts, no more than they have tokens.");
  if (!batch.pool_begin.empty() && batch.pool_begin[text] < 0)
    bad_batch(room, "expected pool_begin of at least 0.");
  if (!batch.key_counts.empty() && (batch.key_counts[text] < 1 || batch.key_counts[text] > length))
    bad_batch(room, "expected key_counts of 1 to the text's tokens.");
}

// Whether a value is negative or not below the limit.
bool any_past(std::span<const std::int32_t> values, std::int64_t limit) {
  std::uint32_t largest = 0;
  for (const std::int32_t value : values)
    largest = std::max(largest, static_cast<std::uint32_t>(value));
  return limit >= 0 && !values.empty() && std::int64_t{largest} >= limit;
}

}  // namespace

void check_batch(const char* room, const PackedBatch& batch, const BatchLimits& limits) {
  const std::int64_t tokens = batch.tokens();
  const std::int64_t texts = std::max<std::int64_t>(batch.texts(), 0);
  if (tokens > limits.tokens || texts > limits.texts ||
      static_cast<std::int64_t>(batch.ids.size()) < tokens || !covers(batch.type_ids, tokens) ||
      !covers(batch.pool_begin, texts) || !covers(batch.key_counts, texts) ||
      (!batch.spans.empty() && static_cast<std::int64_t>(batch.span_offsets.size()) <= texts)) {
    bad_batch(room, "expected a batch within the compiled limits, got " + std::to_string(texts) +
                        " texts of " + std::to_string(tokens) + " tokens.");
  }
  if (texts > 0 && batch.offsets[0] != 0) bad_batch(room, "expected offsets from 0.");
  for (std::int64_t t = 0; t < texts; ++t)
    check_text(room, batch, static_cast<std::size_t>(t), limits.text_tokens);
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(tokens, 0));
  if (any_past(batch.ids.first(count), limits.vocab_size) ||
      any_past(batch.type_ids, limits.type_count))
    bad_batch(room, "expected ids in the vocabulary and types in the type table.");
}

}  // namespace inlay

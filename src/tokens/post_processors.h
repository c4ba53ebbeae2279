// The post-processors of tokenizer.json, worked out once into plans: what stands around the texts'
// tokens, which type ids they get and how their offsets are trimmed. Cutting to a length is
// truncation.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace inlay::tokens {

// One stretch of the output: a special token, or all tokens of the first (0) or second (1) text.
struct PlanItem {
  enum class Kind : std::uint8_t { kSpecial, kText };
  // Leaves white space at a token's ends out of its offsets (the reference's
  // ByteLevel::process_offsets).
  struct Trim {
    bool add_prefix_space;
    bool at_start;  // the text's first token is the first of its part
  };
  Kind kind;
  std::int32_t id = 0;  // special token
  int text = 0;
  std::int32_t type_id = 0;
  std::vector<Trim> trims;
  bool marked =
      true;  // a special token counts as one (the reference forgets those that it wraps again)
};
using Plan = std::vector<PlanItem>;

// Immutable.
class PostProcessor {
 public:
  // No post-processor: the texts one after the other, type ids 0 and 1.
  PostProcessor();
  // From the "post_processor" member; null gives the default. Throws kBadInput for a template that
  // names a special token that is absent, and other broken members.
  explicit PostProcessor(const JsonValue& json);
  // [CLS] A [SEP] B [SEP]
  static PostProcessor bert(std::string_view cls, std::int32_t cls_id, std::string_view sep,
                            std::int32_t sep_id);

  // Throws kBadInput when the file's post-processor cannot take two texts.
  const Plan& plan(bool pair, bool add_special_tokens) const;
  int added_tokens(bool pair) const { return added_[pair ? 1 : 0]; }
  // The special tokens that the file names, with their ids, in file order.
  const std::vector<std::pair<std::string, std::int32_t>>& special_tokens() const {
    return special_tokens_;
  }

 private:
  struct Builder;
  Plan plans_[2][2];  // [pair][add_special_tokens]
  std::string pair_error_[2], pair_where_;
  int added_[2] = {0, 0};
  std::vector<std::pair<std::string, std::int32_t>> special_tokens_;
};

}  // namespace inlay::tokens

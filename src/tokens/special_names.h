// Names of special tokens, from tokenizer_config.json where there is one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tokens/added_tokens.h"
#include "tokens/post_processors.h"
#include "tokens/tokenizer.h"

namespace inlay::tokens {

// What the file says of a token such as "cls_token": a string, or an object with "content" and
// flags. nullopt when it says nothing. The token is special and, unless the object says otherwise,
// not normalized.
std::optional<AddedTokens::Token> read_special_token(const JsonValue& config, std::string_view key);

// Ids: the names in `config` (may be null) first, then what the post-processor and the usual
// spellings tell.
SpecialIds find_special_ids(const std::optional<JsonValue>& config, const AddedTokens& added,
                            const Model& model, const PostProcessor& post_processor);

}  // namespace inlay::tokens

// The decoders of tokenizer.json: from tokens back to text. Which tokens are left out is
// tokenizer.cc's affair.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace inlay::tokens {

// Immutable; any thread may call.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Rewrites the tokens; joined they are the text.
  virtual void apply(std::vector<std::string>* tokens) const = 0;
};

// From the "decoder" member of tokenizer.json; nullptr when it is null (then tokens are joined by
// spaces). Throws kBadInput for a broken member, kUnsupported for another type, both naming the
// place.
std::unique_ptr<Decoder> read_decoder(const JsonValue& json);
std::unique_ptr<Decoder> make_wordpiece_decoder(std::string prefix, bool cleanup);

}  // namespace inlay::tokens

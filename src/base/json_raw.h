// simdjson's own view of a JsonValue, for bulk loops where paths would cost too much. Everything
// else reads through base/json.h.
#pragma once

#include <simdjson.h>

#include <bit>

#include "base/json.h"

namespace inlay {

static_assert(sizeof(simdjson::dom::element) == sizeof(JsonValue::Element));

// Valid while the value's document lives.
inline simdjson::dom::element json_raw(const JsonValue& value) {
  return std::bit_cast<simdjson::dom::element>(value.element());
}

}  // namespace inlay

// Results and statistics on their way out of a child process, as JSON.
#pragma once

#include <string>

#include "base/json_object.h"
#include "inlay/inlay.hpp"

namespace inlay::report {

// What Answers need of a result: dim, values, errors, tokens. Values that are not finite come back
// as NaN.
std::string results_json(const Result& result);
Result parse_results(const JsonValue& json);  // throws kBadInput

JsonObject stats_json(const Stats& stats);  // with "event": "stats"
Stats parse_stats(const JsonValue& json);

}  // namespace inlay::report

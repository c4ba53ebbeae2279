// JSON laid out for people.
#pragma once

#include <string>
#include <string_view>

namespace inlay::report {

// `json` must be valid. Two spaces a level; what fits a line of 100 columns stays on it. Ends with
// a newline.
std::string pretty_json(std::string_view json);

}  // namespace inlay::report

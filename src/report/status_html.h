// `inlay status --html`: the page of a machine and its devices.
#pragma once

#include <string>
#include <string_view>

namespace inlay::report {

// `json` as status_report() gives it. Throws kBadInput when it is something else.
std::string status_html(std::string_view json);

}  // namespace inlay::report

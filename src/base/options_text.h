// Texts made from the option table: help of the command line and docs/options.md.
#pragma once

#include <string>

#include "base/options.h"

namespace inlay {

std::string general_help();                            // `inlay --help`
std::string command_help(const CommandInfo& command);  // `inlay embed --help`
std::string options_markdown();                        // docs/options.md, whole

}  // namespace inlay

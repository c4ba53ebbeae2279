// From argv to checked options, by the option table.
#pragma once

#include <string>
#include <vector>

#include "base/options.h"

namespace inlay::cli {

// The command that `words` begin with, and how many words its name takes. Throws kUsage for an
// unknown one.
const CommandInfo& find_command(const std::vector<std::string>& words, std::size_t* used);

// Parses what follows the command's name; the environment fills what is not given. Texts (what is
// not an option, and everything after --) go to `texts`. Throws kUsage.
OptionValues parse_options(const CommandInfo& command, std::vector<std::string> words,
                           std::vector<std::string>* texts);

}  // namespace inlay::cli

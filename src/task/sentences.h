// Where sentences begin, by punctuation and blank lines alone: no language, no list of
// abbreviations.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace inlay::task {

// Byte offsets of the sentences of a text in valid UTF-8, ascending, the first 0; none for an empty
// text. A sentence ends behind . ! ? and their like with the quotes and brackets that close it,
// where white space follows (behind 。 and its like: anywhere), and before a blank line. A full
// stop before a lower-case letter ends none ("e.g. this").
std::vector<std::size_t> sentence_starts(std::string_view text);

}  // namespace inlay::task

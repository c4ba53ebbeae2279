// See byte_path.h.
#include "tokens/byte_path.h"

#include <string>

namespace inlay::tokens {
namespace {

// Whether a word is of a script whose words nothing separates: its first character, or the one
// behind a character that the pattern takes along, is U+3000 or above.
bool is_run(std::string_view text, Range word) {
  if (word.end - word.begin <= 4) return false;
  const auto lead = [&](std::uint32_t at) { return static_cast<unsigned char>(text[at]) >= 0xE3; };
  return lead(word.begin) || lead(word.begin + 1);
}

}  // namespace

void BytePath::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  model_->compute_bytes(word, false, out);
}

bool BytePath::compute_part(std::string_view part, std::vector<TokenSpan>* out) const {
  model_->compute_bytes(part, true, out);
  return true;
}

void BytePath::encode(std::string_view text, std::size_t limit, IdList* out) const {
  thread_local std::string prefixed;
  thread_local std::vector<Range> words;
  if (words_.add_prefix_space && !text.starts_with(' ')) {
    prefixed.assign(1, ' ');
    prefixed += text;
    text = prefixed;
  }
  words_.matcher(text, &words);
  Batch batch(*this, text, limit, out);
  const Neighbours* neighbours = model_->neighbours();
  for (const Range range : words) {
    if (neighbours == nullptr || !is_run(text, range)) {
      if (!batch.add(range.begin, range.end)) return;
      continue;
    }
    const std::string_view upto = text.substr(0, range.end);
    for (std::size_t begin = range.begin; begin < range.end;) {
      const std::size_t end = neighbours->part_end(upto, begin);
      const bool whole = begin == range.begin && end == range.end;
      if (!(whole ? batch.add(begin, end) : batch.add_part(begin, end))) return;
      begin = end;
    }
  }
  batch.flush();
}

}  // namespace inlay::tokens

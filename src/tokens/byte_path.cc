// See byte_path.h.
#include "tokens/byte_path.h"

#include <string>

namespace inlay::tokens {

void BytePath::compute(std::string_view word, std::vector<TokenSpan>* out) const {
  model_->compute_bytes(word, out);
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
  for (const Range range : words) {
    if (!batch.add(range.begin, range.end)) return;
  }
  batch.flush();
}

}  // namespace inlay::tokens

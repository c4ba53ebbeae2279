// See word_path.h.
#include "tokens/word_path.h"

namespace inlay::tokens {

void WordPath::miss(std::string_view word, IdCache* cache, IdList* out) const {
  thread_local std::vector<TokenSpan> spans;
  spans.clear();
  compute(word, &spans);
  const std::size_t first = out->size();
  for (const TokenSpan& span : spans) out->push_back(span.id);
  cache->insert(owner_, word, out->data() + first, spans.size());
}

}  // namespace inlay::tokens

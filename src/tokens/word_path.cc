// See word_path.h.
#include "tokens/word_path.h"

namespace inlay::tokens {
namespace {

std::vector<TokenSpan>& no_spans() {
  thread_local std::vector<TokenSpan> spans;
  spans.clear();
  return spans;
}

void append(const std::vector<TokenSpan>& spans, IdList* out) {
  for (const TokenSpan& span : spans) out->push_back(span.id);
}

}  // namespace

void WordPath::miss(std::string_view word, IdCache* cache, IdList* out) const {
  std::vector<TokenSpan>& spans = no_spans();
  compute(word, &spans);
  const std::size_t first = out->size();
  append(spans, out);
  cache->insert(owner_, word, out->data() + first, spans.size());
}

bool WordPath::miss_part(std::string_view part, IdCache* cache, IdList* out) const {
  std::vector<TokenSpan>& spans = no_spans();
  if (!compute_part(part, &spans)) return false;
  const std::size_t first = out->size();
  append(spans, out);
  cache->insert(parts_owner_, part, out->data() + first, spans.size());
  return true;
}

}  // namespace inlay::tokens

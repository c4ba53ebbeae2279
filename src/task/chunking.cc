// See chunking.h. Offsets are bytes of prompt and text; rows are tokens, special ones included.
#include "task/chunking.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/utf8.h"
#include "task/sentences.h"
#include "tokens/unicode.h"

namespace inlay::task {
namespace {

// Chunks that nobody sized: as the published evaluation has them, and never more than half of what
// the model sees, so that context remains.
constexpr std::int64_t kDefaultTokens = 256;
// Windows that nobody spaced: the published evaluation's 512, where limits are 8192; a quarter of
// smaller limits.
constexpr std::int64_t kDefaultWindowOverlap = 512;

// Characters (code points) by bytes and back, with a count kept for every kBlock bytes.
class Characters {
 public:
  explicit Characters(std::string_view text) : text_(text) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i % kBlock == 0) before_.push_back(count);
      if (starts(i)) ++count;
    }
    count_ = count;
  }
  std::int64_t count() const { return count_; }
  // How many begin before byte `at`.
  std::int64_t before(std::size_t at) const {
    if (at >= text_.size()) return count_;
    std::int64_t count = before_[at / kBlock];
    for (std::size_t i = at - at % kBlock; i < at; ++i) count += starts(i) ? 1 : 0;
    return count;
  }
  // Where character `index` begins; the text's end for count().
  std::size_t byte(std::int64_t index) const {
    if (index >= count_) return text_.size();
    const auto block =
        std::upper_bound(before_.begin(), before_.end(), index) - before_.begin() - 1;
    std::int64_t left = index - before_[static_cast<std::size_t>(block)];
    for (std::size_t i = static_cast<std::size_t>(block) * kBlock;; ++i) {
      if (starts(i) && left-- == 0) return i;
    }
  }

 private:
  static constexpr std::size_t kBlock = 64;
  bool starts(std::size_t i) const { return !utf8_continues(text_[i]); }
  std::string_view text_;
  std::vector<std::int64_t> before_;
  std::int64_t count_ = 0;
};

// Byte range without the white space at its ends.
std::pair<std::size_t, std::size_t> trimmed(std::string_view text, std::size_t begin,
                                            std::size_t end) {
  while (begin < end) {
    const CodePoint c = utf8_decode(text, begin);
    if (!tokens::is_whitespace(c.value)) break;
    begin += c.bytes;
  }
  while (end > begin) {
    std::size_t last = end - 1;
    while (last > begin && utf8_continues(text[last])) --last;
    if (!tokens::is_whitespace(utf8_decode(text, last).value)) break;
    end = last;
  }
  return {begin, end};
}

class Planner {
 public:
  Planner(const ChunkedText& text, const ChunkPlan& plan, const std::string& where)
      : text_(text), plan_(plan), where_(where), characters_(text.text) {
    const tokens::Encoding& e = text.encoding;
    rows_ = static_cast<std::int64_t>(e.ids.size());
    const auto content = [&](std::int64_t row) {
      const auto i = static_cast<std::size_t>(row);
      return e.special[i] == 0 && e.offsets[i].second > text.prompt_bytes;
    };
    while (first_ < rows_ && !content(first_)) ++first_;
    std::int64_t end = rows_;
    while (end > first_ && e.special[static_cast<std::size_t>(end - 1)] != 0) --end;
    count_ = end - first_;
    // Reordering normalizers let offsets step back; a running maximum keeps them searchable.
    last_.reserve(static_cast<std::size_t>(count_));
    std::size_t largest = 0;
    for (std::int64_t t = 0; t < count_; ++t) {
      largest = std::max(largest, std::max(start(t), stop(t) == 0 ? 0 : stop(t) - 1));
      last_.push_back(largest);
    }
  }

  std::vector<PlannedChunk> given(const std::vector<Span>& spans) const {
    std::vector<PlannedChunk> out;
    for (const Span& span : spans) {
      if (span.begin < 0 || span.end < span.begin || span.end > characters_.count()) {
        fail(ErrorCode::kBadInput, where_,
             "expected spans [begin, end] with 0 <= begin <= end <= " +
                 std::to_string(characters_.count()) + ", the text's characters, got [" +
                 std::to_string(span.begin) + ", " + std::to_string(span.end) + "].");
      }
      PlannedChunk chunk;
      chunk.chunk.begin = span.begin;
      chunk.chunk.end = span.end;
      const std::size_t begin = characters_.byte(span.begin);
      const std::size_t end = characters_.byte(span.end);
      chunk.chunk.byte_begin = static_cast<std::int64_t>(begin);
      chunk.chunk.byte_end = static_cast<std::int64_t>(end);
      take_rows(token_at(begin), token_at(end), &chunk);
      out.push_back(chunk);
    }
    return out;
  }

  std::vector<PlannedChunk> cut() const {
    std::vector<PlannedChunk> out;
    if (count_ == 0) {
      PlannedChunk whole;
      take_rows(0, 0, &whole);
      return {whole};
    }
    std::vector<std::int64_t> borders;
    if (plan_.by == ChunkBy::kSentences) borders = sentence_borders();
    for (std::int64_t begin = 0; begin < count_;) {
      const std::int64_t end = end_of(begin, borders);
      out.push_back(chunk_of(begin, end));
      if (end == count_) break;
      begin = next_begin(begin, end, borders);
    }
    return out;
  }

 private:
  std::size_t offset(std::size_t bytes) const {
    return std::min(bytes - std::min(bytes, text_.prompt_bytes), text_.text.size());
  }
  bool inside_character(std::size_t byte) const {
    return byte < text_.text.size() && utf8_continues(text_.text[byte]);
  }
  // A token of a part of a character, as byte-level vocabularies have them, stands for all of it.
  std::size_t start(std::int64_t token) const {
    std::size_t at = offset(text_.encoding.offsets[static_cast<std::size_t>(first_ + token)].first);
    while (inside_character(at)) --at;
    return at;
  }
  std::size_t stop(std::int64_t token) const {
    std::size_t at =
        offset(text_.encoding.offsets[static_cast<std::size_t>(first_ + token)].second);
    while (inside_character(at)) ++at;
    return at;
  }
  // The first token whose last character stands at `byte` or behind it.
  std::int64_t token_at(std::size_t byte) const {
    return std::lower_bound(last_.begin(), last_.end(), byte) - last_.begin();
  }

  // Rows of the tokens [begin, end), and of what goes with the first and the last.
  void take_rows(std::int64_t begin, std::int64_t end, PlannedChunk* chunk) const {
    const bool all = count_ == 0;
    std::int64_t first = first_ + begin;
    std::int64_t behind = first_ + end;
    if (all || begin < end) {
      if (all || begin == 0) first = 0;
      if (all || end == count_) behind = rows_;
    }
    first = std::max<std::int64_t>(first, std::min<std::int64_t>(text_.pool_begin, behind));
    if (behind - first > plan_.window) {
      fail(ErrorCode::kBadInput, where_,
           "expected chunks of at most " + std::to_string(plan_.window) +
               " tokens, which the model sees at once, got " + std::to_string(behind - first) +
               " in [" + std::to_string(chunk->chunk.begin) + ", " +
               std::to_string(chunk->chunk.end) + "]. Cut it, or raise --max-length.");
    }
    chunk->begin = static_cast<std::int32_t>(first);
    chunk->end = static_cast<std::int32_t>(behind);
    chunk->chunk.tokens = chunk->end - chunk->begin;
  }

  PlannedChunk chunk_of(std::int64_t begin, std::int64_t end) const {
    PlannedChunk chunk;
    const auto [first, behind] =
        trimmed(text_.text, start(begin), std::max(start(begin), stop(end - 1)));
    chunk.chunk.byte_begin = static_cast<std::int64_t>(first);
    chunk.chunk.byte_end = static_cast<std::int64_t>(behind);
    chunk.chunk.begin = characters_.before(first);
    chunk.chunk.end = characters_.before(behind);
    take_rows(begin, end, &chunk);
    return chunk;
  }

  // Tokens that sentences begin with, and the end.
  std::vector<std::int64_t> sentence_borders() const {
    std::vector<std::int64_t> borders;
    for (const std::size_t start : sentence_starts(text_.text)) borders.push_back(token_at(start));
    borders.push_back(count_);
    return borders;
  }

  std::int64_t end_of(std::int64_t begin, const std::vector<std::int64_t>& borders) const {
    const std::int64_t closing = rows_ - first_ - count_;
    const std::int64_t opening =
        begin == 0 ? first_ - std::min<std::int64_t>(first_, text_.pool_begin) : 0;
    const std::int64_t most = std::min(plan_.tokens, plan_.window - opening - closing);
    if (most < 1) {
      fail(ErrorCode::kBadInput, where_,
           "expected a prompt that leaves room for text in " + std::to_string(plan_.window) +
               " tokens, got one of " + std::to_string(first_) +
               ". Raise --max-length, or take another --prompt.");
    }
    const std::int64_t limit = std::min(begin + most, count_);
    std::int64_t end = begin;
    std::int64_t sentences = 0;
    for (auto border = std::upper_bound(borders.begin(), borders.end(), begin);
         border != borders.end() && *border <= limit; ++border) {
      if (*border == end) continue;  // a sentence without a token of its own
      if (plan_.sentences != 0 && sentences++ == plan_.sentences) break;
      end = *border;
    }
    return end > begin ? end : before_character(begin, limit);
  }

  // The cut at or before `end` that lies in no character, if there is one behind `begin`.
  std::int64_t before_character(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t cut = end; cut > begin; --cut) {
      if (cut == count_ || start(cut) >= stop(cut - 1)) return cut;
    }
    return end;
  }

  std::int64_t next_begin(std::int64_t begin, std::int64_t end,
                          const std::vector<std::int64_t>& borders) const {
    if (plan_.overlap == 0) return end;
    const std::int64_t earliest = std::max(end - plan_.overlap, begin + 1);
    // A chunk that ends where the last one did would say nothing new.
    const auto reaches = [&](std::int64_t cut) { return end_of(cut, borders) > end; };
    if (borders.empty()) {
      const std::int64_t cut = before_character(begin, earliest);
      return cut < end && reaches(cut) ? cut : end;
    }
    auto border = std::lower_bound(borders.begin(), borders.end(), earliest);
    while (border != borders.end() && *border < end && !reaches(*border)) ++border;
    return border == borders.end() ? end : std::min(*border, end);
  }

  const ChunkedText& text_;
  const ChunkPlan& plan_;
  const std::string& where_;
  const Characters characters_;
  std::int64_t rows_ = 0, first_ = 0, count_ = 0;  // rows; the text's tokens begin there; how many
  std::vector<std::size_t> last_;                  // [count_] byte of a token's last character
};

}  // namespace

ChunkPlan plan_chunking(const ChunkOptions& options, std::int64_t max_length, int special_tokens) {
  const auto check = [](const char* name, std::int64_t value, std::int64_t least, std::int64_t most,
                        const std::string& because) {
    if (value >= least && value <= most) return;
    fail(ErrorCode::kUsage, name,
         "expected " + std::to_string(least) + " to " + std::to_string(most) + because + ", got " +
             std::to_string(value) + ".");
  };
  constexpr std::int64_t kAny = std::numeric_limits<std::int32_t>::max();
  const std::string limit =
      ", as the limit of " + std::to_string(max_length) + " tokens (--max-length) leaves";
  ChunkPlan plan;
  plan.by = options.by;
  plan.window = max_length;
  plan.tokens = options.tokens != 0 ? options.tokens
                                    : std::clamp<std::int64_t>(max_length / 2, 1, kDefaultTokens);
  check("--chunk-tokens", plan.tokens, 1, std::max<std::int64_t>(1, max_length - special_tokens),
        limit);
  plan.overlap = options.overlap;
  check("--chunk-overlap", plan.overlap, 0, plan.tokens - 1, ", less than a chunk's tokens");
  plan.sentences = options.sentences;
  check("--chunk-sentences", plan.sentences, 0, kAny, "");
  plan.window_overlap =
      options.window_overlap.value_or(std::min(kDefaultWindowOverlap, max_length / 4));
  check("--window-overlap", plan.window_overlap, 0, max_length - 1, limit);
  return plan;
}

std::vector<PlannedChunk> plan_chunks(const ChunkedText& text, const ChunkPlan& plan,
                                      const std::vector<Span>* spans, const std::string& where) {
  const Planner planner(text, plan, where);
  return spans != nullptr ? planner.given(*spans) : planner.cut();
}

std::vector<Window> plan_windows(const std::vector<PlannedChunk>& chunks, std::int64_t rows,
                                 const ChunkPlan& plan) {
  std::vector<std::size_t> order(chunks.size());  // those with rows, as they begin
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::size_t i) { return chunks[i].begin == chunks[i].end; });
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return chunks[a].begin < chunks[b].begin; });
  std::vector<Window> windows;
  std::vector<bool> taken(order.size());
  for (std::size_t next = 0; next < order.size(); ++next) {
    if (taken[next]) continue;
    const PlannedChunk& first = chunks[order[next]];
    std::int64_t begin = 0;
    if (rows > plan.window) {
      begin =
          std::max({first.begin - plan.window_overlap, first.end - plan.window, std::int64_t{0}});
    }
    Window window;
    window.begin = static_cast<std::int32_t>(begin);
    window.end = static_cast<std::int32_t>(std::min(begin + plan.window, rows));
    // A text has no more spans than tokens (PackedBatch); what is beyond goes through once more.
    const auto most = static_cast<std::size_t>(window.end - window.begin);
    for (std::size_t i = next; i < order.size() && window.spans.size() < most; ++i) {
      const PlannedChunk& chunk = chunks[order[i]];
      if (chunk.begin >= window.end) break;
      if (taken[i] || chunk.end > window.end) continue;
      taken[i] = true;
      window.spans.emplace_back(chunk.begin - window.begin, chunk.end - window.begin);
      window.chunks.push_back(static_cast<std::uint32_t>(order[i]));
    }
    windows.push_back(std::move(window));
  }
  return windows;
}

}  // namespace inlay::task

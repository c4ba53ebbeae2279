// Attention as calls: the library's own attention does the softmax; norms of heads, rotary turns
// and what is added to the scores are made here.
#include <utility>

#include "backend/padded/tape_writer.h"

namespace inlay::backend::padded {
namespace {

using Kind = HostInput::Kind;

}  // namespace

// x cos + other sin, where `other` has the two columns of each pair exchanged and the first
// negated. Columns that are not turned have cosine 1 and sine 0.
Register TapeWriter::turned(Register x, const AttentionStep& step, std::int64_t heads,
                            QueryRow row) {
  const auto pairs = static_cast<std::int64_t>(step.rope.inv_freq.size());
  if (pairs == 0) return x;
  const bool every = row == QueryRow::kEvery;
  HostInput cosines;
  cosines.kind = Kind::kTurnCosines;
  cosines.rope = step.rope;
  cosines.head_size = step.head_size;
  cosines.bias.row = row;
  HostInput sines = cosines;
  sines.kind = Kind::kTurnSines;
  const auto turns = [&](HostInput table) {
    return call(Op::kReshape, {input(std::move(table))},
                {every ? 1 : kTextsOfGroup, every ? kLengthOfGroup : 1, 1, step.head_size});
  };
  const std::int64_t rows = every ? kLengthOfGroup : 1;
  const auto negated = [&](Register part) { return call(Op::kScale, {part}, {}, -1); };
  std::vector<Register> parts;
  if (step.rope.interleaved) {
    const Register two =
        call(Op::kReshape, {slice(x, 1, 0, 2 * pairs)}, {kTextsOfGroup, rows, heads, pairs, 2});
    const Register exchanged =
        call(Op::kConcatenate, {negated(slice(two, 1, 1, 2)), slice(two, 1, 0, 1)}, {1});
    parts = {call(Op::kReshape, {exchanged}, {kTextsOfGroup, rows, heads, 2 * pairs})};
  } else {
    parts = {negated(slice(x, 1, pairs, 2 * pairs)), slice(x, 1, 0, pairs)};
  }
  if (2 * pairs < step.head_size) parts.push_back(slice(x, 1, 2 * pairs, step.head_size));
  const Register other = parts.size() == 1 ? parts[0] : call(Op::kConcatenate, parts, {1});
  return call(Op::kAdd, {call(Op::kMultiply, {x, turns(std::move(cosines))}),
                         call(Op::kMultiply, {other, turns(std::move(sines))})});
}

Register TapeWriter::heads(const AttentionStep& step, const Columns& columns, const HeadNorm& norm,
                           std::int64_t heads, QueryRow row) {
  const std::int64_t width = heads * step.head_size;
  const std::int64_t rows = row == QueryRow::kEvery ? kLengthOfGroup : 1;
  Register x = this->columns(columns, width);
  if (norm.weight.present() && norm.whole)
    x = normed(norm.kind, x, kNone, norm.weight, norm.bias, norm.eps);
  const bool by_head = (norm.weight.present() && !norm.whole) || !step.rope.inv_freq.empty();
  if (by_head) {
    x = call(Op::kReshape, {x}, {kTextsOfGroup, rows, heads, step.head_size});
    if (norm.weight.present() && !norm.whole)
      x = normed(norm.kind, x, kNone, norm.weight, norm.bias, norm.eps);
    x = turned(x, step, heads, row);
  }
  return call(Op::kReshape, {x}, {kTextsOfGroup, rows, width});
}

Register TapeWriter::lower(const AttentionStep& step, ValueId) {
  const QueryRow row = has_token_rows(step.query.value)       ? QueryRow::kEvery
                       : step.query_row == SelectKind::kFirst ? QueryRow::kFirst
                                                              : QueryRow::kLast;
  const bool every = row == QueryRow::kEvery;
  const std::int64_t width = step.heads * step.head_size;
  const Register query = heads(step, step.query, step.query_norm, step.heads, row);
  const Register key = heads(step, step.key, step.key_norm, step.kv_heads, QueryRow::kEvery);
  const Register rows =
      step.probabilities ? kNone : columns(step.value, step.kv_heads * step.head_size);
  HostInput unseen;
  unseen.kind = Kind::kKeyMask;
  HostInput counts;
  counts.kind = Kind::kKeyCounts;
  Register mask = input(std::move(unseen), Role::kNumbers, Needed::kUnseenKeys);
  ScoreBias bias = bias_of(step, row);
  const bool by_place = bias.alibi.empty() && !bias.relative.present();
  const std::int64_t causal = bias.causal ? 1 : 0;
  if (!adds_nothing(bias)) {
    HostInput added;
    added.kind = Kind::kScoreBias;
    added.bias = std::move(bias);
    mask = call(Op::kAdd, {input(std::move(added)), mask});
  }
  Register out =
      call(Op::kAttention, {query, key, rows, mask, input(std::move(counts), Role::kInteger)},
           {step.heads, step.kv_heads, step.head_size, by_place ? 1 : 0, causal, step.window},
           double{step.scale});
  if (step.probabilities) return call(Op::kReshape, {out}, {kTextsOfGroup, kLengthOfGroup, 1});
  if (step.window >= 0) {  // a window may hold none of the keys that are seen: then zero
    HostInput sees;
    sees.kind = Kind::kSees;
    sees.bias.window = step.window;
    sees.bias.row = row;
    const Register seen = input(std::move(sees), Role::kNumbers, Needed::kKeyCounts);
    out = call(Op::kMultiply,
               {out, call(Op::kReshape, {seen}, {kTextsOfGroup, every ? kLengthOfGroup : 1, 1})});
  }
  if (!every) out = call(Op::kReshape, {out}, {kTextsOfGroup, width});
  return out;
}

}  // namespace inlay::backend::padded

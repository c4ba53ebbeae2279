// One thread's walk over the operations of a chunk: a function an operation, in run_ops.cc and
// run_experts.cc.
#pragma once

#include <array>

#include "backend/cpu/run_ops.h"

namespace inlay::backend::cpu {

struct Range {
  Index begin = 0, end = 0;
};

class Runner {
 public:
  explicit Runner(const ChunkRun& run) : run_(run) {
    text_begin_ = run.chunk.text_begin;
    texts_ = run.chunk.text_end - text_begin_;
    token_begin_ = offset(0);
    tokens_ = offset(texts_) - token_begin_;
    if (!run.batch.spans.empty()) {
      span_begin_ = run.batch.span_offsets[static_cast<std::size_t>(text_begin_)];
      spans_ = run.batch.span_offsets[static_cast<std::size_t>(text_begin_ + texts_)] - span_begin_;
    }
  }

  void operator()(const EmbedOp& op) const;
  void operator()(const NormOp& op) const;
  void operator()(const GemmOp& op) const;
  void operator()(const NarrowOp& op) const;
  void operator()(const PrepareOp& op) const;
  void operator()(const AttentionOp& op) const;
  void operator()(const AddOp& op) const;
  void operator()(const SelectOp& op) const;
  void operator()(const PoolOp& op) const;
  void operator()(const VocabularyOp& op) const;
  void operator()(const RowOp& op) const;
  void operator()(const ExpertsOp& op) const;

 private:
  Index offset(Index text) const {
    return run_.batch.offsets[static_cast<std::size_t>(text_begin_ + text)];
  }
  Index rows_of(Rows rows) const {
    return rows == Rows::kTokens ? tokens_ : rows == Rows::kTexts ? texts_ : spans_;
  }
  // This thread's share of `count` equal pieces.
  Range share(Index count) const {
    return {count * run_.rank / run_.team, count * (run_.rank + 1) / run_.team};
  }
  float* slot(int index) const {
    Index offset = 0;
    for (int s = 0; s < index; ++s) {
      const Slot& before = run_.plan.slots[static_cast<std::size_t>(s)];
      offset += before.width * (before.rows == Rows::kTexts ? run_.text_rows : run_.token_rows);
    }
    return run_.slots + offset;
  }
  float* at(const Place& place) const {
    if (place.slot < 0) {
      const Index row = place.rows == Rows::kTokens  ? token_begin_
                        : place.rows == Rows::kTexts ? text_begin_
                                                     : span_begin_;
      return run_.outs[static_cast<std::size_t>(-1 - place.slot)].data() + row * place.ld +
             place.column;
    }
    return slot(place.slot) + place.column;
  }
  const float* weight(WeightId id) const {
    if (id == kNoWeight) return nullptr;
    return run_.weights + run_.plan.weights[static_cast<std::size_t>(id)].offset;
  }
  // Rows of one unit of a GEMM over so many, `ld` floats each.
  Index gemm_rows(Element element, Index rows, Index ld) const;
  void multiply_by_tiles(GemmArgs args) const;
  void meet() const {
    if (run_.team > 1) run_.barrier->wait();
  }
  void attend(const AttentionOp& op, AttentionArgs args, Index text, Index head, Range rows) const;
  void clear_tails(const AttentionOp& op, Index text, Range rows) const;
  void heed(const AttentionOp& op, Index text) const;
  Index key_count(Index text) const;

  // Parts of an experts operation, between which a team's threads meet.
  using Begins = std::array<Index, kMostExperts + 1>;
  Begins pair_begins(const ExpertsOp& op) const;
  void route(const ExpertsOp& op) const;
  void gather(const ExpertsOp& op) const;
  void multiply(const ExpertsOp& op, bool up) const;
  void combine(const ExpertsOp& op) const;

  const ChunkRun& run_;
  Index text_begin_ = 0, texts_ = 0, token_begin_ = 0, tokens_ = 0, span_begin_ = 0, spans_ = 0;
};

}  // namespace inlay::backend::cpu

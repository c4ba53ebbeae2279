// Formulas are program.h's; padding rows get whatever keeps the graph finite.
#include "backend/padded/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace inlay::backend::padded {
namespace {

using Kind = HostInput::Kind;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// Where a query row stands in its text.
std::int64_t place_of(QueryRow row, std::int64_t text_length) {
  return row == QueryRow::kLast ? text_length - 1 : 0;
}

// The shape for `texts` texts of `length` tokens.
std::vector<std::int64_t> shape_of(const HostInput& input, std::int64_t texts,
                                   std::int64_t length) {
  const bool row = input.bias.row != QueryRow::kEvery;
  switch (input.kind) {
    case Kind::kIds:
    case Kind::kTypes:
    case Kind::kPositions:
      return {texts, length};
    case Kind::kEmbeddings:
      return {texts, length, input.embed->tokens.tensor.shape[1]};
    case Kind::kKeyMask:
      return {texts, 1, 1, length};
    case Kind::kScoreBias:
      return {row ? texts : 1, input.bias.heads, row ? 1 : length, length};
    case Kind::kSees:
      return {texts, 1, row ? 1 : length, 1};
    case Kind::kTurnCosines:
    case Kind::kTurnSines:
      return {row ? texts : 1, 1, row ? 1 : length, input.head_size};
    case Kind::kTextMask:
    case Kind::kPoolMask:
      return {texts, length, 1};
    case Kind::kTextOnes:
    case Kind::kLastRow:
      return {texts, 1, length};
    case Kind::kPoolWeights:
      return {texts, static_cast<std::int64_t>(input.modes.size()), length};
    case Kind::kPoolAny:
      return {texts, 1};
    case Kind::kKeyCounts:
    case Kind::kTextLengths:
    case Kind::kPoolBegins:
      return {texts};
  }
  return {};
}

// The same for every text of that length.
bool depends_on_length_alone(const HostInput& input) {
  const bool places = input.kind == Kind::kScoreBias || input.kind == Kind::kTurnCosines ||
                      input.kind == Kind::kTurnSines;
  return places && input.bias.row == QueryRow::kEvery;
}

// One row of scores: what is added for each key, of one head.
void bias_row(const ScoreBias& bias, const std::vector<float>* relative, std::int64_t head,
              std::int64_t query, std::int64_t length, float* out) {
  const std::int64_t reach = relative == nullptr ? 0 : bias.relative.tensor.shape[0] / 2;
  for (std::int64_t key = 0; key < length; ++key) {
    const std::int64_t distance = std::abs(query - key);
    float sum = 0;
    if (!bias.alibi.empty()) sum -= bias.alibi[at(head)] * static_cast<float>(distance);
    if (relative != nullptr) {
      const std::int64_t row = std::clamp(key - query, -reach, reach) + reach;
      sum += (*relative)[at(row * bias.heads + head)];
    }
    const bool sees = !(bias.causal && key > query) && (bias.window < 0 || distance <= bias.window);
    out[key] = sees ? sum : kMasked;
  }
}

void turns_row(const HostInput& input, std::int64_t position, float* out) {
  const bool cosines = input.kind == Kind::kTurnCosines;
  const Rope& rope = input.rope;
  std::fill_n(out, input.head_size, cosines ? 1.0F : 0.0F);
  const std::size_t pairs = rope.inv_freq.size();
  for (std::size_t i = 0; i < pairs; ++i) {
    const double angle = static_cast<float>(position) * rope.inv_freq[i];
    const auto turn =
        static_cast<float>((cosines ? std::cos(angle) : std::sin(angle)) * rope.factor);
    out[rope.interleaved ? 2 * i : i] = turn;
    out[rope.interleaved ? 2 * i + 1 : i + pairs] = turn;
  }
}

void pool_row(PoolMode mode, std::int64_t begin, std::int64_t end, float* out) {
  const std::int64_t kept = end - begin;
  if (kept < 1) return;
  switch (mode) {
    case PoolMode::kCls:
      out[begin] = 1;
      return;
    case PoolMode::kLastToken:
      out[end - 1] = 1;
      return;
    case PoolMode::kMean:
      std::fill(out + begin, out + end, 1.0F / static_cast<float>(kept));
      return;
    case PoolMode::kMeanSqrtLen:
      std::fill(out + begin, out + end, 1.0F / std::sqrt(static_cast<float>(kept)));
      return;
    case PoolMode::kWeightedMean: {
      double sum = 0;
      for (std::int64_t r = begin; r < end; ++r) sum += static_cast<double>(r + 1);
      for (std::int64_t r = begin; r < end; ++r)
        out[r] = static_cast<float>(static_cast<double>(r + 1) / sum);
      return;
    }
    case PoolMode::kMax:
      return;  // no product
  }
}

bool same(const WeightRef& a, const WeightRef& b) { return a.name == b.name; }

}  // namespace

ScoreBias bias_of(const AttentionStep& step, QueryRow row) {
  ScoreBias bias;
  // The last row sees every key before it, and so does the mask of unseen keys.
  bias.causal = step.causal && row != QueryRow::kLast;
  bias.window = step.window;
  bias.alibi = step.alibi;
  bias.relative = step.relative_bias;
  bias.heads = step.alibi.empty() && !step.relative_bias.present() ? 1 : step.heads;
  bias.row = row;
  return bias;
}

bool adds_nothing(const ScoreBias& bias) {
  return !bias.causal && bias.window < 0 && bias.alibi.empty() && !bias.relative.present();
}

bool is_integer(Kind kind) {
  return kind == Kind::kIds || kind == Kind::kTypes || kind == Kind::kPositions ||
         kind == Kind::kKeyCounts || kind == Kind::kTextLengths || kind == Kind::kPoolBegins;
}

bool same_input(const HostInput& a, const HostInput& b) {
  return a.kind == b.kind && a.embed == b.embed && a.bias.causal == b.bias.causal &&
         a.bias.window == b.bias.window && a.bias.alibi == b.bias.alibi &&
         same(a.bias.relative, b.bias.relative) && a.bias.heads == b.bias.heads &&
         a.bias.row == b.bias.row && a.rope.inv_freq == b.rope.inv_freq &&
         a.rope.factor == b.rope.factor && a.rope.interleaved == b.rope.interleaved &&
         a.head_size == b.head_size && a.modes == b.modes;
}

std::size_t HostTensor::bytes() const {
  std::size_t count = type == kInt64 ? 8 : type == kFloat16 ? 2 : 4;
  for (const std::int64_t dimension : shape) count *= at(dimension);
  return count;
}

InputMaker::InputMaker(const std::vector<HostInput>& inputs) {
  for (const HostInput& input : inputs) {
    slots_.push_back({input, {}, {}});
    if (input.bias.relative.present()) table(input.bias.relative);
    if (input.kind != Kind::kEmbeddings) continue;
    for (const WeightRef* weight :
         {&input.embed->tokens, &input.embed->positions, &input.embed->types}) {
      if (weight->present()) table(*weight);
    }
  }
}

const std::vector<float>& InputMaker::table(const WeightRef& weight) {
  std::shared_ptr<const std::vector<float>>& found = tables_[weight.name];
  if (!found)
    found = std::make_shared<const std::vector<float>>(to_float(weight.tensor, weight.name));
  return *found;
}

std::span<const HostTensor> InputMaker::make(const PackedBatch& batch, const Group& group) {
  texts_.assign(at(group.texts), Text{});
  for (std::size_t i = 0; i < group.members.size(); ++i) {
    const auto t = static_cast<std::size_t>(group.members[i]);
    const auto begin = static_cast<std::size_t>(batch.offsets[t]);
    const std::size_t count = static_cast<std::size_t>(batch.offsets[t + 1]) - begin;
    Text& text = texts_[i];
    text.ids = batch.ids.subspan(begin, count);
    if (!batch.type_ids.empty()) text.types = batch.type_ids.subspan(begin, count);
    text.length = text.keys = static_cast<std::int64_t>(count);
    if (!batch.key_counts.empty()) text.keys = batch.key_counts[t];
    if (!batch.pool_begin.empty()) text.pool_begin = batch.pool_begin[t];
  }
  tensors_.clear();
  for (Slot& slot : slots_) {
    HostTensor tensor;
    tensor.name = slot.input.name.c_str();
    tensor.type = is_integer(slot.input.kind) ? kInt32 : kFloat;
    tensor.shape = shape_of(slot.input, group.texts, group.length);
    if (!depends_on_length_alone(slot.input) || slot.made_for != group.length) {
      const std::size_t count = tensor.bytes() / 4;
      if (tensor.type == kInt32) {
        slot.integers.assign(count, 0);
      } else {
        slot.reals.assign(count, 0.0F);
      }
      fill(&slot, group.length);
      slot.made_for = group.length;
    }
    tensor.data = tensor.type == kInt32 ? static_cast<void*>(slot.integers.data())
                                        : static_cast<void*>(slot.reals.data());
    tensors_.push_back(std::move(tensor));
  }
  return tensors_;
}

void InputMaker::fill(Slot* slot, std::int64_t length) {
  const auto texts = static_cast<std::int64_t>(texts_.size());
  float* const reals = slot->reals.data();
  switch (slot->input.kind) {
    case Kind::kIds:
    case Kind::kTypes:
      for (std::int64_t t = 0; t < texts; ++t) {
        const auto& from = slot->input.kind == Kind::kIds ? texts_[at(t)].ids : texts_[at(t)].types;
        std::copy(from.begin(), from.end(), slot->integers.begin() + t * length);
      }
      return;
    case Kind::kPositions:
      return fill_positions(slot, length);
    case Kind::kEmbeddings:
      return fill_embeddings(slot, length);
    case Kind::kKeyMask:
      for (std::int64_t t = 0; t < texts; ++t)
        std::fill(reals + t * length + texts_[at(t)].keys, reals + (t + 1) * length, kMasked);
      return;
    case Kind::kScoreBias:
      return fill_bias(slot, length);
    case Kind::kSees: {
      const ScoreBias& bias = slot->input.bias;
      const bool every = bias.row == QueryRow::kEvery;
      float* out = reals;
      for (const Text& text : texts_) {
        for (std::int64_t r = 0; r < (every ? length : 1); ++r) {
          const std::int64_t query = every ? r : place_of(bias.row, text.length);
          *out++ = query - bias.window < text.keys ? 1.0F : 0.0F;
        }
      }
      return;
    }
    case Kind::kTurnCosines:
    case Kind::kTurnSines:
      return fill_turns(slot, length);
    case Kind::kTextMask:
      for (std::int64_t t = 0; t < texts; ++t)
        std::fill(reals + t * length + texts_[at(t)].length, reals + (t + 1) * length, kMasked);
      return;
    case Kind::kTextOnes:
      for (std::int64_t t = 0; t < texts; ++t)
        std::fill_n(reals + t * length, texts_[at(t)].length, 1.0F);
      return;
    case Kind::kLastRow:
      for (std::int64_t t = 0; t < texts; ++t) reals[t * length + texts_[at(t)].length - 1] = 1.0F;
      return;
    case Kind::kPoolWeights:
      return fill_pool_weights(slot, length);
    case Kind::kPoolMask:
      std::fill(slot->reals.begin(), slot->reals.end(), kMasked);
      for (std::int64_t t = 0; t < texts; ++t) {
        const Text& text = texts_[at(t)];
        for (std::int64_t r = text.pool_begin; r < text.length; ++r) reals[t * length + r] = 0;
      }
      return;
    case Kind::kPoolAny:
      for (std::int64_t t = 0; t < texts; ++t)
        reals[t] = texts_[at(t)].pool_begin < texts_[at(t)].length ? 1.0F : 0.0F;
      return;
    case Kind::kKeyCounts:
    case Kind::kTextLengths:
    case Kind::kPoolBegins:
      for (std::int64_t t = 0; t < texts; ++t) {
        const Text& text = texts_[at(t)];
        slot->integers[at(t)] =
            static_cast<std::int32_t>(slot->input.kind == Kind::kKeyCounts     ? text.keys
                                      : slot->input.kind == Kind::kTextLengths ? text.length
                                                                               : text.pool_begin);
      }
      return;
  }
}

void InputMaker::fill_positions(Slot* slot, std::int64_t length) {
  const EmbedStep& embed = *slot->input.embed;
  for (std::size_t t = 0; t < texts_.size(); ++t) {
    auto position = static_cast<std::int32_t>(embed.position_offset);
    std::int32_t* out = slot->integers.data() + static_cast<std::int64_t>(t) * length;
    for (const std::int32_t id : texts_[t].ids) {
      const bool pad = embed.position_pad_id >= 0 && id == embed.position_pad_id;
      *out++ = pad ? embed.position_pad_id : position++;
    }
  }
}

void InputMaker::fill_embeddings(Slot* slot, std::int64_t length) {
  const EmbedStep& embed = *slot->input.embed;
  const std::int64_t width = embed.tokens.tensor.shape[1];
  const float* tokens = table(embed.tokens).data();
  const float* types = embed.types.present() ? table(embed.types).data() : nullptr;
  const float* positions = embed.positions.present() ? table(embed.positions).data() : nullptr;
  for (std::size_t t = 0; t < texts_.size(); ++t) {
    const Text& text = texts_[t];
    std::int64_t position = embed.position_offset;
    float* out = slot->reals.data() + static_cast<std::int64_t>(t) * length * width;
    for (std::size_t i = 0; i < text.ids.size(); ++i, out += width) {
      const std::int32_t id = text.ids[i];
      const std::int32_t type = text.types.empty() ? 0 : text.types[i];
      const bool pad = embed.position_pad_id >= 0 && id == embed.position_pad_id;
      const std::int64_t place = pad ? embed.position_pad_id : position++;
      for (std::int64_t d = 0; d < width; ++d) {
        float sum = embed.scale * tokens[id * width + d];
        if (types != nullptr) sum += types[type * width + d];
        if (positions != nullptr) sum += positions[place * width + d];
        out[d] = sum;
      }
    }
  }
}

void InputMaker::fill_bias(Slot* slot, std::int64_t length) {
  const ScoreBias& bias = slot->input.bias;
  const std::vector<float>* relative = bias.relative.present() ? &table(bias.relative) : nullptr;
  float* out = slot->reals.data();
  if (bias.row == QueryRow::kEvery) {
    for (std::int64_t head = 0; head < bias.heads; ++head) {
      for (std::int64_t query = 0; query < length; ++query, out += length)
        bias_row(bias, relative, head, query, length, out);
    }
    return;
  }
  for (const Text& text : texts_) {
    for (std::int64_t head = 0; head < bias.heads; ++head, out += length)
      bias_row(bias, relative, head, place_of(bias.row, text.length), length, out);
  }
}

void InputMaker::fill_turns(Slot* slot, std::int64_t length) {
  const HostInput& input = slot->input;
  float* out = slot->reals.data();
  if (input.bias.row == QueryRow::kEvery) {
    for (std::int64_t r = 0; r < length; ++r, out += input.head_size) turns_row(input, r, out);
    return;
  }
  for (const Text& text : texts_) {
    turns_row(input, place_of(input.bias.row, text.length), out);
    out += input.head_size;
  }
}

void InputMaker::fill_pool_weights(Slot* slot, std::int64_t length) {
  float* out = slot->reals.data();
  for (const Text& text : texts_) {
    for (const PoolMode mode : slot->input.modes) {
      pool_row(mode, text.pool_begin, text.length, out);
      out += length;
    }
  }
}

}  // namespace inlay::backend::padded

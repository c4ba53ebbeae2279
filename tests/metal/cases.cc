#include "metal/cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "backend/mlx/kernels/kernels.h"
#include "backend/ref/steps.h"
#include "base/half.h"
#include "program/program.h"

namespace inlay::metal {
namespace {

namespace ref = backend::ref;

float rounded(Type type, float x) {
  switch (type) {
    case Type::kF16:
      return half_to_float(float_to_half(x));
    case Type::kBF16:
      return bf16_to_float(float_to_bf16(x));
    case Type::kF32:
      break;
  }
  return x;
}

std::vector<float> random_values(Type type, std::size_t count, unsigned seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& x : values) x = rounded(type, normal(random));
  return values;
}

std::vector<std::int32_t> offsets_of(const std::vector<int>& texts) {
  std::vector<std::int32_t> offsets{0};
  for (const int length : texts) offsets.push_back(offsets.back() + length);
  return offsets;
}

std::vector<float> nothing(std::size_t count) { return std::vector<float>(count, std::nanf("")); }

// Largest difference that is allowed, relative to the larger of 1e-3 and the largest element:
// kernels compute in floats, so a result of 16 bits is off by the half unit of its last place and
// what little the float was off.
double allowed(Type out) { return out == Type::kF32 ? 5e-6 : out == Type::kF16 ? 6e-4 : 5e-3; }

std::string difference(const std::vector<float>& got, const std::vector<float>& all,
                       std::size_t width, Type type) {
  double largest = 1e-3;
  for (const float x : all) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double off = std::fabs(static_cast<double>(got[i]) - static_cast<double>(all[i]));
    if (off <= allowed(type) * largest) continue;  // false for NaN
    return "row " + std::to_string(i / width) + ", column " + std::to_string(i % width) +
           ": expected " + std::to_string(all[i]) + ", got " + std::to_string(got[i]);
  }
  return {};
}

ref::Matrix matrix(const std::vector<float>& values, std::size_t begin, std::size_t rows,
                   std::size_t width) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(begin * width);
  return {static_cast<std::int64_t>(rows),
          static_cast<std::int64_t>(width),
          {at, at + static_cast<std::ptrdiff_t>(rows * width)}};
}

// One step of ref over the rows of one text.
template <typename Step>
ref::Matrix run_ref(const Step& step, std::vector<ref::Matrix> values,
                    const ref::WeightMap& weights, std::int64_t rows, std::int64_t width,
                    const ref::Text& text) {
  Program program;  // ref asks it whose rows a value has: the tokens'
  EmbedStep embed;
  embed.tokens = program.own("rows", {1, values[0].width},
                             std::vector<float>(static_cast<std::size_t>(values[0].width)));
  program.embed("input", embed);
  const std::string name = "step";
  ref::Matrix out{rows, width, std::vector<float>(static_cast<std::size_t>(rows * width))};
  ref::run_step(ref::Context{text, program, weights, values, name}, step, &out);
  return out;
}

ref::Text text_of_rows(std::int64_t keys) { return {{}, {}, 0, keys}; }

}  // namespace

AttentionCall attention_call(Type type, int head_size, int heads, const std::vector<int>& texts,
                             int group, int window, bool causal,
                             const std::vector<int>& key_counts) {
  AttentionCall call;
  call.type = type;
  call.head_size = head_size;
  call.heads = heads;
  call.group = group;
  call.window = window;
  call.causal = causal;
  const int hidden = heads * head_size;
  const int kv_hidden = hidden / group;
  call.query_at = 4;  // columns that are not this layer's are on both sides
  call.key_at = call.query_at + hidden;
  call.value_at = call.key_at + kv_hidden;
  call.stride = call.value_at + kv_hidden + 8;
  call.scale = 1.0F / std::sqrt(static_cast<float>(head_size));
  const std::vector<std::int32_t> offsets = offsets_of(texts);
  const auto rows = static_cast<std::size_t>(offsets.back());
  call.qkv = random_values(type, rows * static_cast<std::size_t>(call.stride), 7, 1.5F);
  call.items = backend::mlx::attention_items(offsets, {key_counts.begin(), key_counts.end()});
  call.out = nothing(rows * static_cast<std::size_t>(hidden));
  return call;
}

NormCall norm_call(Type type, Type weight_type, long rows, long width) {
  const auto count = static_cast<std::size_t>(rows * width);
  const auto columns = static_cast<std::size_t>(width);
  NormCall call{type, weight_type, rows, width};
  call.input = random_values(type, count, 1, 2);
  call.residual = random_values(type, count, 2, 3);
  for (std::size_t i = 0; i < count; i += 5) call.residual[i] = rounded(type, call.residual[i] + 4);
  for (std::size_t i = 0; i < columns; ++i) {  // a row so small that eps has a say
    call.input[i] = rounded(type, call.input[i] * 1e-3F);
    call.residual[i] = rounded(type, call.residual[i] * 1e-3F);
  }
  call.weight = random_values(weight_type, columns, 3);
  call.bias = random_values(weight_type, columns, 4);
  call.out = nothing(count);
  return call;
}

GeluCall gelu_call(Type type, Type bias_type, long rows, long width) {
  GeluCall call{type, bias_type, rows, width};
  call.input = random_values(type, static_cast<std::size_t>(rows * width), 5, 3);
  // What rounds, cancels or overflows: both zeros, the least floats, the tails.
  const float edges[] = {0.0F, -0.0F,  1e-30F, -1e-30F, -4.0F, -6.5F,
                         6.5F, -14.0F, 14.0F,  60.0F,   -60.0F};
  for (std::size_t i = 0; i < std::size(edges) && i < call.input.size(); ++i)
    call.input[i] = rounded(type, edges[i]);
  call.bias = random_values(bias_type, static_cast<std::size_t>(width), 6, 0.5F);
  std::fill_n(call.bias.begin(), std::min<std::size_t>(std::size(edges), call.bias.size()), 0.0F);
  call.out = nothing(call.input.size());
  return call;
}

PoolCall pool_call(Type type, long width, int mode, bool normalize, const std::vector<int>& texts) {
  PoolCall call;
  call.type = type;
  call.width = width;
  call.mode = mode;
  call.normalize = normalize;
  const std::vector<std::int32_t> offsets = offsets_of(texts);
  call.input = random_values(type, static_cast<std::size_t>(offsets.back() * width), 8);
  // Every third text leaves its first rows out, as a prompt's are.
  for (std::size_t t = 0; t < texts.size(); ++t) {
    const int left_out = t % 3 == 2 ? std::min(texts[t], 2) : 0;
    call.ranges.insert(call.ranges.end(), {offsets[t], offsets[t] + left_out, offsets[t + 1]});
  }
  call.out = nothing(texts.size() * static_cast<std::size_t>(width));
  return call;
}

VocabularyCall vocabulary_call(Type type, long words, bool twice, const std::vector<int>& texts) {
  VocabularyCall call;
  call.type = type;
  call.words = words;
  call.twice = twice;
  call.offsets = offsets_of(texts);
  call.logits = random_values(type, static_cast<std::size_t>(call.offsets.back() * words), 9, 2);
  call.bias = random_values(Type::kF32, static_cast<std::size_t>(words), 10);
  call.out = nothing(texts.size() * static_cast<std::size_t>(words));
  return call;
}

std::string compare(const AttentionCall& call) {
  AttentionStep step;
  const auto hidden = static_cast<std::size_t>(call.heads * call.head_size);
  step.query = {0, call.query_at};
  step.key = {0, call.key_at};
  step.value = {0, call.value_at};
  step.heads = call.heads;
  step.kv_heads = call.heads / call.group;
  step.head_size = call.head_size;
  step.scale = call.scale;
  step.causal = call.causal;
  step.window = call.window;
  std::map<int, ref::Matrix> texts;  // by their first rows
  for (std::size_t i = 0; i < call.items.size(); i += 4) {
    const auto first = static_cast<std::size_t>(call.items[i]);
    const auto length = static_cast<std::size_t>(call.items[i + 1]);
    const auto begin = static_cast<std::size_t>(call.items[i + 2]);
    const auto rows = std::min<std::size_t>(32, length - begin);
    ref::Matrix& all = texts[call.items[i]];
    if (all.data.empty())
      all = run_ref(step, {matrix(call.qkv, first, length, static_cast<std::size_t>(call.stride))},
                    {}, call.items[i + 1], static_cast<std::int64_t>(hidden),
                    text_of_rows(call.items[i + 3]));
    const std::string bad =
        difference(matrix(call.out, first + begin, rows, hidden).data,
                   matrix(all.data, begin, rows, hidden).data, hidden, call.type);
    if (!bad.empty()) return "item " + std::to_string(i / 4) + ", " + bad;
  }
  return {};
}

std::string compare(const NormCall& call) {
  NormStep step;
  step.input = 0;
  step.residual = 1;
  step.weight.name = "weight";
  step.bias.name = "bias";
  step.eps = call.eps;
  const auto rows = static_cast<std::size_t>(call.rows);
  const auto width = static_cast<std::size_t>(call.width);
  const ref::Matrix all =
      run_ref(step, {matrix(call.input, 0, rows, width), matrix(call.residual, 0, rows, width)},
              {{"weight", call.weight}, {"bias", call.bias}}, call.rows, call.width,
              text_of_rows(call.rows));
  return difference(call.out, all.data, width, call.type);
}

std::string compare(const GeluCall& call) {
  std::vector<float> all(call.input.size());
  const auto width = static_cast<std::size_t>(call.width);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float x = call.input[i] + call.bias[i % width];
    all[i] = static_cast<float>(ref::activate(Activation::kGelu, x));
  }
  return difference(call.out, all, width, call.type);
}

std::string compare(const PoolCall& call) {
  PoolStep step;
  step.input = 0;
  step.modes = {static_cast<PoolMode>(call.mode)};
  const auto width = static_cast<std::size_t>(call.width);
  for (std::size_t t = 0; t * 3 < call.ranges.size(); ++t) {
    const auto first = static_cast<std::size_t>(call.ranges[3 * t]);
    const auto rows = static_cast<std::size_t>(call.ranges[3 * t + 2]) - first;
    ref::Text text = text_of_rows(static_cast<std::int64_t>(rows));
    text.pool_begin = call.ranges[3 * t + 1] - call.ranges[3 * t];
    ref::Matrix all =
        run_ref(step, {matrix(call.input, first, rows, width)}, {}, 1, call.width, text);
    if (call.normalize) {
      NormalizeStep normalize;
      normalize.input = 0;
      all = run_ref(normalize, {all}, {}, 1, call.width, text);
    }
    const std::string bad =
        difference(matrix(call.out, t, 1, width).data, all.data, width, Type::kF32);
    if (!bad.empty()) return "text " + std::to_string(t) + ", " + bad;
  }
  return {};
}

std::string compare(const VocabularyCall& call) {
  VocabularyMaxStep step;  // by the identity: the rows are the logits
  step.input = 0;
  step.weight.name = "identity";
  step.bias.name = "bias";
  step.activation = call.twice ? SparseActivation::kLog1pLog1pRelu : SparseActivation::kLog1pRelu;
  const auto words = static_cast<std::size_t>(call.words);
  std::vector<float> identity(words * words);
  for (std::size_t w = 0; w < words; ++w) identity[w * words + w] = 1;
  step.weight.tensor.shape = {call.words, call.words};
  step.bias.tensor.shape = {call.words};
  for (std::size_t t = 0; t + 1 < call.offsets.size(); ++t) {
    const auto first = static_cast<std::size_t>(call.offsets[t]);
    const auto rows = static_cast<std::size_t>(call.offsets[t + 1]) - first;
    const ref::Matrix all = run_ref(step, {matrix(call.logits, first, rows, words)},
                                    {{"identity", identity}, {"bias", call.bias}}, 1, call.words,
                                    text_of_rows(static_cast<std::int64_t>(rows)));
    const std::string bad =
        difference(matrix(call.out, t, 1, words).data, all.data, words, Type::kF32);
    if (!bad.empty()) return "text " + std::to_string(t) + ", " + bad;
  }
  return {};
}

namespace {

const char* name_of(Type type) {
  return type == Type::kF32 ? "fp32" : type == Type::kF16 ? "fp16" : "bf16";
}

template <typename Call>
Case make_case(std::string name, const Call& call) {
  // Bits that were right once are right again: ref is not asked a thousand times.
  const auto right = std::make_shared<std::vector<float>>();
  return {std::move(name) + "_" + name_of(call.type), [call, right](Engine& engine) {
            Call mine = call;
            engine.run(mine);
            const std::size_t bytes = mine.out.size() * sizeof(float);
            if (right->size() == mine.out.size() &&
                std::memcmp(right->data(), mine.out.data(), bytes) == 0)
              return std::string();  // NaN, where nothing is written, included
            std::string bad = compare(mine);
            if (bad.empty()) *right = mine.out;
            return bad;
          }};
}

}  // namespace

const std::vector<Case>& odd_cases() {
  static const std::vector<Case> kCases = [] {
    std::vector<Case> cases;
    // One token; a tile of 32 less, exactly and more; a block of 64 likewise; several blocks.
    const std::vector<int> texts{1, 31, 64, 33, 7, 150, 65};
    for (const Type type : {Type::kF32, Type::kF16, Type::kBF16}) {
      for (const int size : {32, 64})
        cases.push_back(
            make_case("attention_" + std::to_string(size), attention_call(type, size, 2, texts)));
    }
    cases.push_back(make_case("attention_causal_grouped",
                              attention_call(Type::kF32, 64, 4, {70, 1, 33}, 2, -1, true)));
    cases.push_back(
        make_case("attention_window", attention_call(Type::kF16, 64, 1, {140, 3, 40}, 1, 5)));
    cases.push_back(make_case("attention_causal_window_grouped",
                              attention_call(Type::kBF16, 32, 3, {100, 2}, 3, 2, true)));
    cases.push_back(
        make_case("attention_unseen_keys",
                  attention_call(Type::kF32, 32, 1, {40, 0, 90}, 1, -1, false, {9, 1, 66})));
    for (const Type type : {Type::kF32, Type::kF16, Type::kBF16})
      cases.push_back(make_case("norm_36", norm_call(type, Type::kF32, 7, 36)));
    cases.push_back(make_case("norm_384", norm_call(Type::kF16, Type::kF16, 5, 384)));
    cases.push_back(make_case("norm_1024", norm_call(Type::kF32, Type::kF32, 3, 1024)));
    cases.push_back(make_case("norm_1028", norm_call(Type::kF32, Type::kF32, 3, 1028)));
    cases.push_back(make_case("norm_4096", norm_call(Type::kBF16, Type::kBF16, 2, 4096)));
    for (const Type type : {Type::kF32, Type::kF16, Type::kBF16})
      cases.push_back(make_case("gelu_260", gelu_call(type, Type::kF32, 5, 260)));
    cases.push_back(make_case("gelu_4", gelu_call(Type::kF16, Type::kF16, 1, 4)));
    const std::vector<int> pooled{1, 9, 6, 0, 3, 2, 70};
    for (int mode = 0; mode < 6; ++mode)
      cases.push_back(make_case("pool_70_" + std::to_string(mode),
                                pool_call(Type::kF32, 70, mode, mode != 3 && mode != 5, pooled)));
    cases.push_back(make_case("pool_384", pool_call(Type::kF16, 384, 2, true, pooled)));
    cases.push_back(make_case("pool_384_max", pool_call(Type::kBF16, 384, 1, false, pooled)));
    cases.push_back(
        make_case("vocabulary", vocabulary_call(Type::kF32, 131, false, {5, 1, 0, 33})));
    cases.push_back(make_case("vocabulary", vocabulary_call(Type::kF16, 257, false, {2, 9})));
    cases.push_back(make_case("vocabulary_twice", vocabulary_call(Type::kBF16, 70, true, {4, 3})));
    return cases;
  }();
  return kCases;
}

const std::vector<Case>& small_cases() {
  AttentionCall last_rows = attention_call(Type::kF32, 32, 1, {67});  // three rows, 67 keys
  last_rows.items.erase(last_rows.items.begin(), last_rows.items.end() - 4);
  static const std::vector<Case> kCases = {
      make_case("attention_short", attention_call(Type::kF16, 32, 1, {11})),
      make_case("attention_long", last_rows),
      make_case("norm_36", norm_call(Type::kF16, Type::kF32, 5, 36)),
      make_case("norm_1028", norm_call(Type::kF32, Type::kF32, 2, 1028)),
      make_case("gelu", gelu_call(Type::kBF16, Type::kF32, 3, 260)),
      make_case("pool", pool_call(Type::kF32, 70, 2, true, {5, 1, 0})),
      make_case("vocabulary", vocabulary_call(Type::kF32, 131, false, {3, 0, 1})),
  };
  return kCases;
}

}  // namespace inlay::metal

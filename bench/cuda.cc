// The cuda room alone, on random weights of published shapes: texts of mixed lengths (lognormal,
// mean about 126 tokens, at most 512) from host memory to host memory, and one text of 32 tokens.
//
//   bench_cuda [--shape NAME] [--dtype D] [--texts N | --lengths FILE] [--profile] [--chunk N]
//
// FILE has the tokens of each text, a number a line: what compare_gpu.py gives its peers too.
// Prints one JSON line a shape and dtype: texts/s, useful TFLOP/s (products and attention of the
// tokens that there are), milliseconds of one short text (median, 99th percentile). --profile adds
// the operations of one submission; --chunk sets the tokens of one. Without a usable GPU: the
// reason, and exit 69.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/executable.h"
#include "backend/cuda/library.h"
#include "inlay/inlay.hpp"
#include "program/program.h"

namespace {

using namespace inlay;
using namespace inlay::backend;

struct ModelShape {
  const char* name;
  std::int64_t layers, hidden, heads, middle;
};
constexpr ModelShape kShapes[] = {{"minilm", 6, 384, 12, 1536},
                                  {"bge-small", 12, 384, 12, 1536},
                                  {"bge-base", 12, 768, 12, 3072},
                                  {"bge-large", 24, 1024, 16, 4096}};
constexpr std::int64_t kVocabulary = 30522;

WeightRef random_weight(Program* program, std::mt19937* random, const std::string& name,
                        Shape shape, float scale, float offset = 0) {
  std::int64_t count = 0;
  element_count(shape, &count);
  std::normal_distribution<float> normal(offset, scale);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(*random);
  return program->own(name, std::move(shape), std::move(values));
}

// BERT: post-norm, exact GELU, mean pooling, unit length.
Program encoder(const ModelShape& s) {
  Program p;
  std::mt19937 random(1);
  const auto matrix = [&](const std::string& name, std::int64_t n, std::int64_t k) {
    return random_weight(&p, &random, name, {n, k}, 1.0F / std::sqrt(static_cast<float>(k)));
  };
  const auto bias = [&](const std::string& name, std::int64_t n) {
    return random_weight(&p, &random, name, {n}, 0.05F);
  };
  const auto norm = [&](const std::string& name, ValueId x, ValueId residual) {
    return p.norm(name, {NormKind::kLayer, x, residual,
                         random_weight(&p, &random, name + ".weight", {s.hidden}, 0.05F, 1.0F),
                         bias(name + ".bias", s.hidden), 1e-12F});
  };
  ValueId x =
      p.embed("embed", {matrix("words", kVocabulary, s.hidden), matrix("positions", 512, s.hidden),
                        matrix("types", 2, s.hidden), 0, -1});
  x = norm("embed.norm", x, kNoValue);
  for (std::int64_t layer = 0; layer < s.layers; ++layer) {
    const std::string at = "layer." + std::to_string(layer) + ".";
    const ValueId qkv =
        p.linear(at + "qkv",
                 {x,
                  {matrix(at + "q", s.hidden, s.hidden), matrix(at + "k", s.hidden, s.hidden),
                   matrix(at + "v", s.hidden, s.hidden)},
                  {bias(at + "qb", s.hidden), bias(at + "kb", s.hidden), bias(at + "vb", s.hidden)},
                  Activation::kNone});
    AttentionStep a;
    a.query = {qkv, 0};
    a.key = {qkv, s.hidden};
    a.value = {qkv, 2 * s.hidden};
    a.heads = a.kv_heads = s.heads;
    a.head_size = s.hidden / s.heads;
    a.scale = 1.0F / std::sqrt(static_cast<float>(a.head_size));
    const ValueId context = p.attention(at + "attention", a);
    const ValueId out = p.linear(at + "out", {context,
                                              {matrix(at + "o", s.hidden, s.hidden)},
                                              {bias(at + "ob", s.hidden)},
                                              Activation::kNone});
    x = norm(at + "norm", out, x);
    const ValueId up = p.linear(at + "up", {x,
                                            {matrix(at + "u", s.middle, s.hidden)},
                                            {bias(at + "ub", s.middle)},
                                            Activation::kGelu});
    const ValueId down = p.linear(at + "down", {up,
                                                {matrix(at + "d", s.hidden, s.middle)},
                                                {bias(at + "db", s.hidden)},
                                                Activation::kNone});
    x = norm(at + "norm2", down, x);
  }
  p.normalize("unit", {p.pool("mean", {x, {PoolMode::kMean}})});
  return p;
}

struct Texts {
  std::vector<std::int32_t> ids, offsets{0};
  double flops(const ModelShape& s) const {
    double sum = 0;
    for (std::size_t t = 0; t + 1 < offsets.size(); ++t) {
      const double n = offsets[t + 1] - offsets[t];
      const auto h = static_cast<double>(s.hidden);
      const auto m = static_cast<double>(s.middle);
      sum += static_cast<double>(s.layers) * (n * (8 * h * h + 4 * h * m) + 4 * n * n * h);
    }
    return sum;
  }
  PackedBatch view() const { return {ids, {}, offsets, {}}; }
};

Texts make_texts(std::vector<int> lengths) {
  std::sort(lengths.rbegin(), lengths.rend());
  Texts texts;
  std::mt19937 random(3);
  for (const int length : lengths) {
    for (int i = 0; i < length; ++i)
      texts.ids.push_back(static_cast<std::int32_t>(random() % kVocabulary));
    texts.offsets.push_back(static_cast<std::int32_t>(texts.ids.size()));
  }
  return texts;
}

std::vector<int> mixed_lengths(int count) {
  std::mt19937 random(2);
  std::lognormal_distribution<double> lognormal(std::log(105.0), 0.6);
  std::vector<int> lengths;
  for (int i = 0; i < count; ++i)
    lengths.push_back(std::clamp(static_cast<int>(lognormal(random)), 4, 512));
  return lengths;
}

std::vector<int> lengths_from(const char* path) {
  std::ifstream file(path);
  std::vector<int> lengths;
  for (int length = 0; file >> length;) lengths.push_back(std::clamp(length, 1, 512));
  if (lengths.empty()) {
    std::fprintf(stderr, "bench_cuda: expected numbers of tokens in %s, got none\n", path);
    std::exit(2);
  }
  return lengths;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of each of `count` runs.
std::vector<double> run_times(Executable* executable, const Texts& texts, std::int64_t width,
                              int count) {
  std::vector<float> out((texts.offsets.size() - 1) * static_cast<std::size_t>(width));
  std::vector<double> times;
  for (int i = 0; i < 3 + count; ++i) {
    const double begin = now();
    executable->run(texts.view(), std::span<float>(out));
    if (i >= 3) times.push_back(now() - begin);
  }
  std::sort(times.begin(), times.end());
  return times;
}

void print_profile(Executable* executable) {
  std::map<std::string, std::pair<int, float>> sums;
  for (const cuda::OperationTime& line : cuda::profile(executable, 10)) {
    auto& [count, milliseconds] = sums[line.what];
    ++count;
    milliseconds += line.milliseconds;
  }
  for (const auto& [what, sum] : sums)
    std::printf("  %3d x %9.1f us  %s\n", sum.first, 1000.0F * sum.second / sum.first,
                what.c_str());
}

int measure(const ModelShape& shape, const std::string& dtype, const std::vector<int>& lengths,
            bool profile, std::int64_t chunk) {
  const Backend* room = nullptr;
  for (const Backend* candidate : all_backends()) {
    if (candidate->name() == "cuda") room = candidate;
  }
  const Probe probe = room->probe();
  if (probe.state != State::kOk) {
    std::fprintf(stderr, "bench_cuda: %s. Remedy: %s.\n", probe.reason.c_str(),
                 probe.remedy.c_str());
    return 69;
  }
  const Program program = encoder(shape);
  const Texts mixed = make_texts(lengths);
  const auto text_count = static_cast<int>(lengths.size());
  const Texts one = make_texts({32});
  CompileOptions options;
  options.dtype = dtype;
  options.max_tokens = static_cast<std::int64_t>(mixed.ids.size());
  options.max_texts = text_count;
  const double begin = now();
  const std::vector<std::string> reasons = room->supports(program, options);
  if (!reasons.empty()) {
    std::fprintf(stderr, "bench_cuda: %s\n", reasons.front().c_str());
    return 69;
  }
  const auto executable = cuda::make_executable(cuda::make_plan(program, options, chunk), options,
                                                *cuda::library().api, 0);
  const double ready = now() - begin;
  const std::vector<double> many = run_times(executable.get(), mixed, shape.hidden, 20);
  if (profile) print_profile(executable.get());
  const std::vector<double> single = run_times(executable.get(), one, shape.hidden, 300);
  if (profile) print_profile(executable.get());
  const double seconds = many[many.size() / 2];
  std::printf(
      "{\"shape\":\"%s\",\"dtype\":\"%s\",\"isa\":\"%s\",\"texts\":%d,\"tokens\":%zu,"
      "\"texts_per_s\":%.0f,\"tokens_per_s\":%.0f,\"tflops\":%.1f,\"one_text_ms\":%.4f,"
      "\"one_text_p99_ms\":%.4f,\"compile_s\":%.2f}\n",
      shape.name, dtype.c_str(), std::string(executable->isa()).c_str(), text_count,
      mixed.ids.size(), text_count / seconds, static_cast<double>(mixed.ids.size()) / seconds,
      mixed.flops(shape) / seconds * 1e-12, 1e3 * single[single.size() / 2],
      1e3 * single[single.size() * 99 / 100], ready);
  std::fflush(stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string only_shape;
  std::string only_dtype;
  std::vector<int> lengths = mixed_lengths(1024);
  bool profile = false;
  std::int64_t chunk = cuda::kChunkTokens;
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--profile") == 0) {
      profile = true;
    } else if (std::strcmp(argv[i], "--chunk") == 0 && has_value) {
      chunk = std::max(1, std::atoi(argv[++i]));
    } else if (std::strcmp(argv[i], "--shape") == 0 && has_value) {
      only_shape = argv[++i];
    } else if (std::strcmp(argv[i], "--dtype") == 0 && has_value) {
      only_dtype = argv[++i];
    } else if (std::strcmp(argv[i], "--texts") == 0 && has_value) {
      lengths = mixed_lengths(std::max(1, std::atoi(argv[++i])));
    } else if (std::strcmp(argv[i], "--lengths") == 0 && has_value) {
      lengths = lengths_from(argv[++i]);
    } else {
      std::fprintf(stderr,
                   "usage: bench_cuda [--shape NAME] [--dtype D] [--texts N | --lengths FILE] "
                   "[--profile] [--chunk N]\n");
      return 2;
    }
  }
  try {
    for (const ModelShape& shape : kShapes) {
      if (!only_shape.empty() && only_shape != shape.name) continue;
      for (const char* dtype : {"fp16", "bf16", "fp8", "fp32"}) {
        if (!only_dtype.empty() && only_dtype != dtype) continue;
        const int status = measure(shape, dtype, lengths, profile, chunk);
        if (status != 0) return status;
      }
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_cuda: %s\n", error.what());
    return 70;
  }
  return 0;
}

// Kernel micro-benchmark of the cpu room: one JSON line a shape, each beside the multiply-add peak
// measured directly before and after it on one and on all threads. A share of peak needs the peak
// of the same moment: clocks move, and virtual processors do not always get a core each. A line is
// measured again, up to --tries times, while all threads' peak is under 0.95 of threads times one
// thread's; then it is printed with "disturbed": true.
//
// Shares of peak are of fp32 alone; bench_peak has the ceilings of bf16 and int8.
//
//   bench_steps [--threads N] [--tries N] [--clock wall|cpu] [--element fp32|bf16|int8]
//               [--only gemm|activation|attention|stack|latency|ops] [--hidden 384|768]
//
// "ops" runs the stacks of bge-small's and bge-base's shape over `mixed` and says where their time
// goes: a line a kind of operation with the microseconds of a thread a token and its operations a
// second, from the fastest of --tries runs; --hidden leaves one of the two.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/executable.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/pack.h"
#include "base/threads.h"

namespace {

using namespace inlay;
using namespace inlay::backend;
using cpu::Index;

struct Settings {
  int threads = available_threads();
  int tries = 20;
  std::string only;
  Index hidden = 0;  // of "ops"; 0: both
  cpu::Element element = cpu::Element::kFp32;
};

// Wall time; or (--clock cpu) the processor time of the whole process, to be divided by its busy
// threads: what a machine shared with others would have shown alone, preemption left out.
bool use_cpu_clock = false;
double seconds_now() {
  timespec now{};
  clock_gettime(use_cpu_clock ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
double elapsed(double begin, int threads) {
  return (seconds_now() - begin) / (use_cpu_clock ? threads : 1);
}

std::vector<float> random_floats(Index count, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = uniform(random);
  return values;
}

std::vector<float> normal_floats(Index count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.05F);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(random);
  return values;
}

class Bench {
 public:
  explicit Bench(Settings settings)
      : settings_(std::move(settings)),
        kernels_(cpu::choose_isa(settings_.element)),
        pool_(settings_.threads) {}

  void gemm(Index m, Index n, Index k, int threads);
  void activation(Activation activation);
  void attention(Index keys, Index head_size);
  void ops(int layers, Index hidden, Index heads, int threads);
  void stack(const char* name, const std::vector<Index>& lengths, int layers, Index hidden,
             Index heads, int threads);
  const Settings& settings() const { return settings_; }

 private:
  // Floating-point operations a second of `threads` threads together.
  double peak(int threads);
  // Calls `work` (one call: `flops`) between two peaks and prints; `unit` divides the time.
  void measure(const std::string& fields, int threads, double flops, double units,
               const char* unit_name, const std::function<void()>& work);

  Settings settings_;
  const cpu::Kernels& kernels_;
  ThreadPool pool_;
};

double Bench::peak(int threads) {
  constexpr Index kRounds = 200000;  // some 3 ms
  std::vector<double> flops(static_cast<std::size_t>(threads));
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double begin = seconds_now();
    pool_.run([&](int rank) {
      if (rank >= threads) return;
      std::vector<float> values = random_floats(64, 9);
      flops[static_cast<std::size_t>(rank)] = kernels_.peak(kRounds, values.data());
    });
    double total = 0;
    for (const double f : flops) total += f;
    best = std::max(best, total / elapsed(begin, threads));
  }
  return best;
}

void Bench::measure(const std::string& fields, int threads, double flops, double units,
                    const char* unit_name, const std::function<void()>& work) {
  work();
  double best_share = 0;
  double best_time = 0;
  double peak_1 = 0;
  double peak_n = 0;
  bool disturbed = true;
  for (int attempt = 0; attempt < settings_.tries && (disturbed || attempt < 5); ++attempt) {
    const double before_1 = peak(1);
    const double before = threads == 1 ? before_1 : peak(threads);
    double time = 1e30;
    const double begin = seconds_now();
    for (int i = 0; i < 3 || seconds_now() - begin < 0.1; ++i) {
      const double start = seconds_now();
      work();
      time = std::min(time, elapsed(start, threads));
    }
    const double after_1 = peak(1);
    const double after = threads == 1 ? after_1 : peak(threads);
    const double one = std::max(before_1, after_1);
    const double all = std::max(before, after);
    const bool clean = std::min(before, after) >= 0.95 * threads * one &&
                       std::min(before_1, after_1) >= 0.95 * one;
    const double share = flops / time / all;
    if ((clean && disturbed) || (clean == !disturbed && share > best_share)) {
      best_share = share;
      best_time = time;
      peak_1 = one;
      peak_n = all;
      disturbed = !clean;
    }
  }
  std::printf("{%s,\"isa\":\"%s\",\"threads\":%d,\"%s\":%.4g", fields.c_str(), kernels_.name,
              threads, unit_name, best_time * 1e9 / units);
  if (flops > 0) std::printf(",\"gflops\":%.1f", flops / best_time * 1e-9);
  if (flops > 0 && settings_.element == cpu::Element::kFp32)
    std::printf(",\"share_of_peak\":%.3f", best_share);
  std::printf(",\"peak_1_gflops\":%.1f,\"peak_n_gflops\":%.1f,\"disturbed\":%s}\n", peak_1 * 1e-9,
              peak_n * 1e-9, disturbed ? "true" : "false");
  std::fflush(stdout);
}

void Bench::gemm(Index m, Index n, Index k, int threads) {
  const Index panels = (n + kernels_.panel - 1) / kernels_.panel;
  const cpu::Element element = settings_.element;
  const Index size = panels * kernels_.panel * kernels_.weight_lines(element, k);
  // Several matrices in turn, up to 48 MB, as layers come.
  const auto count = std::clamp<Index>((Index{48} << 20U) / (size * 4), 4, 12);
  const Index lda = cpu::leading_dimension(cpu::row_floats(element, k));
  const Index ldc = cpu::leading_dimension(n);
  Buffer a(static_cast<std::size_t>(m * lda) * 4);
  Buffer c(static_cast<std::size_t>(m * ldc) * 4);
  Buffer weights(static_cast<std::size_t>(size * count) * 4);
  const std::vector<float> noise = random_floats(4096, 1);
  for (Index i = 0; i < m * lda; ++i) a.as<float>()[i] = noise[static_cast<std::size_t>(i % 4093)];
  // Narrow weights as they are packed, of numbers as trained weights have them.
  cpu::Plan plan;
  cpu::WeightSpec spec;
  spec.kind = cpu::WeightSpec::Kind::kPanels;
  spec.element = element;
  const std::vector<float> values = normal_floats(n * k, 4);
  spec.parts = {{"w", {DType::kF32, {n, k}, values.data()}}};
  spec.n = n;
  spec.k = k;
  spec.floats = plan.weight_floats = size;
  plan.weights.push_back(spec);
  const Buffer packed = pack_weights(plan, kernels_);
  for (Index i = 0; i < count; ++i)
    std::memcpy(weights.as<float>() + i * size, packed.data(), static_cast<std::size_t>(size) * 4);
  Buffer scratch(static_cast<std::size_t>(k + cpu::kLanes) * 4);
  for (Index r = 0; r < m && element != cpu::Element::kFp32; ++r) {
    const std::vector<float> row(noise.begin() + r % 64, noise.begin() + r % 64 + k);
    kernels_.narrow(element, row.data(), k, a.as<float>() + r * lda, scratch.as<float>());
  }
  std::memset(c.data(), 0, c.bytes());
  const std::vector<float> bias(static_cast<std::size_t>(panels * kernels_.panel), 0.5F);
  Index next = 0;
  measure("\"kind\":\"gemm\",\"m\":" + std::to_string(m) + ",\"n\":" + std::to_string(n) +
              ",\"k\":" + std::to_string(k),
          threads, 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
          1e6, "ms", [&] {
            const float* w = weights.as<float>() + next++ % count * size;
            pool_.run([&](int rank) {
              if (rank >= threads) return;
              const Index begin = m * rank / threads;
              const Index end = m * (rank + 1) / threads;
              cpu::GemmArgs args;
              args.a = a.as<float>() + begin * lda;
              args.lda = lda;
              args.m = end - begin;
              args.n = n;
              args.k = k;
              args.weights = w;
              args.bias = bias.data();
              args.c = c.as<float>() + begin * ldc;
              args.ldc = ldc;
              args.element = element;
              args.row_block = cpu::round_up(112, kernels_.rows_at_once(element));
              kernels_.gemm(args, 0, args.units(kernels_.panel));
            });
          });
}

void Bench::activation(Activation activation) {
  constexpr Index kCount = 1 << 15;
  const std::vector<float> from = random_floats(kCount, 2, 4.0F);
  std::vector<float> values = from;
  measure(std::string("\"kind\":\"activation\",\"name\":\"") + activation_name(activation) + "\"",
          1, 0, kCount, "ns_per_element", [&] {
            std::memcpy(values.data(), from.data(), kCount * sizeof(float));
            kernels_.activate(activation, values.data(), kCount);
          });
}

void Bench::attention(Index keys, Index head_size) {
  const Index heads = 384 / head_size;
  const Index ld = cpu::leading_dimension(3 * 384);
  const std::vector<float> qkv = random_floats(keys * ld, 3);
  std::vector<float> out(static_cast<std::size_t>(keys * 384));
  Buffer scratch(static_cast<std::size_t>(cpu::attention_scratch(kernels_, head_size)) * 4);
  const double flops = 4.0 * static_cast<double>(keys * keys) * 384.0;
  measure("\"kind\":\"attention\",\"keys\":" + std::to_string(keys) +
              ",\"head_size\":" + std::to_string(head_size),
          1, flops, 1e6, "ms", [&] {
            for (Index head = 0; head < heads; ++head) {
              cpu::AttentionArgs args;
              args.q = qkv.data() + head * head_size;
              args.k = args.q + 384;
              args.v = args.q + 768;
              args.ldq = args.ldk = args.ldv = ld;
              args.out = out.data();
              args.out_column = head * head_size;
              if (settings_.element == cpu::Element::kBf16) args.element = settings_.element;
              args.ldo = 384;
              args.keys = keys;
              args.query_end = keys;
              args.head_size = head_size;
              args.scale = 1.0F / std::sqrt(static_cast<float>(head_size));
              args.scratch = scratch.as<float>();
              kernels_.attention(args);
            }
          });
}

// A BERT of random weights over packed texts, mean pooling and normalising included.
struct Encoder {
  Program program;
  std::vector<std::vector<float>> storage;

  WeightRef weight(Shape shape, float scale, float offset = 0) {
    Index count = 1;
    for (const Index extent : shape) count *= extent;
    storage.push_back(random_floats(count, static_cast<unsigned>(storage.size()), scale));
    for (float& v : storage.back()) v += offset;
    return {"w" + std::to_string(storage.size()),
            {DType::kF32, std::move(shape), storage.back().data()}};
  }
  WeightRef matrix(Index n, Index k) {
    return weight({n, k}, std::sqrt(3.0F / static_cast<float>(k)));
  }

  Encoder(int layers, Index h, Index heads) {
    const auto norm = [&](const std::string& name, ValueId x, ValueId residual) {
      return program.norm(name, {NormKind::kLayer, x, residual, weight({h}, 0.1F, 1.0F),
                                 weight({h}, 0.1F), 1e-12F});
    };
    ValueId x = norm(
        "n",
        program.embed("e", {weight({1000, h}, 1), weight({512, h}, 1), weight({2, h}, 1), 0, -1}),
        kNoValue);
    for (int i = 0; i < layers; ++i) {
      const std::string name = std::to_string(i);
      const ValueId qkv =
          program.linear(name + "q", {x,
                                      {matrix(h, h), matrix(h, h), matrix(h, h)},
                                      {weight({h}, 0.1F), weight({h}, 0.1F), weight({h}, 0.1F)},
                                      Activation::kNone});
      AttentionStep step;
      step.query = {qkv, 0};
      step.key = {qkv, h};
      step.value = {qkv, 2 * h};
      step.heads = step.kv_heads = heads;
      step.head_size = h / heads;
      step.scale = 1.0F / std::sqrt(static_cast<float>(step.head_size));
      const ValueId context = program.attention(name + "a", step);
      const ValueId out = program.linear(
          name + "o", {context, {matrix(h, h)}, {weight({h}, 0.1F)}, Activation::kNone});
      const ValueId mid = norm(name + "m", out, x);
      const ValueId up = program.linear(
          name + "u", {mid, {matrix(4 * h, h)}, {weight({4 * h}, 0.1F)}, Activation::kGelu});
      const ValueId down = program.linear(
          name + "d", {up, {matrix(h, 4 * h)}, {weight({h}, 0.1F)}, Activation::kNone});
      x = norm(name + "n", down, mid);
    }
    program.normalize("z", {program.pool("p", {x, {PoolMode::kMean}})});
  }
};

// 100 log-normal lengths, mean some 123 and E[S^2]/E[S] some 193, longest first.
std::vector<Index> mixed_lengths() {
  std::mt19937 random(7);
  std::vector<Index> lengths;
  for (int i = 0; i < 100; ++i) {
    double normal = -6;  // the sum of 12 uniform numbers less 6
    for (int j = 0; j < 12; ++j) normal += static_cast<double>(random()) / 4294967296.0;
    lengths.push_back(std::clamp<Index>(std::lround(std::exp(4.587 + 0.671 * normal)), 3, 512));
  }
  std::sort(lengths.rbegin(), lengths.rend());
  return lengths;
}

// Texts of these lengths as a packed batch.
struct Texts {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> offsets{0};
  double squares = 0;  // sum of squared lengths

  explicit Texts(const std::vector<Index>& lengths) {
    for (const Index length : lengths) {
      for (Index i = 0; i < length; ++i)
        ids.push_back(static_cast<std::int32_t>((i * 7919) % 1000));
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
      squares += static_cast<double>(length * length);
    }
  }
  std::size_t count() const { return offsets.size() - 1; }
  double tokens() const { return static_cast<double>(ids.size()); }
  PackedBatch batch() const { return {ids, {}, offsets, {}}; }
  CompileOptions options(int threads) const {
    CompileOptions options;
    options.threads = threads;
    options.max_tokens = std::max<std::int64_t>(static_cast<std::int64_t>(ids.size()), 16384);
    options.max_text_tokens = 512;
    return options;
  }
};

void Bench::stack(const char* name, const std::vector<Index>& lengths, int layers, Index hidden,
                  Index heads, int threads) {
  const Encoder encoder(layers, hidden, heads);
  const Texts texts(lengths);
  const double tokens = texts.tokens();
  const double squares = texts.squares;
  const CompileOptions options = texts.options(threads);
  const auto executable = cpu::make_executable(
      make_plan(encoder.program, kernels_, options.max_text_tokens, true, settings_.element),
      kernels_, options);
  std::vector<float> out(lengths.size() * static_cast<std::size_t>(hidden));
  const double h = static_cast<double>(hidden);
  const double flops = layers * (24.0 * h * h * tokens + 4.0 * h * squares);
  char fields[256];
  std::snprintf(fields, sizeof fields,
                "\"kind\":\"stack\",\"name\":\"%s\",\"layers\":%d,\"hidden\":%d,\"texts\":%d,"
                "\"mean_tokens\":%.1f,\"weighted_tokens\":%.1f",
                name, layers, static_cast<int>(hidden), static_cast<int>(lengths.size()),
                tokens / static_cast<double>(lengths.size()), squares / tokens);
  measure(fields, threads, flops, 1e6 * static_cast<double>(lengths.size()), "ms_per_text",
          [&] { executable->run(texts.batch(), out); });
}

// What an operation is called in the lines of `ops`, and its floating-point operations a token.
struct OpKind {
  std::string name;
  double flops = 0;
};
OpKind kind_of(const cpu::Op& op, double weighted_tokens) {
  if (const auto* gemm = std::get_if<cpu::GemmOp>(&op)) {
    const double n = static_cast<double>(gemm->n);
    const double k = static_cast<double>(gemm->k);
    return {"linear " + std::to_string(gemm->n) + "x" + std::to_string(gemm->k), 2 * n * k};
  }
  if (const auto* attention = std::get_if<cpu::AttentionOp>(&op)) {
    return {"attention",
            4 * weighted_tokens * static_cast<double>(attention->heads * attention->head_size)};
  }
  if (const auto* narrow = std::get_if<cpu::NarrowOp>(&op))
    return {"narrow " + std::to_string(narrow->width), 0};
  if (std::holds_alternative<cpu::NormOp>(op)) return {"norm", 0};
  if (std::holds_alternative<cpu::EmbedOp>(op)) return {"embed", 0};
  return {"other", 0};
}

void Bench::ops(int layers, Index hidden, Index heads, int threads) {
  const Encoder encoder(layers, hidden, heads);
  // Enough texts that threads end together.
  std::vector<Index> lengths;
  for (const Index length : mixed_lengths())
    lengths.insert(lengths.end(), static_cast<std::size_t>(1 + threads / 2), length);
  const Texts texts(lengths);
  const CompileOptions options = texts.options(threads);
  cpu::Plan plan =
      make_plan(encoder.program, kernels_, options.max_text_tokens, true, settings_.element);
  std::vector<OpKind> kinds;
  for (const cpu::Op& op : plan.ops) kinds.push_back(kind_of(op, texts.squares / texts.tokens()));
  cpu::OpTimes times;
  const auto executable = cpu::make_executable(std::move(plan), kernels_, options, &times);
  std::vector<float> out(texts.count() * static_cast<std::size_t>(hidden));
  double best = 1e30;
  std::vector<std::vector<double>> fastest;
  executable->run(texts.batch(), out);
  for (int i = 0; i < settings_.tries; ++i) {
    for (auto& thread : times.seconds) std::fill(thread.begin(), thread.end(), 0.0);
    const double begin = seconds_now();
    executable->run(texts.batch(), out);
    const double took = elapsed(begin, threads);
    if (took >= best) continue;
    best = took;
    fastest = times.seconds;
  }
  std::map<std::string, std::pair<double, double>> sums;  // seconds of all threads; operations
  double total = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    auto& [seconds, flops] = sums[kinds[i].name];
    for (const auto& thread : fastest) seconds += thread[i];
    for (const auto& thread : fastest) total += thread[i];
    flops += kinds[i].flops * texts.tokens();
  }
  std::printf(
      "{\"kind\":\"ops\",\"isa\":\"%s\",\"threads\":%d,\"layers\":%d,\"hidden\":%d,"
      "\"ms_per_text\":%.4g}\n",
      kernels_.name, threads, layers, static_cast<int>(hidden),
      1e3 * best / static_cast<double>(texts.count()));
  for (const auto& [name, sum] : sums) {
    std::printf("{\"kind\":\"op\",\"name\":\"%s\",\"us_per_token\":%.4g,\"share\":%.3f",
                name.c_str(), 1e6 * sum.first / texts.tokens(), sum.first / total);
    if (sum.second > 0) std::printf(",\"gflops_a_thread\":%.1f", 1e-9 * sum.second / sum.first);
    std::printf("}\n");
  }
  std::fflush(stdout);
}

void run_all(Bench* bench) {
  const Settings& s = bench->settings();
  const auto wanted = [&](const char* kind) { return s.only.empty() || s.only == kind; };
  std::vector<int> threads{1};
  if (s.threads > 1) threads.push_back(s.threads);
  for (const int t : threads) {
    if (!wanted("gemm")) break;
    for (const auto& [n, k] : {std::pair<Index, Index>{1152, 384},
                               {384, 384},
                               {1536, 384},
                               {384, 1536},
                               {2304, 768},
                               {768, 768},
                               {3072, 768},
                               {768, 3072}}) {
      bench->gemm(2016, n, k, t);
    }
  }
  if (wanted("activation")) {
    for (const Activation a : {Activation::kGelu, Activation::kGeluTanh, Activation::kSilu})
      bench->activation(a);
  }
  if (wanted("attention")) {
    for (const Index d : {32, 64}) {
      for (const Index keys : {14, 64, 123, 256, 512, 1024}) bench->attention(keys, d);
    }
  }
  for (const int t : threads) {
    if (!wanted("stack")) break;
    bench->stack("mixed", mixed_lengths(), 6, 384, 12, t);
    bench->stack("long", std::vector<Index>(8, 487), 6, 384, 12, t);
    bench->stack("mixed", mixed_lengths(), 12, 768, 12, t);
  }
  if (s.only == "ops") {
    for (const Index hidden : {384, 768}) {
      if (s.hidden == 0 || s.hidden == hidden) bench->ops(12, hidden, 12, s.threads);
    }
  }
  for (const int t : threads) {
    if (!wanted("latency")) break;
    for (const Index tokens : {8, 14, 32, 64}) {
      bench->stack("one", {tokens}, 6, 384, 12, t);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--threads") settings.threads = std::max(std::atoi(argv[i + 1]), 1);
    if (name == "--tries") settings.tries = std::max(std::atoi(argv[i + 1]), 1);
    if (name == "--clock") use_cpu_clock = std::strcmp(argv[i + 1], "cpu") == 0;
    if (name == "--only") settings.only = argv[i + 1];
    if (name == "--hidden") settings.hidden = std::atoi(argv[i + 1]);
    if (name == "--element" && std::strcmp(argv[i + 1], "bf16") == 0)
      settings.element = cpu::Element::kBf16;
    if (name == "--element" && std::strcmp(argv[i + 1], "int8") == 0)
      settings.element = cpu::Element::kInt8;
  }
  try {
    Bench bench(settings);
    run_all(&bench);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_steps: %s\n", error.what());
    return 1;
  }
  return 0;
}

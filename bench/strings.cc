// From raw strings to vectors in host memory, through the Engine: what tokenising, queues and
// copies leave of a device's rate.
//
//   bench_strings MODEL [--device D] [--dtype D] [--texts N] [--rounds N] [--words FILE]
//                 [--lengths FILE] [--soak N]
//
// Texts are N (20,000) runs of words of FILE (words of its own if none is named), lengths
// lognormal, mean about 126 tokens, at most 500 words. Prints one JSON line: texts/s of the median
// round and of the best, tokens, seconds to load. --lengths writes the tokens of each text to FILE,
// longest first, for `bench_cuda --lengths`, which measures computing alone. --soak runs N batches
// of random sizes and prints the memory of the GPUs, as nvidia-smi sees it, after the first 100 and
// the last.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<std::string> words_of(const char* path) {
  std::vector<std::string> words;
  if (path != nullptr) {
    std::ifstream file(path);
    for (std::string word; file >> word && words.size() < 200000;) words.push_back(word);
  }
  if (words.empty()) {
    for (const char* word :
         {"the", "of", "and", "house", "river", "small", "machine", "vector", "people", "time",
          "water", "where", "light", "seven", "green", "paper", "answer", "between"})
      words.emplace_back(word);
  }
  return words;
}

std::string text_of(const std::vector<std::string>& words, int length, std::mt19937* random) {
  std::string text;
  std::size_t at = (*random)() % words.size();
  for (int i = 0; i < length; ++i, ++at) text += words[at % words.size()] + " ";
  return text;
}

std::vector<std::string> make_texts(const std::vector<std::string>& words, int count,
                                    double factor) {
  std::mt19937 random(2);
  std::lognormal_distribution<double> lognormal(std::log(105.0 * factor), 0.6);
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i)
    texts.push_back(
        text_of(words, std::clamp(static_cast<int>(lognormal(random)), 2, 500), &random));
  return texts;
}

// MiB in use on each GPU, "" where nvidia-smi is not there.
std::string gpu_memory() {
  std::string out;
  if (FILE* pipe =
          ::popen("nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits", "r")) {
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
      out += c == '\n' ? ' ' : static_cast<char>(c);
    ::pclose(pipe);
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

void soak(inlay::Engine* engine, const std::vector<std::string>& words, int batches) {
  std::mt19937 random(7);
  std::string first;
  const auto begin = Clock::now();
  for (int i = 0; i < batches; ++i) {
    if (i == 100) first = gpu_memory();
    inlay::Request request;
    const int count = 1 + static_cast<int>(random() % (i % 50 == 0 ? 400 : 24));
    for (int t = 0; t < count; ++t)
      request.texts.push_back(text_of(words, 1 + static_cast<int>(random() % 200), &random));
    engine->run(std::move(request));
  }
  std::printf("{\"soak\":%d,\"seconds\":%.1f,\"mib_after_100\":\"%s\",\"mib_at_end\":\"%s\"}\n",
              batches, since(begin), first.c_str(), gpu_memory().c_str());
}

int run(int argc, char** argv) {
  inlay::EngineOptions options;
  options.model = argv[1];
  int count = 20000;
  int rounds = 5;
  int batches = 0;
  const char* words_file = nullptr;
  const char* lengths_file = nullptr;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--device") {
      options.device = value;
    } else if (name == "--dtype") {
      options.dtype = value;
    } else if (name == "--texts") {
      count = std::max(1, std::atoi(value));
    } else if (name == "--rounds") {
      rounds = std::max(1, std::atoi(value));
    } else if (name == "--words") {
      words_file = value;
    } else if (name == "--lengths") {
      lengths_file = value;
    } else if (name == "--soak") {
      batches = std::atoi(value);
    } else {
      std::fprintf(stderr, "bench_strings: no option %s\n", argv[i]);
      return 2;
    }
  }
  options.max_length = 512;
  const std::vector<std::string> words = words_of(words_file);
  const auto begin = Clock::now();
  inlay::Engine engine(options);
  const double ready = since(begin);
  // Words are one token and more: a first look tells how many.
  inlay::Request look;
  look.texts = make_texts(words, 200, 1);
  const inlay::Result seen = engine.run(look);
  double tokens = 0;
  double all_words = 0;
  for (std::size_t i = 0; i < look.texts.size(); ++i) {
    tokens += seen.texts[i].tokens;
    all_words += static_cast<double>(std::count(look.texts[i].begin(), look.texts[i].end(), ' '));
  }
  const std::vector<std::string> texts = make_texts(words, count, all_words / tokens);
  std::vector<double> seconds;
  std::int64_t token_count = 0;
  for (int round = 0; round <= rounds; ++round) {
    inlay::Request request;
    request.texts = texts;
    const auto start = Clock::now();
    const inlay::Result result = engine.run(std::move(request));
    if (round > 0) seconds.push_back(since(start));
    if (round > 0) continue;
    std::vector<int> lengths;
    for (const inlay::TextInfo& text : result.texts) lengths.push_back(text.tokens);
    std::sort(lengths.rbegin(), lengths.rend());
    for (const int length : lengths) token_count += length;
    if (lengths_file != nullptr) {
      std::ofstream file(lengths_file);
      for (const int length : lengths) file << length << "\n";
    }
  }
  std::sort(seconds.begin(), seconds.end());
  const inlay::Stats stats = engine.stats();
  std::printf(
      "{\"model\":\"%s\",\"device\":\"%s\",\"dtype\":\"%s\",\"threads\":%d,\"texts\":%d,"
      "\"tokens\":%lld,\"texts_per_s\":%.0f,\"best_texts_per_s\":%.0f,\"ready_s\":%.3f}\n",
      stats.model.c_str(), stats.device.c_str(), stats.dtype.c_str(), stats.threads, count,
      static_cast<long long>(token_count), count / seconds[seconds.size() / 2], count / seconds[0],
      ready);
  std::fflush(stdout);
  if (batches > 0) soak(&engine, words, batches);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr,
                 "usage: bench_strings MODEL [--device D] [--dtype D] [--texts N] [--rounds N] "
                 "[--words FILE] [--lengths FILE] [--soak N]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const inlay::Error& error) {
    std::fprintf(stderr, "bench_strings: %s\n", error.what());
    return 70;
  }
}

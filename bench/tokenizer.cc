// The tokenizer in a loop over texts, for bench/tokenizer.py: one thread, one reused Encoding, as
// the engine's encoders do it.
//
//   bench_tokenizer tokenizer.json TEXTS     TEXTS: for each text its bytes (u32) and the bytes
//
// Commands on standard input, an answer line each: "time" encodes all texts and answers CPU
// seconds; "ids FILE" writes, for each text, the number of its ids and the ids (i32) to FILE and
// answers "done". Numbers are little-endian.
#include "tokens/tokenizer.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"

namespace {

using inlay::tokens::EncodeOptions;
using inlay::tokens::Encoding;
using inlay::tokens::Tokenizer;

std::string read_whole(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string_view> cut(std::string_view file) {
  std::vector<std::string_view> texts;
  while (file.size() >= sizeof(std::uint32_t)) {
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, file.data(), sizeof(bytes));
    file.remove_prefix(sizeof(bytes));
    texts.push_back(file.substr(0, bytes));
    file.remove_prefix(texts.back().size());
  }
  return texts;
}

double seconds(const Tokenizer& tokenizer, const std::vector<std::string_view>& texts) {
  Encoding encoding;
  const EncodeOptions options;
  const std::clock_t start = std::clock();
  std::size_t tokens = 0;
  for (const std::string_view text : texts) {
    tokenizer.encode(text, options, &encoding);
    tokens += encoding.ids.size();
  }
  const std::clock_t end = std::clock();
  if (tokens == 0) std::fprintf(stderr, "no tokens\n");
  return static_cast<double>(end - start) / CLOCKS_PER_SEC;
}

void write_ids(const Tokenizer& tokenizer, const std::vector<std::string_view>& texts,
               const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  Encoding encoding;
  for (const std::string_view text : texts) {
    tokenizer.encode(text, {}, &encoding);
    const auto count = static_cast<std::uint32_t>(encoding.ids.size());
    file.write(reinterpret_cast<const char*>(&count), sizeof(count));
    file.write(reinterpret_cast<const char*>(encoding.ids.data()),
               static_cast<std::streamsize>(encoding.ids.size() * sizeof(std::int32_t)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_tokenizer tokenizer.json TEXTS\n");
    return 2;
  }
  try {
    const Tokenizer tokenizer = Tokenizer::from_json(read_whole(argv[1]), argv[1]);
    const std::string file = read_whole(argv[2]);
    const std::vector<std::string_view> texts = cut(file);
    for (std::string command; std::getline(std::cin, command);) {
      if (command == "time") {
        std::printf("%.6f\n", seconds(tokenizer, texts));
      } else if (command.starts_with("ids ")) {
        write_ids(tokenizer, texts, command.substr(4));
        std::printf("done\n");
      }
      std::fflush(stdout);
    }
    return 0;
  } catch (const inlay::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 65;
  }
}

// Encodes or decodes many texts for tests/oracles/test_tokens.py: a tokenizer file on the command
// line, requests on standard input, answers on standard output, all numbers little-endian and 32
// bits.
//
//   tokens_driver tokenizer.json [tokenizer_config.json]     or     tokens_driver vocab.txt
//   [tokenizer_config.json] request:  flags (1: pair, 2: no special tokens, 4: offsets, 8: cut
//   left, 16: only_first, 32: only_second,
//             64: decode, 128: keep special tokens when decoding), max_length, bytes of the first
//             text, bytes of the second, the bytes. A decode request's first text is its ids.
//   answer:   status (0: good, 1: error, then bytes and a message); encode: count, truncated, then
//   for each token id,
//             type id, special and, when asked for, offset begin and end; decode: bytes and the
//             text.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"
#include "tokens/tokenizer.h"

namespace {

using inlay::tokens::EncodeOptions;
using inlay::tokens::Encoding;
using inlay::tokens::Tokenizer;
using inlay::tokens::TruncationDirection;
using inlay::tokens::TruncationStrategy;

std::string read_whole(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Output {
 public:
  void number(std::uint32_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
  }
  void flush() {
    std::fwrite(bytes_.data(), 1, bytes_.size(), stdout);
    bytes_.clear();
  }
  bool large() const { return bytes_.size() > (1U << 20U); }

 private:
  std::string bytes_;
};

struct Request {
  std::uint32_t flags, max_length, first_bytes, second_bytes;
  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

void decode(const Tokenizer& tokenizer, const Request& request, const std::string& ids,
            Output* output) {
  std::vector<std::int32_t> list(ids.size() / 4);
  std::memcpy(list.data(), ids.data(), list.size() * 4);
  const std::string text = tokenizer.decode(list, !request.has(128));
  output->number(0);
  output->text(text);
}

void encode(const Tokenizer& tokenizer, const Request& request, const std::string& first,
            const std::string& second, Output* output) {
  static Encoding encoding;
  EncodeOptions options;
  options.add_special_tokens = !request.has(2);
  options.offsets = request.has(4);
  options.max_length = static_cast<int>(request.max_length);
  if (request.has(8)) options.direction = TruncationDirection::kLeft;
  if (request.has(16)) options.strategy = TruncationStrategy::kOnlyFirst;
  if (request.has(32)) options.strategy = TruncationStrategy::kOnlySecond;
  if (request.has(1)) {
    tokenizer.encode_pair(first, second, options, &encoding);
  } else {
    tokenizer.encode(first, options, &encoding);
  }
  output->number(0);
  output->number(static_cast<std::uint32_t>(encoding.ids.size()));
  output->number(encoding.truncated ? 1 : 0);
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    output->number(static_cast<std::uint32_t>(encoding.ids[i]));
    output->number(static_cast<std::uint32_t>(encoding.type_ids[i]));
    output->number(encoding.special[i]);
    if (options.offsets) {
      output->number(encoding.offsets[i].first);
      output->number(encoding.offsets[i].second);
    }
  }
}

int serve(const Tokenizer& tokenizer) {
  Output output;
  std::string first, second;
  for (Request request; std::fread(&request, sizeof(request), 1, stdin) == 1;) {
    first.resize(request.first_bytes);
    second.resize(request.second_bytes);
    if (std::fread(first.data(), 1, first.size(), stdin) != first.size()) return 1;
    if (std::fread(second.data(), 1, second.size(), stdin) != second.size()) return 1;
    try {
      if (request.has(64)) {
        decode(tokenizer, request, first, &output);
      } else {
        encode(tokenizer, request, first, second, &output);
      }
    } catch (const inlay::Error& error) {
      output.number(1);
      output.text(error.what());
    }
    if (output.large()) output.flush();
  }
  output.flush();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: tokens_driver tokenizer.json|vocab.txt [tokenizer_config.json]\n");
    return 2;
  }
  try {
    const std::string file = read_whole(argv[1]);
    const std::string config = argc > 2 ? read_whole(argv[2]) : std::string();
    const bool vocab = std::string_view(argv[1]).ends_with(".txt");
    return serve(vocab ? Tokenizer::from_vocab_txt(file, argv[1], config)
                       : Tokenizer::from_json(file, argv[1], config));
  } catch (const inlay::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 65;
  }
}

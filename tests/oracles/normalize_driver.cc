// Lets tests/oracles/test_unicode.py ask the built normalizers and tables what they do. Not
// installed, not a frontend.
//
//   normalize_driver JSON           frames on standard input (u32 length, bytes), normalized:
//   frames on standard output normalize_driver JSON --align   each answer is followed by u32 begin
//   and end in the input for each of its characters normalize_driver --class NAME   one byte for
//   each of 110000 (hex) code points: 1 when unicode_class() has it normalize_driver --flag BIT the
//   same for a CharFlag normalize_driver --time JSON    seconds for the whole of standard input as
//   one text: without and with tracking
//
// JSON may be @FILE. The first two run each text with and without tracking and end with 1 when the
// texts differ.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/normalizers.h"
#include "tokens/unicode.h"

namespace {

using namespace inlay;
using namespace inlay::tokens;

void put_u32(std::string& out, std::uint32_t value) {
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  out.append(bytes, 4);
}

int normalize_frames(const Normalizer& normalizer, bool align) {
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  std::string out;
  NormalizedString plain;
  NormalizedString tracked;
  for (std::size_t at = 0; at + 4 <= input.size();) {
    std::uint32_t size = 0;
    std::memcpy(&size, input.data() + at, 4);
    at += 4;
    const std::string_view text = std::string_view(input).substr(at, size);
    at += size;
    plain.reset(text, false);
    normalizer.normalize(plain);
    tracked.reset(text, true);
    normalizer.normalize(tracked);
    if (plain.text() != tracked.text()) {
      std::cerr << "tracking changed the text of frame ending at " << at << "\n";
      return 1;
    }
    put_u32(out, static_cast<std::uint32_t>(plain.text().size()));
    out += plain.text();
    if (!align) continue;
    for (std::uint32_t i = 0; i < tracked.text().size();) {
      const std::uint32_t end = i + utf8_decode(tracked.text(), i).bytes;
      const auto range = tracked.to_original({i, end}).value();
      put_u32(out, range.begin);
      put_u32(out, range.end);
      i = end;
    }
  }
  std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
  return 0;
}

int time_text(const Normalizer& normalizer) {
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  NormalizedString text;
  for (const bool track : {false, true}) {
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
      const auto begin = std::chrono::steady_clock::now();
      text.reset(input, track);
      normalizer.normalize(text);
      best = std::min(
          best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    std::printf("%.6f ", best);
  }
  std::printf("%zu\n", text.text().size());
  return 0;
}

int print_members(const char* what, const char* name) {
  std::string out(0x110000, '\0');
  if (std::strcmp(what, "--flag") == 0) {
    const std::uint32_t flag = 1U << std::atoi(name);
    for (char32_t c = 0; c < 0x110000; ++c) out[c] = has(c, flag) ? 1 : 0;
  } else {
    for (const CodeRange& range : unicode_class(name)) {
      for (char32_t c = range.first; c <= range.last; ++c) out[c] = 1;
    }
  }
  std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::ios::sync_with_stdio(false);
  if (argc == 3 && (std::strcmp(argv[1], "--class") == 0 || std::strcmp(argv[1], "--flag") == 0)) {
    return print_members(argv[1], argv[2]);
  }
  const bool time = std::strcmp(argv[1], "--time") == 0;
  try {
    std::string text = argv[time ? 2 : 1];
    if (text[0] == '@') {
      std::ifstream file(text.substr(1), std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(file), {});
    }
    const JsonDocument json = JsonDocument::parse(text, "normalizer");
    const auto normalizer = Normalizer::from_json(json.root());
    return time ? time_text(*normalizer) : normalize_frames(*normalizer, argc > 2);
  } catch (const Error& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}

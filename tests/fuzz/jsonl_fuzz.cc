// Texts from hostile bytes: the txt, jsonl and csv readers, ids of `tokens --decode` excepted. The
// first byte chooses the format and whether spans are read, the second the longest line; what
// follows is the file. Whatever comes out must be UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "io/text_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inlay;
  if (size < 2) return 0;
  static constexpr io::InputFormat kFormats[] = {io::InputFormat::kTxt, io::InputFormat::kJsonl,
                                                 io::InputFormat::kCsv};
  const io::InputFormat format = kFormats[data[0] % 3];
  const std::int64_t max_line = data[1] < 128 ? 1 << 20 : data[1] - 127;
  std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  try {
    const auto reader =
        io::read_texts(io::LineReader(io::open_memory(std::move(bytes)), "in", max_line), format,
                       "text", data[0] >= 128);
    std::string text;
    while (reader->next(&text)) {
      if (!utf8_valid(text)) std::abort();
      if (reader->take_spans() && data[0] < 128) std::abort();
    }
    if (reader->position() != reader->total()) std::abort();
  } catch (const Error& error) {
    // A refusal is a refusal of the input, and names a line of it.
    if (error.code() != ErrorCode::kBadInput || error.where().rfind("in line ", 0) != 0)
      std::abort();
  }
  return 0;
}

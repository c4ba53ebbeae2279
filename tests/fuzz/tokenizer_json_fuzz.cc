// A hostile tokenizer.json and a hostile text: the file ends at the first 0xFF byte, the rest is
// the text. Whatever loads must encode, with and without offsets, cut both ways, alone and in a
// pair, and decode; offsets and no offsets must agree.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/tokenizer.h"

namespace {

using namespace inlay::tokens;

// nullopt-like: an empty pointer when the text is refused, which both ways must do alike.
bool encode(const Tokenizer& tokenizer, std::string_view text, std::string_view second,
            const EncodeOptions& options, Encoding* out) {
  try {
    if (second.empty()) {
      tokenizer.encode(text, options, out);
    } else {
      tokenizer.encode_pair(text, second, options, out);
    }
    return true;
  } catch (const inlay::Error&) {
    return false;
  }
}

void check(const Tokenizer& tokenizer, std::string_view text, std::string_view second,
           EncodeOptions options) {
  Encoding plain, tracked;
  if (!encode(tokenizer, text, second, options, &plain)) return;
  options.offsets = true;
  if (!encode(tokenizer, text, second, options, &tracked)) return;
  if (plain.ids != tracked.ids || plain.type_ids.size() != plain.ids.size() ||
      plain.special.size() != plain.ids.size() || tracked.offsets.size() != plain.ids.size()) {
    std::abort();
  }
  try {
    tokenizer.decode(plain.ids, true);
    tokenizer.decode(plain.ids, false);
  } catch (const inlay::Error&) {  // a decoder may refuse what its patterns cannot match in time
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(bytes.find('\xFF'), bytes.size());
  std::string_view text = bytes.substr(std::min(end + 1, bytes.size()));
  text = text.substr(0, inlay::utf8_valid_prefix(text));
  try {
    const Tokenizer tokenizer = Tokenizer::from_json(bytes.substr(0, end), "tokenizer.json");
    check(tokenizer, text, {}, {});
    EncodeOptions cut;
    cut.max_length = 5;
    check(tokenizer, text, "two words", cut);
    cut.direction = TruncationDirection::kLeft;
    check(tokenizer, text, {}, cut);
  } catch (const inlay::Error&) {  // refused at load
  }
  return 0;
}

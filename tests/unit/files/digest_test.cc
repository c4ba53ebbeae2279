// The hashes against FIPS 180-4's examples and at every split of a stream.
#include "files/digest.h"

#include <gtest/gtest.h>

namespace inlay::files {
namespace {

std::string hash(Digest::Kind kind, std::string_view text) {
  Digest digest(kind);
  digest.update(text);
  return digest.hex();
}

struct Example {
  std::string text;
  const char* sha1;
  const char* sha256;
};

TEST(Digest, Examples) {
  const Example examples[] = {
      {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'), "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Example& example : examples) {
    EXPECT_EQ(hash(Digest::Kind::kSha1, example.text), example.sha1);
    EXPECT_EQ(hash(Digest::Kind::kSha256, example.text), example.sha256);
  }
}

TEST(Digest, PiecesMakeTheWhole) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (const Digest::Kind kind : {Digest::Kind::kSha1, Digest::Kind::kSha256}) {
    for (std::size_t size = 50; size < 140; ++size) {  // around the ends of blocks
      const std::string_view part = std::string_view(text).substr(0, size);
      const std::string whole = hash(kind, part);
      for (std::size_t split = 0; split <= size; split += 13) {
        Digest digest(kind);
        digest.update(part.substr(0, split));
        digest.update(part.substr(split));
        EXPECT_EQ(digest.hex(), whole) << size << " " << split;
      }
    }
  }
}

}  // namespace
}  // namespace inlay::files

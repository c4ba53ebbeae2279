// The character map: what it finds, and that no bytes, however broken, are read outside of it.
#include "tokens/charsmap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace inlay::tokens {
namespace {

std::string pack(const std::vector<std::uint32_t>& units, const std::string& replacements,
                 std::int64_t claimed = -1) {
  const auto size = static_cast<std::uint32_t>(
      claimed >= 0 ? claimed : 4 * static_cast<std::int64_t>(units.size()));
  std::string blob(4 + 4 * units.size(), '\0');
  std::memcpy(blob.data(), &size, 4);
  if (!units.empty()) std::memcpy(blob.data() + 4, units.data(), 4 * units.size());
  return blob + replacements;
}

constexpr std::uint32_t kLeaf = 1U << 8, kValue = 1U << 31;
constexpr std::uint32_t edge(char label, std::uint32_t from, std::uint32_t to, bool leaf) {
  const std::uint32_t at = from ^ static_cast<unsigned char>(label);
  return (at ^ to) << 10 | (leaf ? kLeaf : 0) | static_cast<unsigned char>(label);
}

// "a" -> "X", "ab" -> "YZ".
std::vector<std::uint32_t> small_trie() {
  std::vector<std::uint32_t> units(1024, 0);
  units[0] = 256U << 10;
  units[256 ^ 'a'] = edge('a', 256, 512, true);
  units[512] = kValue | 0;
  units[512 ^ 'b'] = edge('b', 512, 768, true);
  units[768] = kValue | 2;
  return units;
}
const std::string kReplacements("X\0YZ\0", 5);

void expect_refused(const std::string& blob, const char* says) {
  try {
    Charsmap::from_bytes(blob, "tokenizer.json: /normalizer");
    ADD_FAILURE() << "taken, expected: " << says;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("tokenizer.json"), std::string::npos);
  }
}

TEST(Charsmap, TheShortestPrefixWins) {
  const Charsmap map = Charsmap::from_bytes(pack(small_trie(), kReplacements), "x");
  EXPECT_EQ(map.find("a"), "X");
  EXPECT_EQ(map.find("ab"), "X");
  EXPECT_EQ(map.find("b"), std::nullopt);
  EXPECT_EQ(map.find(""), std::nullopt);
  EXPECT_EQ(map.find(std::string_view("\0a", 2)), std::nullopt);
}

TEST(Charsmap, RefusesLies) {
  expect_refused("", "size of a trie");
  expect_refused("abc", "size of a trie");
  expect_refused(pack({}, "x"), "trie within");
  expect_refused(pack(small_trie(), "", 0xFFFFFFFF), "trie within");
  expect_refused(pack(small_trie(), "", 4 * 1025), "trie within");
  expect_refused(pack(small_trie(), ""), "start of a replacement");
  expect_refused(pack(small_trie(), "\xff"), "UTF-8");
  expect_refused(pack({~0U}, "x"), "to lead to");
  auto units = small_trie();
  units[256 ^ 'a'] = edge('a', 256, 1U << 20, false);
  expect_refused(pack(units, kReplacements), "to lead to");
  units = small_trie();
  units[512] = kValue | 77;
  expect_refused(pack(units, kReplacements), "start of a replacement");
  units = small_trie();
  units[768] = kValue | 1;
  expect_refused(pack(units, std::string("\xc3\xa9", 2)), "start of a replacement");
  units = small_trie();
  units[512 ^ 'b'] = edge('b', 512, 256, false);
  expect_refused(pack(units, kReplacements), "cycle");
  units[512 ^ 'b'] = edge('b', 512, 512, false);
  expect_refused(pack(units, kReplacements), "cycle");
}

TEST(Charsmap, SharedNodesAreNoCycle) {
  auto units = small_trie();
  units[256 ^ 'c'] = edge('c', 256, 512, true);
  const Charsmap map = Charsmap::from_bytes(pack(units, kReplacements), "x");
  EXPECT_EQ(map.find("c"), "X");
}

TEST(Charsmap, AVastSmallFileIsRefusedQuickly) {
  // A chain of nodes as long as the file: no recursion, no time.
  std::vector<std::uint32_t> units(1U << 18, 0);
  units[0] = 256U << 10;
  for (std::uint32_t node = 256; node + 512 < units.size(); node += 256) {
    units[node ^ 1U] = edge(1, node, node + 256, false);
  }
  const Charsmap map = Charsmap::from_bytes(pack(units, "x"), "x");
  EXPECT_EQ(map.find(std::string(5, '\1')), std::nullopt);
}

TEST(Charsmap, Base64) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("aGVsbG8="), "hello");
  EXPECT_EQ(decode_base64("aGVsbA=="), "hell");
  for (const char* bad : {"a", "ab", "abc", "a===", "====", "aGVsbG9=", "aGVs bG8=", "aGVsbG8=\n",
                          "aGV=bG8=", "é===", "aGVsbG8", "ab-_"}) {
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
  }
}

// Whatever is done to a real map, it is refused or answers without reading outside (sanitizers
// watch).
TEST(Charsmap, BrokenBytesDoNoHarm) {
  std::ifstream file(INLAY_TEST_DATA "/tokens/nmt_nfkc.charsmap", std::ios::binary);
  const std::string real(std::istreambuf_iterator<char>(file), {});
  ASSERT_GT(real.size(), 100'000U);
  std::mt19937 random(1);
  int taken = 0;
  for (int round = 0; round < 200; ++round) {
    std::string blob = real;
    if (round % 4 == 0) blob.resize(random() % blob.size());
    const std::size_t damages = blob.empty() ? 0 : 1 + random() % 3;
    for (std::size_t i = 0; i < damages; ++i) {
      blob[random() % blob.size()] = static_cast<char>(random());
    }
    try {
      const auto normalizer = make_charsmap_normalizer(Charsmap::from_bytes(blob, "x"));
      ++taken;
      NormalizedString text(
          "\uff21\u3042\u3099\u2460 a\u0301 \ufdfa\u1112\u1161\u11ab\t\u200b\U0001f468");
      normalizer->normalize(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    }
  }
  EXPECT_GT(taken, 20);
}

}  // namespace
}  // namespace inlay::tokens

// The hash tells any two contents apart that differ by little, and does not depend on threads.
#include "base/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

namespace inlay {
namespace {

std::string random_bytes(std::size_t count) {
  std::mt19937 random(7);
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

TEST(Hash, EveryBitAndEveryLengthCounts) {
  std::string bytes = random_bytes(200);
  std::set<std::string> seen;
  for (std::size_t size = 0; size <= bytes.size(); ++size)
    ASSERT_TRUE(seen.insert(hash_bytes(std::string_view(bytes).substr(0, size)).hex()).second);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      ASSERT_TRUE(seen.insert(hash_bytes(bytes).hex()).second) << i << " bit " << bit;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
    }
  }
}

TEST(Hash, ZerosAndPlacesCount) {
  std::set<std::string> seen;
  for (std::size_t size = 0; size < 300; ++size)
    ASSERT_TRUE(seen.insert(hash_bytes(std::string(size, '\0')).hex()).second) << size;
  // Equal pieces in another order: words, lines, blocks.
  std::string bytes = random_bytes(std::size_t{4} << 20U);
  const Hash128 whole = hash_bytes(bytes);
  for (const std::size_t piece : {std::size_t{8}, std::size_t{16}, std::size_t{64},
                                  std::size_t{4096}, std::size_t{1} << 20U}) {
    std::swap_ranges(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(piece),
                     bytes.begin() + static_cast<std::ptrdiff_t>(piece));
    EXPECT_NE(hash_bytes(bytes), whole) << piece;
    std::swap_ranges(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(piece),
                     bytes.begin() + static_cast<std::ptrdiff_t>(piece));
  }
  EXPECT_EQ(hash_bytes(bytes), whole);
}

TEST(Hash, ThreadsDoNotShow) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{1} << 20U,
                                 (std::size_t{1} << 20U) + 1, (std::size_t{5} << 20U) + 77}) {
    const std::string bytes = random_bytes(size);
    for (const int threads : {0, 2, 3, 16})
      EXPECT_EQ(hash_bytes(bytes, threads), hash_bytes(bytes)) << size << " " << threads;
  }
}

TEST(Hash, IsWrittenAsItIs) {
  EXPECT_EQ((Hash128{0x0123456789abcdef, 0xfedcba9876543210}).hex(),
            "fedcba98765432100123456789abcdef");
}

}  // namespace
}  // namespace inlay

// Words are folded in pairs by the two halves of their 128-bit product, on four lanes that do not
// wait for each other: 64 bytes a turn, so that memory is the limit (measured in
// docs/decisions/0011-packed-weights-on-disk.md).
#include "base/hash.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace inlay {
namespace {

// Blocks are hashed apart and their hashes then as text: large enough that this costs nothing,
// small enough that threads end together.
constexpr std::size_t kBlock = std::size_t{1} << 20U;

// The digits of pi: odd words without a pattern.
constexpr std::array<std::uint64_t, 8> kSalt{
    0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1, 0x082efa98ec4e6c89,
    0x452821e638d01377, 0xbe5466cf34e90c6d, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917};

std::uint64_t word_at(const char* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Both halves of the product count.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

// A product with zero would forget the other factor's word, so what went in is added once more.
std::uint64_t mix(std::uint64_t lane, const char* bytes, std::uint64_t salt) {
  const std::uint64_t first = word_at(bytes), second = word_at(bytes + 8);
  return fold(first ^ salt ^ lane, second ^ salt) + (first ^ (second << 32U | second >> 32U)) +
         (lane << 23U | lane >> 41U);
}

Hash128 hash_block(std::string_view bytes, std::uint64_t place) {
  std::array<std::uint64_t, 4> lanes{kSalt[4] + place, kSalt[5] ^ bytes.size(), kSalt[6], kSalt[7]};
  const auto turn = [&lanes](const char* at) {
    for (std::size_t i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], at + 16 * i, kSalt[i]);
  };
  std::size_t at = 0;
  for (; at + 64 <= bytes.size(); at += 64) turn(bytes.data() + at);
  if (at < bytes.size()) {  // the length is in already, so zeros behind it are not mistaken
    std::array<char, 64> tail{};
    std::memcpy(tail.data(), bytes.data() + at, bytes.size() - at);
    turn(tail.data());
  }
  const auto end = [&lanes](std::size_t first) {
    std::uint64_t sum = kSalt[first];
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint64_t lane = lanes[(first + i) % 4];
      sum = fold(sum ^ lane, kSalt[i + 4] ^ (lane >> 29U)) + lane;
    }
    return fold(sum ^ kSalt[first + 2], kSalt[5]) + sum;
  };
  return {end(0), end(1)};
}

}  // namespace

std::string Hash128::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t half : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[half >> shift & 0xFU];
  }
  return text;
}

Hash128 hash_bytes(std::string_view bytes, int threads) {
  const std::size_t count = (bytes.size() + kBlock - 1) / kBlock;
  if (count <= 1) return hash_block(bytes, 0);
  std::vector<Hash128> blocks(count);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1))
      blocks[i] = hash_block(bytes.substr(i * kBlock, kBlock), i + 1);
  };
  {
    std::vector<std::thread> helpers;
    const auto wanted = std::min(static_cast<std::size_t>(std::max(threads, 1)), count) - 1;
    try {
      for (std::size_t i = 0; i < wanted; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // The machine has no thread left: those that are there do it all.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
  }
  const std::string_view sums(reinterpret_cast<const char*>(blocks.data()),
                              blocks.size() * sizeof(Hash128));
  return hash_block(sums, bytes.size());
}

}  // namespace inlay

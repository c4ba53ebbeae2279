// Reading config.json for an architecture: typed, bounded, each refusal naming field, value and
// what was expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "program/activation.h"

namespace inlay::arch {

// Bounds no published encoder comes near; a config beyond them is damage or malice, and nothing is
// allocated for it.
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaxRows = std::int64_t{1} << 26;

// An integer member in [low, high]. Absent: `fallback` when it is in range, else kBadInput.
std::int64_t config_int(const JsonValue& config, std::string_view key, std::int64_t low,
                        std::int64_t high, std::int64_t fallback = -1);
float config_float(const JsonValue& config, std::string_view key, double low, double high,
                   double fallback);
// kUnsupported for a name that is not in activation.h.
Activation config_activation(const JsonValue& config, std::string_view key,
                             std::string_view fallback);

// kUnsupported when the member says something else: a variant that the family's file does not
// build. An absent member says `expected`.
void require_text(const JsonValue& config, std::string_view key, std::string_view expected);
void require_flag(const JsonValue& config, std::string_view key, bool expected);

// hidden_size, num_attention_heads and so on, checked against each other.
struct EncoderSizes {
  std::int64_t vocab_size, hidden_size, num_layers, num_heads, head_size, intermediate_size,
      max_positions, type_vocab_size;
};
EncoderSizes encoder_sizes(const JsonValue& config);

}  // namespace inlay::arch

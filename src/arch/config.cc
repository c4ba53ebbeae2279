// Bounded reads of config.json.
#include "arch/config.h"

#include "base/error.h"

namespace inlay::arch {
namespace {

std::string path_of(const JsonValue& config, std::string_view key) {
  return config.where() + std::string(key);
}

}  // namespace

std::int64_t config_int(const JsonValue& config, std::string_view key, std::int64_t low,
                        std::int64_t high, std::int64_t fallback) {
  const auto member = config.find(key);
  const std::int64_t value = member ? member->integer() : fallback;
  if (value >= low && value <= high) return value;
  fail(ErrorCode::kBadInput, path_of(config, key),
       "expected " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
           (member ? std::to_string(value) : std::string("no such member")) +
           ". The config is damaged or of another family.");
}

float config_float(const JsonValue& config, std::string_view key, double low, double high,
                   double fallback) {
  const double value = config.number_or(key, fallback);
  if (value >= low && value <= high) return static_cast<float>(value);
  fail(ErrorCode::kBadInput, path_of(config, key),
       "expected " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
           std::to_string(value) + ".");
}

Activation config_activation(const JsonValue& config, std::string_view key,
                             std::string_view fallback) {
  const std::string name = config.string_or(key, fallback);
  if (const auto activation = activation_from_name(name)) return *activation;
  fail(ErrorCode::kUnsupported, path_of(config, key),
       "expected an activation that Inlay has (gelu, gelu_new, relu, silu, tanh and others), got "
       "\"" +
           printable(name) + "\".");
}

void require_text(const JsonValue& config, std::string_view key, std::string_view expected) {
  const std::string value = config.string_or(key, expected);
  if (value == expected) return;
  fail(ErrorCode::kUnsupported, path_of(config, key),
       "expected \"" + std::string(expected) + "\", got \"" + printable(value) +
           "\". This variant of the family is not built in.");
}

void require_flag(const JsonValue& config, std::string_view key, bool expected) {
  if (config.bool_or(key, expected) == expected) return;
  fail(ErrorCode::kUnsupported, path_of(config, key),
       std::string("expected ") + (expected ? "true, got false" : "false, got true") +
           ". This variant of the family is not built in.");
}

EncoderSizes encoder_sizes(const JsonValue& config) {
  EncoderSizes s{};
  s.vocab_size = config_int(config, "vocab_size", 1, kMaxRows);
  s.hidden_size = config_int(config, "hidden_size", 1, kMaxWidth);
  s.num_layers = config_int(config, "num_hidden_layers", 1, kMaxLayers);
  s.num_heads = config_int(config, "num_attention_heads", 1, kMaxWidth);
  s.intermediate_size = config_int(config, "intermediate_size", 1, kMaxWidth);
  s.max_positions = config_int(config, "max_position_embeddings", 1, kMaxRows);
  s.type_vocab_size = config_int(config, "type_vocab_size", 0, kMaxRows, 2);
  if (s.hidden_size % s.num_heads != 0) {
    fail(ErrorCode::kBadInput, path_of(config, "num_attention_heads"),
         "expected a divisor of hidden_size " + std::to_string(s.hidden_size) + ", got " +
             std::to_string(s.num_heads) + ".");
  }
  s.head_size = s.hidden_size / s.num_heads;
  return s;
}

}  // namespace inlay::arch

// Each formula keeps the reference's order of float operations; powers are rounded once from
// double, within one unit in the last place of torch's.
#include "arch/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "arch/config.h"
#include "base/error.h"

namespace inlay::arch {
namespace {

double bounded(const JsonValue& object, std::string_view key, double low, double high,
               std::optional<double> fallback) {
  const auto member = object.find(key);
  if (!member && fallback) return *fallback;
  const double value = member ? member->number() : std::nan("");
  if (value >= low && value <= high) return value;
  fail(ErrorCode::kBadInput, object.where() + std::string(key),
       "expected a number from " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
           (member ? std::to_string(value) : std::string("no such member")) + ".");
}

double scale_factor(const JsonValue& object) { return bounded(object, "factor", 1e-3, 1e6, {}); }

// Where the parameters stand: `own` has the type and its numbers, `outer` is the object around the
// layer types when rope_parameters is nested (else the same), both absent: the default type.
struct Source {
  std::optional<JsonValue> own, outer;
  bool none = false;  // a layer type that is null: no rope
};

bool is_nested(const JsonValue& object) {
  for (const auto& [key, member] : object.members()) {
    if (member.is_object()) return true;
  }
  return false;
}

Source find_source(const JsonValue& config, std::string_view layer_type, const RopeKeys& keys) {
  Source source;
  const auto scaling = config.find("rope_scaling");
  if (scaling && scaling->is_object() && scaling->size() > 0) {
    if (keys.scaled) source.own = source.outer = scaling;
    if (!is_nested(*scaling)) return source;
  } else {
    source.own = source.outer = config.find("rope_parameters");
  }
  if (!source.own || !is_nested(*source.own)) return source;
  if (layer_type.empty() || !source.outer->contains(layer_type)) {
    fail(ErrorCode::kUnsupported, source.outer->where(),
         "expected " +
             (layer_type.empty() ? std::string("one set of rope parameters")
                                 : "a member \"" + std::string(layer_type) + "\"") +
             ", got parameters for other layer types.");
  }
  source.own = source.outer->find(layer_type);
  source.none = !source.own;
  return source;
}

// base ** (0, 2, 4 ... / dim)
std::vector<float> powers(double base, std::int64_t dim) {
  std::vector<float> out;
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    out.push_back(
        static_cast<float>(std::pow(static_cast<double>(static_cast<float>(base)), exponent)));
  }
  return out;
}

std::vector<float> inverse_powers(double base, std::int64_t dim) {
  std::vector<float> out = powers(base, dim);
  for (float& x : out) x = 1.0F / x;
  return out;
}

void scale_ntk(const JsonValue& own, double theta, std::int64_t dim, std::vector<float>* inv_freq) {
  const double factor = scale_factor(own);
  if (factor <= 1) return;  // the reference scales only tables longer than max_position_embeddings
  const auto columns = static_cast<double>(dim);
  if (!own.find("mixed_b")) {
    *inv_freq = inverse_powers(theta * factor, dim);
    const auto divisor = static_cast<float>(std::pow(factor, 2 / columns));
    for (float& x : *inv_freq) x /= divisor;
    return;
  }
  const double b = bounded(own, "mixed_b", -64, 64, {});
  const float a =
      std::log(static_cast<float>(factor)) / static_cast<float>(std::pow(columns / 2, b));
  for (std::size_t i = 0; i < inv_freq->size(); ++i) {
    const auto power = static_cast<float>(std::pow(static_cast<double>(i + 1), b));
    (*inv_freq)[i] /= std::exp(a * power);
  }
}

// The length that a scaled model was first trained on.
double original_length(const JsonValue& config, const JsonValue& own) {
  if (config.find("original_max_position_embeddings")) {
    return static_cast<double>(config_int(config, "original_max_position_embeddings", 1, kMaxRows));
  }
  if (own.find("original_max_position_embeddings")) {
    return static_cast<double>(config_int(own, "original_max_position_embeddings", 1, kMaxRows));
  }
  return static_cast<double>(config_int(config, "max_position_embeddings", 1, kMaxRows));
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// YaRN (Peng et al. 2023, arXiv:2309.00071): slow columns interpolate, fast ones stay, a ramp
// between.
void scale_yarn(const JsonValue& config, const Source& source, double theta, std::int64_t dim,
                Rope* rope) {
  const JsonValue& own = *source.own;
  const double original = original_length(config, own);
  const double factor =
      own.find("factor")
          ? scale_factor(own)
          : static_cast<double>(config_int(config, "max_position_embeddings", 1, kMaxRows)) /
                original;
  if (own.find("attention_factor")) {
    rope->factor = static_cast<float>(bounded(own, "attention_factor", 0, 1e6, {}));
  } else {
    const double mscale = bounded(own, "mscale", -1e6, 1e6, 0);
    const double all = bounded(own, "mscale_all_dim", -1e6, 1e6, 0);
    const double scale = mscale != 0 && all != 0
                             ? yarn_scale(factor, mscale) / yarn_scale(factor, all)
                             : yarn_scale(factor, 1);
    rope->factor = static_cast<float>(scale);
  }
  const auto or_default = [&](const char* key, double fallback) {
    const double value = bounded(own, key, 0, 1e6, fallback);
    return value == 0 ? fallback : value;
  };
  const auto columns = static_cast<double>(dim);
  const auto turning = [&](double rotations) {
    return columns * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = turning(or_default("beta_fast", 32));
  double high = turning(or_default("beta_slow", 1));
  if (source.outer->bool_or("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, columns - 1);
  if (low == high) high += 0.001;
  std::vector<float>& inv_freq = rope->inv_freq;
  inv_freq = powers(theta, dim);
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    const float ramp =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float stays = 1.0F - std::clamp(ramp, 0.0F, 1.0F);
    const float interpolated = 1.0F / (static_cast<float>(factor) * inv_freq[i]);
    const float extrapolated = 1.0F / inv_freq[i];
    inv_freq[i] = interpolated * (1.0F - stays) + extrapolated * stays;
  }
}

void scale_llama3(const JsonValue& config, const JsonValue& own, std::vector<float>* inv_freq) {
  const auto factor = static_cast<float>(scale_factor(own));
  const double low = bounded(own, "low_freq_factor", 1e-6, 1e6, {});
  const double high = bounded(own, "high_freq_factor", 1e-6, 1e6, {});
  if (high <= low) {
    fail(ErrorCode::kBadInput, own.where() + "high_freq_factor",
         "expected more than low_freq_factor " + std::to_string(low) + ", got " +
             std::to_string(high) + ".");
  }
  const double original = original_length(config, own);
  const auto long_wave = static_cast<float>(original / low);
  const auto short_wave = static_cast<float>(original / high);
  for (float& x : *inv_freq) {
    const float wave = static_cast<float>(2 * std::numbers::pi) / x;
    if (wave > long_wave) {
      x /= factor;
    } else if (wave >= short_wave) {
      const float smooth = (static_cast<float>(original) / wave - static_cast<float>(low)) /
                           static_cast<float>(high - low);
      x = (1.0F - smooth) * x / factor + smooth * x;
    }
  }
}

std::int64_t rotary_columns(const JsonValue& config, const std::optional<JsonValue>& own,
                            std::int64_t head_size, const RopeKeys& keys) {
  if (config.find("rotary_dim")) return config_int(config, "rotary_dim", 1, head_size);
  const bool inner = own && own->find("partial_rotary_factor");
  const double fraction = inner ? bounded(*own, "partial_rotary_factor", 0, 1, {})
                                : bounded(config, keys.fraction, 0, 1, keys.default_fraction);
  return static_cast<std::int64_t>(static_cast<double>(head_size) * fraction);
}

}  // namespace

Rope config_rope(const JsonValue& config, std::int64_t head_size, std::string_view layer_type,
                 const RopeKeys& keys) {
  Rope rope;
  const Source source = find_source(config, layer_type, keys);
  if (source.none) return rope;
  const std::optional<JsonValue>& own = source.own;
  constexpr double kLow = 2;
  constexpr double kHigh = 1e12;
  const double outer_theta = bounded(config, keys.theta, kLow, kHigh, keys.default_theta);
  const double theta = own ? bounded(*own, "rope_theta", kLow, kHigh, outer_theta) : outer_theta;
  const std::int64_t dim = rotary_columns(config, own, head_size, keys);
  rope.inv_freq = inverse_powers(theta, dim);
  if (!own) return rope;
  const std::string type = own->string_or("rope_type", own->string_or("type", "default"));
  if (type == "linear") {
    const auto factor = static_cast<float>(scale_factor(*own));
    for (float& x : rope.inv_freq) x /= factor;
  } else if (type == "ntk") {
    scale_ntk(*own, theta, dim, &rope.inv_freq);
  } else if (type == "yarn") {
    scale_yarn(config, source, theta, dim, &rope);
  } else if (type == "llama3") {
    scale_llama3(config, *own, &rope.inv_freq);
  } else if (type != "default" && type != "dynamic") {
    fail(
        ErrorCode::kUnsupported, own->where() + "rope_type",
        "expected default, linear, dynamic, ntk, yarn or llama3, got \"" + printable(type) + "\".");
  }
  return rope;
}

}  // namespace inlay::arch

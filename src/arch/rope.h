// Rotary frequencies from config.json, in transformers' old spelling (rope_theta, rope_scaling with
// type or rope_type) and its new one (rope_parameters, flat or one object a layer type).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "program/program.h"

namespace inlay::arch {

// What a family says of its config's spelling.
struct RopeKeys {
  std::string_view theta = "rope_theta";  // the old spelling's base, beside rope_scaling
  double default_theta = 10000;
  std::string_view fraction = "partial_rotary_factor";  // share of a head's columns that turn
  double default_fraction = 1;
  bool scaled = true;  // whether the old spelling's rope_scaling is for this layer (Gemma 3: not
                       // for its sliding ones)
};

// inv_freq as transformers' modeling_rope_utils.py computes it (in float, step by step), and the
// factor of cosine and sine. Types: default; linear; dynamic (which is default up to
// max_position_embeddings: the family must limit_tokens to that); ntk (fixed NTK of
// Alibaba-NLP/new-impl, with mixed_b or without); yarn; llama3. `layer_type` picks from a nested
// rope_parameters ("full_attention"); a layer type that is null there has no rope (empty inv_freq).
// An integer `rotary_dim` in the config says the turning columns outright.
// kUnsupported for another type, kBadInput for a value out of range.
Rope config_rope(const JsonValue& config, std::int64_t head_size, std::string_view layer_type = {},
                 const RopeKeys& keys = {});

}  // namespace inlay::arch

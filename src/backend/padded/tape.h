// A Program as a tape of calls of a tensor library over padded texts: registers, each defined once
// by a weight, by something that the host makes for a group, or by a call.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backend/padded/inputs.h"
#include "backend/padded/tensor_api.h"
#include "program/program.h"

namespace inlay::backend::padded {

using Register = std::int32_t;
inline constexpr Register kNone = -1;

// In a call's integers: what is known when a group runs.
inline constexpr std::int64_t kTextsOfGroup = INT64_MIN, kLengthOfGroup = INT64_MIN + 1;

struct Instruction {
  Op op = Op::kAdd;
  std::vector<Register> inputs;  // kNone: null
  std::vector<std::int64_t> integers{};
  double real = 0;
  Register out = kNone;
  std::vector<Register> dead{};  // no later call reads them
};

// Stacked by rows where there are several.
struct TapeWeight {
  std::vector<WeightRef> parts;
  std::vector<std::int64_t> sizes;  // elements of each, for absent ones, which are zero
  Shape shape;
  Role role = Role::kNumbers;
  Register out = kNone;
};

// One that is not needed by a group is null there: adding null, or multiplying by it, is nothing.
enum class Needed { kAlways, kUnseenKeys, kKeyCounts };
struct TapeInput {
  HostInput input;
  Role role = Role::kNumbers;
  // kUnseenKeys: where a text has keys that are not seen, padding included; kKeyCounts: where the
  // batch itself leaves keys unseen.
  Needed needed = Needed::kAlways;
  Register out = kNone;
};

struct Tape {
  std::vector<TapeWeight> weights;
  std::vector<TapeInput> inputs;
  std::vector<Instruction> instructions;
  std::vector<Register> outputs;
  Register registers = 0;
};

// Why a Program has no tape; one reason a line, naming the step and the room.
std::vector<std::string> tape_reasons(const Program& program, const std::string& room);

// The tape of a Program without reasons. Weights are not read; the Program must outlive it.
Tape make_tape(const Program& program);

// Bytes of weights in a dtype, and of the matrices among them with so many bits (0: as the rest).
std::int64_t weight_bytes(const Tape& tape, const std::string& dtype, int bits);

}  // namespace inlay::backend::padded

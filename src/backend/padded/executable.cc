// Groups in, rows out. The tape is played once a group.
#include "backend/padded/executable.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "backend/padded/groups.h"
#include "backend/padded/tape.h"
#include "base/error.h"

namespace inlay::backend::padded {
namespace {

constexpr std::int64_t kLeastRounding = 16;

std::int64_t rounding_step(std::int64_t length) {
  const auto above = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(length)));
  return std::max(kLeastRounding, above / 8);
}

// The shortest text that is rounded to the same length.
std::int64_t least_rounded(std::int64_t length) {
  const std::int64_t step = rounding_step(length);
  return (length - 1) / step * step + 1;
}

// A library's tensor or session, released with the owner.
struct Release {
  const TensorApi* api = nullptr;
  void operator()(TensorHandle* tensor) const { api->release(tensor); }
  void operator()(SessionHandle* session) const { api->close(session); }
};
using Tensor = std::unique_ptr<TensorHandle, Release>;

std::vector<HostInput> host_inputs(const Tape& tape) {
  std::vector<HostInput> inputs;
  for (const TapeInput& input : tape.inputs) inputs.push_back(input.input);
  return inputs;
}

// Whether a call reads a tensor that this group does not need.
bool absent(const Instruction& instruction, const std::vector<const TensorHandle*>& inputs) {
  if (instruction.op != Op::kAdd && instruction.op != Op::kMultiply &&
      instruction.op != Op::kReshape)
    return false;
  return std::find(inputs.begin(), inputs.end(), nullptr) != inputs.end();
}

class PaddedExecutable final : public Executable {
 public:
  PaddedExecutable(const Program& program, const CompileOptions& options,
                   const Precision& precision, RoomSetup setup)
      : program_(program),
        options_(options),
        setup_(std::move(setup)),
        memory_(plan_memory(program, options, precision, setup_.own_memory)),
        tape_(make_tape(program_)),
        maker_(host_inputs(tape_)),
        grouper_(options.max_texts),
        outputs_(outputs_of(program)),
        results_(outputs_.size()) {
    Message message{};
    setup_.session.dtype = precision.dtype.c_str();
    setup_.session.weight_bits = precision.bits;
    session_ = {setup_.api->open(&setup_.session, &message), Release{setup_.api}};
    setup_.session.dtype = nullptr;  // the caller's
    if (!session_) {
      fail(ErrorCode::kUnavailable, "--device " + setup_.room,
           std::string("expected a usable device, got: ") + message.text +
               ". Remedy: use --device cpu.");
    }
    begin();
    registers_.resize(static_cast<std::size_t>(tape_.registers));
    for (const TapeWeight& weight : tape_.weights) upload_weight(weight);
    program_.release_weights();
  }

  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    check_batch(setup_.room.c_str(), batch, options_, outputs_, outs);
    begin();
    const auto cut_of = [this](std::int64_t length) { return cut(length); };
    grouper_.each(batch, cut_of, [&](const Group& group) {
      count_tokens(batch, group, &tokens_);
      play(batch, group);
      for (std::size_t i = 0; i < outs.size(); ++i)
        take_rows(batch, group, outputs_[i], results_[i].data(), outs[i]);
      return true;
    });
  }

  MemoryPlan memory() const override { return memory_; }
  double padded_share() const override { return tokens_.padded_share(); }
  std::vector<std::string> notes() const override;

 private:
  void begin() {
    Message message{};
    if (!setup_.api->begin(session_.get(), &message)) refused("a thread of its own", message);
  }
  [[noreturn]] void refused(const std::string& what, const Message& message) const {
    fail(ErrorCode::kInternal, setup_.room,
         "expected " + what + ", got: " + printable(message.text, sizeof message.text) + ".");
  }
  Cut cut(std::int64_t length) const {
    if (!setup_.round_lengths) return {length, least_of_group(length), group_texts(length)};
    const std::int64_t rounded = rounded_length(length, options_.max_text_tokens);
    return {rounded, least_rounded(length), group_texts(rounded)};  // all rounded to the same
  }
  Tensor upload(const void* data, Role role, const std::vector<std::int64_t>& shape) const;
  void upload_weight(const TapeWeight& weight);
  void play(const PackedBatch& batch, const Group& group);
  void make_inputs(const PackedBatch& batch, const Group& group);
  void execute(const Instruction& instruction, const Group& group);
  Tensor& at(Register r) { return registers_[static_cast<std::size_t>(r)]; }

  Program program_;  // inputs refer to its steps
  const CompileOptions options_;
  RoomSetup setup_;
  const MemoryPlan memory_;
  const Tape tape_;
  InputMaker maker_;
  Grouper grouper_;
  const std::vector<Output> outputs_;
  std::vector<std::vector<float>> results_;  // of a group, by output
  std::unique_ptr<SessionHandle, Release> session_;
  std::vector<Tensor> registers_;  // weights stay, the rest lives while a group runs
  std::int64_t weight_bytes_ = 0;
  TokenCounts tokens_;
};

Tensor PaddedExecutable::upload(const void* data, Role role,
                                const std::vector<std::int64_t>& shape) const {
  Message message{};
  Tensor made(setup_.api->upload(session_.get(), data, role, shape.data(), shape.size(), &message),
              Release{setup_.api});
  if (!made) refused("memory for a tensor of " + shape_text(shape), message);
  return made;
}

void PaddedExecutable::upload_weight(const TapeWeight& weight) {
  std::vector<float> numbers;
  for (std::size_t i = 0; i < weight.parts.size(); ++i) {
    const WeightRef& part = weight.parts[i];
    const std::size_t begin = numbers.size();
    if (!part.present()) {
      numbers.resize(begin + static_cast<std::size_t>(weight.sizes[i]), 0.0F);
      continue;
    }
    numbers.resize(begin + static_cast<std::size_t>(part.tensor.elements()));
    to_float(part.tensor, numbers.data() + begin, part.name);
  }
  at(weight.out) = upload(numbers.data(), weight.role, weight.shape);
  weight_bytes_ += setup_.api->bytes(at(weight.out).get());
}

void PaddedExecutable::make_inputs(const PackedBatch& batch, const Group& group) {
  const bool unseen =
      !batch.key_counts.empty() ||
      std::any_of(group.members.begin(), group.members.end(),
                  [&](std::int32_t member) { return text_length(batch, member) != group.length; });
  const std::span<const HostTensor> made = maker_.make(batch, group);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const TapeInput& input = tape_.inputs[i];
    if ((input.needed == Needed::kUnseenKeys && !unseen) ||
        (input.needed == Needed::kKeyCounts && batch.key_counts.empty())) {
      at(input.out) = nullptr;
      continue;
    }
    at(input.out) = upload(made[i].data, input.role, made[i].shape);
  }
}

void PaddedExecutable::execute(const Instruction& instruction, const Group& group) {
  std::vector<const TensorHandle*> inputs;
  for (const Register input : instruction.inputs)
    inputs.push_back(input == kNone ? nullptr : at(input).get());
  Tensor& out = at(instruction.out);
  if (absent(instruction, inputs)) {
    // What a group does not need changes nothing: the other operand, or none at all.
    const auto there = std::find_if(inputs.begin(), inputs.end(),
                                    [](const TensorHandle* input) { return input != nullptr; });
    out = there == inputs.end() ? nullptr : Tensor(setup_.api->share(*there), Release{setup_.api});
    return;
  }
  std::vector<std::int64_t> integers = instruction.integers;
  for (std::int64_t& integer : integers) {
    if (integer == kTextsOfGroup) integer = group.texts;
    if (integer == kLengthOfGroup) integer = group.length;
  }
  const Call call{instruction.op,  inputs.data(),   inputs.size(),
                  integers.data(), integers.size(), instruction.real};
  Message message{};
  out = Tensor(setup_.api->call(session_.get(), &call, &message), Release{setup_.api});
  if (!out) refused("operation " + std::to_string(static_cast<int>(instruction.op)), message);
}

void PaddedExecutable::play(const PackedBatch& batch, const Group& group) {
  make_inputs(batch, group);
  for (const Instruction& instruction : tape_.instructions) {
    execute(instruction, group);
    for (const Register dead : instruction.dead) at(dead) = nullptr;
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const std::int64_t rows = group.texts * (outputs_[i].rows == Rows::kTokens ? group.length : 1);
    results_[i].resize(static_cast<std::size_t>(rows * outputs_[i].width));
    Message message{};
    if (!setup_.api->download(session_.get(), at(tape_.outputs[i]).get(), results_[i].data(),
                              results_[i].size(), &message))
      refused("a result", message);
  }
  for (const Register output : tape_.outputs) at(output) = nullptr;
  for (const TapeInput& input : tape_.inputs) at(input.out) = nullptr;
}

std::vector<std::string> PaddedExecutable::notes() const {
  std::vector<std::string> notes = setup_.notes;
  notes.push_back("weights: " + std::to_string(weight_bytes_) + " bytes");
  const std::string said = setup_.api->notes(session_.get());
  for (std::size_t begin = 0; begin < said.size();) {
    const std::size_t end = std::min(said.find('\n', begin), said.size());
    if (end > begin) notes.push_back(said.substr(begin, end - begin));
    begin = end + 1;
  }
  return notes;
}

}  // namespace

std::int64_t rounded_length(std::int64_t length, std::int64_t most) {
  const std::int64_t step = rounding_step(length);
  return std::min((length + step - 1) / step * step, most);
}

std::string accelerator_dtype(const Program& program) {
  for (const Step& step : program.steps()) {
    const auto* norm = std::get_if<NormStep>(&step.args);
    if ((norm != nullptr && norm->kind == NormKind::kRms) ||
        std::holds_alternative<GatedLinearStep>(step.args))
      return "bf16";
  }
  return "fp16";
}

Precision precision_of(const std::string& dtype, const std::string& values) {
  if (dtype == "int8") return {values, 8};
  if (dtype == "int4") return {values, 4};
  return {dtype, 0};
}

MemoryPlan plan_memory(const Program& program, const CompileOptions& options,
                       const Precision& precision, bool own_memory) {
  const Tape tape = make_tape(program);
  const std::int64_t each = precision.dtype == "fp32" ? 4 : 2;
  const std::int64_t packed = weight_bytes(tape, precision.dtype, precision.bits);
  // Of a group: the widest values with their inputs beside them, and what attention makes of them
  // where the library does not fuse it.
  const GroupFloats group = group_floats(program, options.max_text_tokens);
  std::int64_t largest = 0;  // weight, which is fp32 while it is uploaded
  for (const TapeWeight& weight : tape.weights) {
    std::int64_t count = 1;
    for (const std::int64_t dimension : weight.shape) count *= dimension;
    largest = std::max(largest, count * std::int64_t{sizeof(float)});
  }
  const std::int64_t values = (6 * group.rows + 3 * group.scores) * each;
  MemoryPlan memory;
  if (own_memory) {
    memory.device = packed + values;
    memory.arena = 2 * largest;
  } else {
    memory.packed = packed;
    memory.arena = std::max(values, 2 * largest);
  }
  return memory;
}

std::unique_ptr<Executable> make_executable(const Program& program, const CompileOptions& options,
                                            const Precision& precision, RoomSetup setup) {
  return std::make_unique<PaddedExecutable>(program, options, precision, std::move(setup));
}

}  // namespace inlay::backend::padded

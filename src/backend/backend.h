// The four doors of every room that can run a Program: probe, supports, compile, run. A room knows
// steps, weights and packed batches; it knows no text, no model name and no task.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "batch/packed_batch.h"
#include "program/program.h"

namespace inlay::backend {

enum class State { kOk, kAbsent, kDisabled, kRefused };

// What a room finds on this machine.
struct Probe {
  State state = State::kOk;
  std::string reason, remedy;  // when not kOk
  std::string isa;             // "avx512", "avx2", "generic"; empty where it means nothing
  std::string version;
  std::vector<std::string> dtypes;  // "fp32"
  std::vector<std::string> notes;   // for --verbose: every candidate passed over, with the reason
};

// Where a room may keep packed weights from run to run, so that the next start has nothing to pack.
struct PackedCache {
  std::filesystem::path folder;  // made when it is missing; empty: nothing is kept
  // What the weights were read from, by the files' sizes and times: where the texts are equal, so
  // are the weights. Empty: nobody knows, and the weights are read to tell.
  std::string identity{};
  std::int64_t max_bytes = 0;  // of the folder's files; those not used for longest go first
};

// What a caller says of a library that a room opens, and of the provider in it.
struct RoomOptions {
  std::string library;          // a file, or a folder with one in it; empty: the room looks for one
  std::string provider;         // "KEY=VALUE,KEY=VALUE"
  std::filesystem::path cache;  // where a provider may keep compiled models; empty: nowhere
};

struct CompileOptions {
  std::string dtype = "fp32";
  std::string unit;                 // the part of a room that --device ROOM:UNIT names; or empty
  int threads = 1;                  // worker threads that run() may use, the caller's own included
  std::int64_t max_tokens = 16384;  // tokens a run() at most
  std::int64_t max_texts = 16384;   // texts a run() at most
  std::int64_t max_text_tokens = 512;  // tokens of one text at most
  PackedCache packed_cache{};          // a room without one ignores it
  RoomOptions room{};                  // likewise
};

// What compile() would take, in bytes, known from the Program alone.
struct MemoryPlan {
  std::int64_t packed = 0;  // weights as this room stores them
  std::int64_t arena = 0;   // everything else, at the options' limits
  std::int64_t device = 0;  // not of the process but of a device that has memory of its own
};

// A Program ready to run. run() allocates nothing and may be called by lanes() threads at a time.
class Executable {
 public:
  virtual ~Executable() = default;
  // A device computes one batch while another is made ready for it; several devices, several.
  virtual int lanes() const { return 1; }
  // Whether run() works with the host's threads, which then have less time to encode texts.
  virtual bool computes_on_host() const { return true; }
  // Writes the Program's outputs, one span each: [texts, width] in batch order, or [tokens, width]
  // in row order for one of kTokens rows, [spans, width] for kSpans. A batch over the compiled
  // limits throws kInternal. Bit-identical for a text whatever its neighbours, the place in the
  // batch and the number of threads.
  virtual void run(const PackedBatch& batch, std::span<const std::span<float>> outs) = 0;
  void run(const PackedBatch& batch, std::span<float> out) { run(batch, {&out, 1}); }
  virtual MemoryPlan memory() const = 0;
  // The instruction set that run() uses, which may depend on the dtype; empty where it means
  // nothing.
  virtual std::string_view isa() const { return {}; }
  // How the weights came, for reports: "mapped" from the cache, or "packed", and why where that is
  // worth a word. Empty where nothing is kept.
  virtual std::string packed_weights() const { return {}; }
  virtual double padded_share() const { return 0; }  // padding tokens over computed tokens, so far
  // Of a device that takes a part of the graph: into how many pieces it is cut there, and how many
  // operations stay on the CPU. By the last graph made, where there are several.
  virtual std::int64_t partitions() const { return 1; }
  virtual std::int64_t fallback_ops() const { return 0; }
  virtual std::vector<std::string> notes() const { return {}; }  // Stats::device_notes
  // Of a device that compiles each size of group (Backend::compiles_sizes): whether all is compiled
  // that run() of texts with these offsets needs. Where one thread calls both, or none runs.
  virtual bool prepared(std::span<const std::int32_t> offsets) {
    static_cast<void>(offsets);
    return true;
  }
  // Compiles what run() of such texts needs, as run() itself would. Beside run() in another thread.
  virtual void prepare(std::span<const std::int32_t> offsets) { static_cast<void>(offsets); }
  // Who computed how many texts, where it was not one device alone.
  virtual std::vector<std::pair<std::string, std::int64_t>> served() const { return {}; }
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu", as --device spells it
  virtual Probe probe() const = 0;            // thread-safe, cheap after the first call
  // Likewise of one part of it ("1" of cuda:1); nothing where the room has no such parts.
  virtual std::optional<Probe> probe_unit(std::string_view) const { return std::nullopt; }
  // Either, with what the caller says of the room's library. A room that opens none ignores it.
  virtual std::optional<Probe> probe_with(std::string_view unit, const RoomOptions&) const {
    return unit.empty() ? probe() : probe_unit(unit);
  }
  // The parts that status lists one by one, the one that stands for the room first. None: the room
  // is one row.
  virtual std::vector<std::string> units() const { return {}; }
  // Whether `auto` never takes it: an oracle, or an engine that is slower than Inlay's own.
  virtual bool only_by_name() const { return false; }
  // Whether run() on this part of the room, or on the room itself, must compile each size of group
  // first, which takes seconds.
  virtual bool compiles_sizes(std::string_view unit) const {
    static_cast<void>(unit);
    return false;
  }
  // What --dtype auto means for this Program on a part of the room, or on the room itself.
  virtual std::string default_dtype(const Program&, std::string_view unit) const {
    static_cast<void>(unit);
    return "fp32";
  }
  // Tokens of a batch where nobody asks for a number.
  virtual std::int64_t batch_tokens() const { return 16384; }
  // Why this Program cannot run here; empty: it can. One reason a line: "step layer.0.attention:
  // ...".
  virtual std::vector<std::string> supports(const Program& program,
                                            const CompileOptions& options) const = 0;
  virtual MemoryPlan plan(const Program& program, const CompileOptions& options) const = 0;
  // Whether compile() has had the weights of this Program and options.packed_cache.identity before:
  // checks of their values need not be made again.
  virtual bool knows_weights(const Program& program, const CompileOptions& options) const {
    static_cast<void>(program);
    static_cast<void>(options);
    return false;
  }
  // Packs the weights and sizes the arena. Copies what it needs: the Program may release its
  // weights afterwards.
  virtual std::unique_ptr<Executable> compile(const Program& program,
                                              const CompileOptions& options) const = 0;
};

// The rooms of this build in order of preference; ref is last and never chosen by `auto`. Static
// storage.
std::span<const Backend* const> all_backends();

}  // namespace inlay::backend

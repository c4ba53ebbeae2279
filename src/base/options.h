// The option table: every option of every frontend is declared once, here. Command-line flags,
// environment variables, C keys, help and docs/options.md derive from it. What an option does is
// the business of whoever reads it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay {

// Commands of the command line, as bits.
enum Command : std::uint32_t {
  kCommandEmbed = 1U << 0U,
  kCommandTokens = 1U << 1U,
  kCommandStatus = 1U << 2U,
  kCommandModelList = 1U << 3U,
  kCommandModelShow = 1U << 4U,
  kCommandModelCalibrate = 1U << 5U,
  kCommandSparse = 1U << 6U,
  kCommandRerank = 1U << 7U,
  kCommandModelGet = 1U << 8U,
  kCommandLate = 1U << 9U,
  kCommandModelConvert = 1U << 10U,
  kCommandVerify = 1U << 11U,
  kCommandBench = 1U << 12U,
};

struct CommandInfo {
  Command bit;
  const char* name;       // "model list"
  const char* arguments;  // "[TEXT ...]"
  const char* help;
};
std::span<const CommandInfo> command_table();

enum class OptionKind {
  kFlag,          // true or false
  kText,          // any text but the empty one
  kInteger,       // minimum .. maximum
  kSize,          // bytes: 300MB, 2GiB
  kChoice,        // one word of `choices`
  kFlagOrChoice,  // alone, or with one word of `choices`, which text() then gives
};

struct OptionSpec {
  const char* name;     // "batch-tokens": --batch-tokens, INLAY_BATCH_TOKENS, C key "batch_tokens"
  char letter;          // 'm' for -m, or 0
  const char* metavar;  // empty for a flag
  OptionKind kind;
  const char* choices;   // "cpu|cuda[:N,...]|mlx[:cpu|:gpu]"; empty unless a choice
  const char* fallback;  // what holds when it is not given, for people; empty for a flag
  const char* help;
  std::uint32_t commands;         // bits of Command
  bool environment;               // read from INLAY_<NAME>
  bool engine_key;                // a key of inlay_engine_create()
  std::int64_t minimum, maximum;  // kInteger; kSize has a minimum only
};
// A name stands twice where it means one thing to some commands and another to others (--json).
std::span<const OptionSpec> option_table();
// The first of that name; nullptr when there is none; '_' reads as '-'.
const OptionSpec* find_option(std::string_view name);

std::string flag_name(const OptionSpec& option);         // "--batch-tokens"
std::string environment_name(const OptionSpec& option);  // "INLAY_BATCH_TOKENS"
std::string key_name(const OptionSpec& option);          // "batch_tokens"

// Bytes of one input line or record when --max-line is not given.
constexpr std::int64_t kDefaultMaxLine = std::int64_t{16} << 20U;
// Bytes of packed weights on disk when --packed-cache is not given.
constexpr std::int64_t kDefaultPackedCache = std::int64_t{4} << 30U;

// Reads one value. Both throw kUsage "[spelled] expected ..., got ...".
std::int64_t parse_integer(std::string_view text, std::int64_t minimum, std::int64_t maximum,
                           std::string_view spelled);
// Decimal units (kB, MB, GB, TB) are powers of 1000; binary ones (KiB or K, ...) powers of 1024;
// none means bytes.
std::int64_t parse_size(std::string_view text, std::string_view spelled, std::int64_t minimum = 1);
// Whether `value` is one of the words of a `choices` text; "[:a|:b]" is an optional suffix and N a
// number.
bool matches_choice(std::string_view choices, std::string_view value);

// The options that were given, checked. Not thread-safe to write.
class OptionValues {
 public:
  // Checks `value` against the kind. `spelled` is how the user wrote the option, for messages.
  // Throws kUsage.
  void set(const OptionSpec& option, std::string_view value, std::string_view spelled);
  // Takes from the environment what was not set; an empty variable counts as absent. Only options
  // for which `wanted` says yes.
  void fill_from_environment(bool (*wanted)(const OptionSpec&, std::uint32_t),
                             std::uint32_t argument);

  bool has(std::string_view name) const;
  bool flag(std::string_view name) const;  // false when absent
  std::string text(std::string_view name, std::string_view fallback = {}) const;
  std::int64_t integer(std::string_view name, std::int64_t fallback) const;  // kInteger and kSize
  // Every option that was set and is a key of engines, with its text.
  std::vector<std::pair<std::string, std::string>> engine_keys() const;

  // What the options mean to an engine. Names that only an engine knows (pooling, rooms) are left
  // to it.
  EngineOptions engine_options() const;
  EmbedOptions embed_options() const;
  std::optional<ChunkOptions> chunk_options() const;  // unset: no --chunk
  SparseOptions sparse_options() const;
  RerankOptions rerank_options() const;
  JointOptions joint_options() const;  // what --with asks for beside dense vectors

 private:
  struct Value {
    std::string text;
    std::int64_t number = 0;
  };
  const Value* find(std::string_view name) const;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace inlay

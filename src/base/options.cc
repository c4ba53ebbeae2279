// The option table and the checks of its kinds. Texts made from the table are in options_text.cc.
#include "base/options.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/number.h"

namespace inlay {
namespace {

constexpr std::uint32_t kDense = kCommandEmbed | kCommandModelCalibrate;
constexpr std::uint32_t kComputes = kDense | kCommandSparse | kCommandLate | kCommandRerank;
constexpr std::uint32_t kReads = kComputes | kCommandTokens;
constexpr std::uint32_t kMeasures = kCommandVerify | kCommandBench;
constexpr std::uint32_t kLoads = kReads | kMeasures;
constexpr std::uint32_t kPrints = kLoads | kCommandStatus | kCommandModelList | kCommandModelShow |
                                  kCommandModelGet | kCommandModelConvert;

constexpr std::array<CommandInfo, 13> kCommands{{
    {kCommandEmbed, "embed", "[TEXT ...]", "texts to dense vectors"},
    {kCommandSparse, "sparse", "[TEXT ...]", "texts to sparse vectors"},
    {kCommandLate, "late", "[TEXT ...]", "texts to a vector a token, for late interaction"},
    {kCommandRerank, "rerank", "[TEXT ...]",
     "texts by their relevance to --query, best first, or scores of --pairs"},
    {kCommandTokens, "tokens", "[TEXT ...]",
     "texts to token ids, or back with --decode; runs no model, so device options have no effect"},
    {kCommandStatus, "status", "", "what this machine offers, and why not more"},
    {kCommandBench, "bench", "",
     "the speed of every device that is present: dense, sparse and reranking, cold and warm"},
    {kCommandVerify, "verify", "",
     "results of a device and a precision against plain loops in fp32; exit code 1: they disagree"},
    {kCommandModelList, "model list", "",
     "models known by name: size, limits, licence, what of them runs, which are on this machine"},
    {kCommandModelGet, "model get", "MODEL",
     "bring a model of the Hugging Face Hub to this machine, or up to date, and print its folder"},
    {kCommandModelShow, "model show", "MODEL", "what a model folder says, as JSON"},
    {kCommandModelConvert, "model convert", "MODEL",
     "write a model's folder once more at the path of -o, its weights in the --dtype bf16 or int8"},
    {kCommandModelCalibrate, "model calibrate", "[MODEL]",
     "ranges of a model's vectors over texts, for int8 and uint8 output"},
}};

constexpr OptionKind kFlag = OptionKind::kFlag;
constexpr OptionKind kText = OptionKind::kText;
constexpr OptionKind kInteger = OptionKind::kInteger;
constexpr OptionKind kSize = OptionKind::kSize;
constexpr OptionKind kChoice = OptionKind::kChoice;
constexpr OptionKind kFlagOrChoice = OptionKind::kFlagOrChoice;
constexpr std::int64_t kIntMaximum = 2147483647;

// clang-format off
// name, letter, metavar, kind, choices, default, help, commands, environment, engine key, minimum, maximum
constexpr std::array<OptionSpec, 68> kOptions{{
    {"input", 'i', "FILE", kText, "", "standard input", "read texts from FILE; - is standard input", kReads | kCommandBench, false, false, 0, 0},
    {"input-format", 0, "FORMAT", kChoice, "txt|jsonl|csv", "by the extension of -i, else txt", "txt: one text a line; jsonl: a string or an object a line; csv: with a header row", kReads | kCommandBench, false, false, 0, 0},
    {"field", 0, "NAME", kText, "", "text (ids with --decode)", "the jsonl member or csv column that holds the text", kReads | kMeasures, false, false, 0, 0},
    {"max-line", 0, "SIZE", kSize, "", "16MiB", "longest line or csv record that is accepted", kReads | kMeasures, true, false, 1, 0},
    {"output", 'o', "FILE", kText, "", "standard output", "write results to FILE, complete or not at all; model convert: a folder", kPrints, false, false, 0, 0},
    {"format", 0, "FORMAT", kChoice, "jsonl|csv|npy", "by the extension of -o, else jsonl", "how results are written; csv and npy are for embed, npy without --chunk", (kComputes & ~kCommandModelCalibrate) | kCommandTokens, false, false, 0, 0},
    {"model", 'm', "MODEL", kText, "", "minilm; sparse: prithivida/Splade_PP_en_v1, else splade-tiny; late: answerdotai/answerai-colbert-small-v1; rerank: BAAI/bge-reranker-base; embed --with: BAAI/bge-m3", "a folder in Hugging Face form, org/name[@revision], or a built-in short name", kPrints & ~kCommandModelList, true, true, 0, 0},
    {"as", 0, "ROLE", kChoice, "query|document", "neither", "add the model's prompt for this role; of a model with routes or adapters, take this one; of a late-interaction model, mark and expand texts so (neither: document)", kReads, false, false, 0, 0},
    {"prompt", 0, "NAME", kText, "", "the model's default prompt, if it has one", "add the model's prompt of this name; none adds nothing", kReads, false, false, 0, 0},
    {"adapter", 0, "NAME", kText, "", "that of --as, if the model has one for it, else none", "load the model's adapter of this name (jina-embeddings-v3: retrieval.query, separation, ...), and add its prompt", kReads, false, true, 0, 0},
    {"device", 0, "DEVICE", kChoice, "auto|ref|cpu|cuda[:N,...]|onnxruntime[:cpu|:cuda|:coreml]|mlx[:cpu|:gpu]|torch[:cpu|:cuda|:mps]", "auto", "where the model runs; a device that cannot be had is an error, never replaced", kLoads, true, true, 0, 0},
    {"dtype", 0, "DTYPE", kChoice, "auto|fp32|bf16|fp16|int8|int4|fp8", "auto", "precision of the computation (int8 and int4 on mlx: of the matrices alone); model convert: of the weights, bf16 or int8", kLoads | kCommandModelConvert, true, true, 0, 0},
    {"disable", 0, "LIST", kText, "", "nothing", "devices that must not be used: a,b:c", kLoads | kCommandStatus, true, true, 0, 0},
    {"onnxruntime-library", 0, "FILE", kText, "", "one beside Inlay, else of the active Python environment, else the system's", "--device onnxruntime: the libonnxruntime to open, or a folder that holds it", kComputes | kMeasures, true, true, 0, 0},
    {"provider-options", 0, "LIST", kText, "", "Inlay's own", "--device onnxruntime: KEY=VALUE,... for its provider: of coreml ModelFormat, MLComputeUnits, ...; of cuda those of ONNX Runtime", kComputes | kMeasures, true, true, 0, 0},
    {"onnx-file", 0, "FILE", kText, "", "none: a graph that Inlay writes", "--device onnxruntime: run this ONNX file of the model's folder as it is, whatever its operators (model_quantized.onnx, onnx/model_O2.onnx, ...); auto takes the first of those that weights are read from", kComputes | kMeasures, true, true, 0, 0},
    {"meanwhile", 0, "DEVICE", kChoice, "cpu|nothing", "nothing; cpu where auto takes a device that compiles each size of batch", "who computes while the device is compiled in the background; --report says who computed how much", kComputes, true, true, 0, 0},
    {"threads", 0, "N", kInteger, "", "the cores this process may use", "threads that compute", kLoads, true, true, 1, 4096},
    {"batch-tokens", 0, "N", kInteger, "", "16384, on cuda 33792; less where the memory limit asks", "tokens computed together", kLoads, true, true, 1, kIntMaximum},
    {"max-length", 0, "N", kInteger, "", "the model's own limit (tokens: no cut)", "tokens of a text that are used, special tokens included", kLoads, true, true, 1, kIntMaximum},
    {"truncate", 0, "HOW", kChoice, "right|left|error", "right", "which end of a text that is too long gives way", kReads, true, true, 0, 0},
    {"memory-limit", 0, "SIZE", kSize, "", "none", "resident memory of the process: 300MB, 2GiB; refused before loading when it cannot be kept", kLoads, true, true, 1, 0},
    {"packed-cache", 0, "SIZE", kSize, "", "4GiB", "disk that packed weights may take in Inlay's own cache folder, where they make the next start quick; the least recently used go first; 0 keeps none", kComputes | kMeasures, true, true, 0, 0},
    {"allow-nonfinite", 0, "", kFlag, "", "", "load weights that hold NaN or infinity", kComputes | kMeasures, true, true, 0, 0},
    {"dimensions", 0, "N", kInteger, "", "all", "keep the first N dimensions (Matryoshka), then normalise", kDense, false, true, 1, kIntMaximum},
    {"normalize", 0, "", kFlag, "", "", "scale vectors to length 1 where the model does not", kDense, false, true, 0, 0},
    {"no-normalize", 0, "", kFlag, "", "", "leave vectors at the length the model gives them", kDense, false, true, 0, 0},
    {"pooling", 0, "HOW", kText, "", "as the model says", "cls, mean, max, mean_sqrt_len, weightedmean or last; several joined by +", kDense, false, true, 0, 0},
    {"output-dtype", 0, "DTYPE", kChoice, "float32|float16|int8|uint8|binary|ubinary", "float32", "how vectors are stored; int8 and uint8 need --calibration", kCommandEmbed, false, false, 0, 0},
    {"calibration", 0, "FILE", kText, "", "none", "ranges made by inlay model calibrate", kCommandEmbed, false, false, 0, 0},
    {"with", 0, "LIST", kText, "", "none", "write other outputs of the same pass beside dense vectors, of models that have them (bge-m3): sparse, late, or sparse,late", kCommandEmbed, false, false, 0, 0},
    {"chunk", 0, "", kFlag, "", "", "late chunking: a vector for each chunk of a text that goes through the model as a whole, or in overlapping windows where it is longer than --max-length; for models that pool by mean", kCommandEmbed, false, true, 0, 0},
    {"chunk-by", 0, "HOW", kChoice, "tokens|sentences|spans", "the \"spans\" of a jsonl line that has them, else tokens", "--chunk: --chunk-tokens each; whole sentences, as many as fit that; or [[begin,end],...] in characters from every jsonl line", kCommandEmbed, false, true, 0, 0},
    {"chunk-tokens", 0, "N", kInteger, "", "256, and at most half of --max-length", "--chunk: tokens of a chunk at most, special tokens and prompt aside", kCommandEmbed, false, true, 1, kIntMaximum},
    {"chunk-overlap", 0, "N", kInteger, "", "0", "--chunk: tokens that a chunk shares with the one before it, at most", kCommandEmbed, false, true, 0, kIntMaximum},
    {"chunk-sentences", 0, "N", kInteger, "", "as many as fit", "--chunk-by sentences: sentences of a chunk at most", kCommandEmbed, false, true, 1, kIntMaximum},
    {"window-overlap", 0, "N", kInteger, "", "512, and at most a quarter of --max-length", "--chunk: tokens of context that a window repeats before its first new chunk", kCommandEmbed, false, true, 0, kIntMaximum},
    {"top-k", 0, "N", kInteger, "", "all", "keep the largest N weights of a text", kCommandSparse, false, true, 1, kIntMaximum},
    {"min-weight", 0, "W", kText, "", "0", "drop weights below W", kCommandSparse, false, true, 0, 0},
    {"words", 0, "", kFlag, "", "", "print the tokens or words that the ids stand for, too", kCommandSparse, false, true, 0, 0},
    {"assume-splade", 0, "", kFlag, "", "", "take a plain masked language model for a SPLADE model", kCommandSparse, false, true, 0, 0},
    {"bm25-k", 0, "K", kText, "", "1.2", "BM25, miniCOIL: how late more of a word stops to count", kCommandSparse, false, true, 0, 0},
    {"bm25-b", 0, "B", kText, "", "0.75", "BM25, miniCOIL: how much a long document is held against its words, 0 to 1", kCommandSparse, false, true, 0, 0},
    {"bm25-avg-len", 0, "N", kText, "", "256; miniCOIL: 150", "BM25, miniCOIL: words of an average document", kCommandSparse, false, true, 0, 0},
    {"language", 0, "NAME", kText, "", "english", "BM25: whose stems and stop words", kCommandSparse, false, true, 0, 0},
    {"token-max-length", 0, "N", kInteger, "", "40", "BM25: drop words of more characters", kCommandSparse, false, true, 1, kIntMaximum},
    {"disable-stemmer", 0, "", kFlag, "", "", "BM25: words as they are, stop words among them", kCommandSparse, false, true, 0, 0},
    {"bm42-alpha", 0, "A", kText, "", "0.5", "BM42: the power to which a word's weight is raised", kCommandSparse, false, true, 0, 0},
    {"query", 0, "TEXT", kText, "", "none", "what texts are scored against", kCommandRerank, false, false, 0, 0},
    {"pairs", 0, "", kFlag, "", "", "read pairs, [query, text] or {\"query\",\"text\"} a jsonl line, and score them in input order", kCommandRerank, false, false, 0, 0},
    {"top", 0, "N", kInteger, "", "all", "print the best N", kCommandRerank, false, false, 1, kIntMaximum},
    {"raw-scores", 0, "", kFlag, "", "", "logits, without the model's activation", kCommandRerank, false, true, 0, 0},
    {"instruction", 0, "TEXT", kText, "", "the model's own", "what relevance means, for rerankers that take it (Qwen3-Reranker)", kCommandRerank, false, false, 0, 0},
    {"decode", 0, "", kFlag, "", "", "read ids (JSON arrays, or numbers with spaces between) and print text", kCommandTokens, false, false, 0, 0},
    {"json", 0, "", kFlag, "", "", "print JSON", kCommandStatus | kCommandVerify | kCommandModelList | kCommandModelGet | kCommandModelConvert, false, false, 0, 0},
    {"json", 0, "FILE", kText, "", "none", "write what was measured, and the machine, to FILE as JSON", kCommandBench, false, false, 0, 0},
    {"html", 0, "FILE", kText, "", "none", "write it as one page with plots, which needs nothing else", kCommandStatus | kCommandBench, false, false, 0, 0},
    {"compare", 0, "FILE", kText, "", "none", "hold this run against one that --json saved", kCommandBench, false, false, 0, 0},
    {"grid", 0, "", kFlag, "", "", "every batch size (1, 8, 32, 100, 256) with 1, 2, 4, ... threads, too; the best feeds the recommendation of inlay status", kCommandBench, false, false, 0, 0},
    {"large", 0, "", kFlag, "", "", "10,000 texts of each task, too", kCommandBench, false, false, 0, 0},
    {"seconds", 0, "N", kInteger, "", "60", "time for all measuring, and five times as much for --grid; what it does not suffice for says so", kCommandBench, false, false, 5, 86400},
    {"data", 0, "FILE", kText, "", "texts of Inlay's own", "texts to compare, by extension txt, jsonl or csv; for rerankers the first is the query", kCommandVerify, false, false, 0, 0},
    {"measure", 0, "[all]", kFlagOrChoice, "all", "show what was measured before", "measure the devices that auto chooses from, in 10 s, and keep the verdict; all: every device, in 30 s", kCommandStatus, false, false, 0, 0},
    {"verbose", 0, "", kFlag, "", "", "say more", kCommandStatus, false, false, 0, 0},
    {"program", 0, "", kFlag, "", "", "print the model's Program, step by step, in place of the JSON", kCommandModelShow, false, false, 0, 0},
    {"report", 0, "FILE", kText, "", "none", "write what ran, how fast and with how much memory to FILE, as JSON", kReads, false, false, 0, 0},
    {"quiet", 'q', "", kFlag, "", "", "no progress and no summary on standard error", kPrints, true, false, 0, 0},
    {"help", 'h', "", kFlag, "", "", "print this and stop", kPrints, false, false, 0, 0},
}};
// clang-format on

[[noreturn]] void refuse(std::string_view spelled, const std::string& expected,
                         std::string_view got) {
  fail(ErrorCode::kUsage, spelled, "expected " + expected + ", got \"" + printable(got) + "\".");
}

bool same_word(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool is_number(std::string_view text) {
  if (text.empty() || text.size() > 9) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

bool is_numbers(std::string_view list) {
  for (std::size_t comma = list.find(','); comma != std::string_view::npos;
       comma = list.find(',')) {
    if (!is_number(list.substr(0, comma))) return false;
    list.remove_prefix(comma + 1);
  }
  return is_number(list);
}

// One alternative: "name", "name[:a|:b]" or "name[:N,...]".
bool matches_one(std::string_view pattern, std::string_view value) {
  const std::size_t open = pattern.find('[');
  const std::string_view name = pattern.substr(0, open);
  if (value.substr(0, name.size()) != name) return false;
  value.remove_prefix(name.size());
  if (value.empty()) return true;
  if (open == std::string_view::npos) return false;
  std::string_view suffixes = pattern.substr(open + 1, pattern.size() - open - 2);
  while (!suffixes.empty()) {
    const std::size_t bar = suffixes.find('|');
    const std::string_view suffix = suffixes.substr(0, bar);
    if (suffix == ":N,..." ? value.front() == ':' && is_numbers(value.substr(1)) : value == suffix)
      return true;
    suffixes.remove_prefix(bar == std::string_view::npos ? suffixes.size() : bar + 1);
  }
  return false;
}

bool parse_flag(std::string_view value, std::string_view spelled) {
  for (const char* yes : {"1", "true", "yes", "on"}) {
    if (same_word(value, yes)) return true;
  }
  for (const char* no : {"0", "false", "no", "off"}) {
    if (same_word(value, no)) return false;
  }
  refuse(spelled, "true or false", value);
}

}  // namespace

std::span<const CommandInfo> command_table() { return kCommands; }
std::span<const OptionSpec> option_table() { return kOptions; }

const OptionSpec* find_option(std::string_view name) {
  std::string dashed(name);
  for (char& c : dashed) c = c == '_' ? '-' : c;
  for (const OptionSpec& option : kOptions) {
    if (dashed == option.name) return &option;
  }
  return nullptr;
}

std::string flag_name(const OptionSpec& option) { return std::string("--") + option.name; }

std::string key_name(const OptionSpec& option) {
  std::string key(option.name);
  for (char& c : key) c = c == '-' ? '_' : c;
  return key;
}

std::string environment_name(const OptionSpec& option) {
  std::string name = "INLAY_" + key_name(option);
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

std::int64_t parse_integer(std::string_view text, std::int64_t minimum, std::int64_t maximum,
                           std::string_view spelled) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < minimum ||
      value > maximum) {
    refuse(spelled, "an integer from " + std::to_string(minimum) + " to " + std::to_string(maximum),
           text);
  }
  return value;
}

std::int64_t parse_size(std::string_view text, std::string_view spelled, std::int64_t minimum) {
  struct Unit {
    const char* name;
    double bytes;
  };
  static constexpr Unit kUnits[] = {
      {"", 1},       {"b", 1},        {"k", 0x1p10},   {"kib", 0x1p10}, {"kb", 1e3},
      {"m", 0x1p20}, {"mib", 0x1p20}, {"mb", 1e6},     {"g", 0x1p30},   {"gib", 0x1p30},
      {"gb", 1e9},   {"t", 0x1p40},   {"tib", 0x1p40}, {"tb", 1e12},
  };
  const std::string expected =
      minimum > 0 ? "a size above 0 such as 300MB or 2GiB" : "0 or a size such as 300MB or 2GiB";
  double number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = parse_double(text.data(), last, &number, true);
  if (error != std::errc() || !std::isfinite(number)) refuse(spelled, expected, text);
  std::string_view unit(end, static_cast<std::size_t>(last - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (!same_word(unit, known.name)) continue;
    const double bytes = std::floor(number * known.bytes);
    if (bytes < static_cast<double>(minimum) || bytes >= 0x1p63) refuse(spelled, expected, text);
    return static_cast<std::int64_t>(bytes);
  }
  refuse(spelled, expected, text);
}

bool matches_choice(std::string_view choices, std::string_view value) {
  std::size_t start = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= choices.size(); ++i) {
    const char c = i < choices.size() ? choices[i] : '|';
    if (c == '[') ++depth;
    if (c == ']') --depth;
    if (c != '|' || depth != 0) continue;
    if (matches_one(choices.substr(start, i - start), value)) return true;
    start = i + 1;
  }
  return false;
}

void OptionValues::set(const OptionSpec& option, std::string_view value, std::string_view spelled) {
  Value out{std::string(value), 0};
  switch (option.kind) {
    case OptionKind::kFlag:
      out.number = parse_flag(value, spelled) ? 1 : 0;
      break;
    case OptionKind::kText:
      if (value.empty()) refuse(spelled, option.metavar, value);
      break;
    case OptionKind::kInteger:
      out.number = parse_integer(value, option.minimum, option.maximum, spelled);
      break;
    case OptionKind::kSize:
      out.number = parse_size(value, spelled, option.minimum);
      break;
    case OptionKind::kFlagOrChoice:
      out.number = 1;
      if (!value.empty() && !matches_choice(option.choices, value))
        refuse(spelled, option.choices, value);
      break;
    case OptionKind::kChoice:
      if (!matches_choice(option.choices, value)) refuse(spelled, option.choices, value);
      break;
  }
  values_[option.name] = std::move(out);
}

void OptionValues::fill_from_environment(bool (*wanted)(const OptionSpec&, std::uint32_t),
                                         std::uint32_t argument) {
  for (const OptionSpec& option : kOptions) {
    if (!option.environment || !wanted(option, argument) || has(option.name)) continue;
    const std::string name = environment_name(option);
    const char* value = std::getenv(name.c_str());
    if (value != nullptr && *value != '\0') set(option, value, name);
  }
}

const OptionValues::Value* OptionValues::find(std::string_view name) const {
  if (find_option(name) == nullptr) {
    fail(ErrorCode::kInternal, "options",
         "expected a name of the option table, got \"" + std::string(name) + "\".");
  }
  const auto at = values_.find(name);
  return at == values_.end() ? nullptr : &at->second;
}

bool OptionValues::has(std::string_view name) const { return find(name) != nullptr; }

bool OptionValues::flag(std::string_view name) const {
  const Value* value = find(name);
  return value != nullptr && value->number != 0;
}

std::string OptionValues::text(std::string_view name, std::string_view fallback) const {
  const Value* value = find(name);
  return value != nullptr ? value->text : std::string(fallback);
}

std::int64_t OptionValues::integer(std::string_view name, std::int64_t fallback) const {
  const Value* value = find(name);
  return value != nullptr ? value->number : fallback;
}

std::vector<std::pair<std::string, std::string>> OptionValues::engine_keys() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, value] : values_) {
    if (find_option(name)->engine_key) out.emplace_back(name, value.text);
  }
  return out;
}

EngineOptions OptionValues::engine_options() const {
  EngineOptions options;
  options.model = text("model");
  options.device = text("device", options.device);
  options.dtype = text("dtype", options.dtype);
  options.disable = text("disable");
  options.threads = static_cast<int>(integer("threads", 0));
  options.batch_tokens = integer("batch-tokens", 0);
  options.max_length = static_cast<int>(integer("max-length", 0));
  options.memory_limit = integer("memory-limit", 0);
  if (has("packed-cache")) options.packed_cache = integer("packed-cache", 0);
  options.allow_nonfinite = flag("allow-nonfinite");
  options.adapter = text("adapter");
  options.onnxruntime_library = text("onnxruntime-library");
  options.provider_options = text("provider-options");
  options.onnx_file = text("onnx-file");
  options.meanwhile = text("meanwhile");
  const std::string role = text("as");
  if (role == "query") options.role = Role::kQuery;
  if (role == "document") options.role = Role::kDocument;
  const std::string truncate = text("truncate", "right");
  options.truncate = truncate == "left"    ? Truncate::kLeft
                     : truncate == "error" ? Truncate::kError
                                           : Truncate::kRight;
  return options;
}

EmbedOptions OptionValues::embed_options() const {
  EmbedOptions options;
  options.dimensions = static_cast<int>(integer("dimensions", 0));
  if (flag("normalize") && flag("no-normalize")) {
    fail(ErrorCode::kUsage, "--normalize", "expected --normalize or --no-normalize, got both.");
  }
  if (flag("no-normalize")) options.normalize = false;
  if (flag("normalize")) options.normalize = true;
  options.pooling = text("pooling");
  options.chunk = chunk_options();
  return options;
}

std::optional<ChunkOptions> OptionValues::chunk_options() const {
  const std::string by = text("chunk-by", "tokens");
  for (const char* name :
       {"chunk-by", "chunk-tokens", "chunk-overlap", "chunk-sentences", "window-overlap"}) {
    if (!has(name)) continue;
    const std::string flag_text = std::string("--") + name;
    if (!flag("chunk")) fail(ErrorCode::kUsage, flag_text, "expected --chunk beside it, got none.");
    const bool sentences = flag_text == "--chunk-sentences";
    const bool sizes = flag_text == "--chunk-tokens" || flag_text == "--chunk-overlap";
    if ((sentences && by != "sentences") || (sizes && by == "spans")) {
      fail(ErrorCode::kUsage, flag_text,
           std::string("expected --chunk-by ") + (sentences ? "sentences" : "tokens or sentences") +
               " beside it, got " + by + ".");
    }
  }
  if (!flag("chunk")) return std::nullopt;
  ChunkOptions options;
  options.by = by == "sentences" ? ChunkBy::kSentences
               : by == "spans"   ? ChunkBy::kSpans
                                 : ChunkBy::kTokens;
  options.tokens = static_cast<int>(integer("chunk-tokens", 0));
  options.overlap = static_cast<int>(integer("chunk-overlap", 0));
  options.sentences = static_cast<int>(integer("chunk-sentences", 0));
  if (has("window-overlap"))
    options.window_overlap = static_cast<int>(integer("window-overlap", 0));
  return options;
}

SparseOptions OptionValues::sparse_options() const {
  SparseOptions options;
  options.top_k = static_cast<int>(integer("top-k", 0));
  options.assume_splade = flag("assume-splade");
  const std::string weight = text("min-weight", "0");
  double least = 0;
  const auto [end, error] = parse_double(weight.data(), weight.data() + weight.size(), &least);
  if (error != std::errc() || end != weight.data() + weight.size() || !(least >= 0))
    refuse("--min-weight", "a number of at least 0", weight);
  options.min_weight = static_cast<float>(least);
  const auto number = [&](const char* name) -> std::optional<double> {
    if (!has(name)) return std::nullopt;
    const std::string value = text(name);
    double out = 0;
    const char* const last = value.data() + value.size();
    const auto [rest, bad] = parse_double(value.data(), last, &out);
    if (bad != std::errc() || rest != last) refuse("--" + std::string(name), "a number", value);
    return out;
  };
  options.words = flag("words");
  options.bm25_k = number("bm25-k");
  options.bm25_b = number("bm25-b");
  options.bm25_avg_len = number("bm25-avg-len");
  options.bm42_alpha = number("bm42-alpha");
  if (has("language")) options.language = text("language");
  if (has("token-max-length"))
    options.token_max_length = static_cast<int>(integer("token-max-length", 0));
  options.disable_stemmer = flag("disable-stemmer");
  return options;
}

RerankOptions OptionValues::rerank_options() const {
  RerankOptions options;
  options.raw_scores = flag("raw-scores");
  return options;
}

JointOptions OptionValues::joint_options() const {
  JointOptions options;
  options.dense = embed_options();
  std::string list = text("with");
  while (!list.empty()) {
    const std::string word = list.substr(0, list.find(','));
    list.erase(0, word.size() + 1);
    if (word == "sparse") {
      options.sparse = SparseOptions{};
    } else if (word == "late") {
      options.late = LateOptions{};
    } else {
      refuse("--with", "sparse, late or both with a comma between", word);
    }
  }
  return options;
}

}  // namespace inlay

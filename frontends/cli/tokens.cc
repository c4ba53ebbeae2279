// inlay tokens: texts to ids, and back.
#include <charconv>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "commands.h"
#include "inputs.h"

namespace inlay::cli {
namespace {

constexpr std::int64_t kCheckEvery = 256;  // texts between two looks at the memory

void check_memory(const OptionValues& options) {
  const std::int64_t limit = options.integer("memory-limit", 0);
  const std::int64_t used = peak_resident_bytes();
  if (limit > 0 && used > limit) {
    fail(ErrorCode::kMemoryLimit, "--memory-limit",
         "expected at most " + std::to_string(limit) + " bytes, got " + std::to_string(used) +
             ". Raise the limit, or lower --max-line.");
  }
}

void append_ids(std::string& out, const std::vector<std::int32_t>& ids) {
  out += "\"ids\":[";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(ids[i]);
  }
  out += ']';
}

std::int32_t checked_id(std::int64_t id, const std::string& where) {
  if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
    fail(ErrorCode::kBadInput, where, "expected a token id, got " + std::to_string(id) + ".");
  }
  return static_cast<std::int32_t>(id);
}

// "101 7592 102", "[101,7592,102]", or an object with the array under `field`.
std::vector<std::int32_t> parse_ids(std::string_view text, const std::string& field,
                                    const std::string& where) {
  std::vector<std::int32_t> ids;
  const std::size_t first = text.find_first_not_of(" \t");
  if (first != std::string_view::npos && (text[first] == '[' || text[first] == '{')) {
    const JsonDocument document = JsonDocument::parse(text, where, "Give ids as [101,102].");
    const JsonValue root = document.root();
    const JsonValue list = root.is_object() ? root.at(field) : root;
    for (const JsonValue& item : list.items())
      ids.push_back(checked_id(item.integer(), item.where()));
    return ids;
  }
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at != end && (*at == ' ' || *at == '\t')) ++at;
    if (at == end) return ids;
    std::int64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (next != end && *next != ' ' && *next != '\t')) {
      fail(ErrorCode::kBadInput, where,
           "expected token ids with spaces between, or a JSON array, got \"" +
               printable(std::string_view(at, static_cast<std::size_t>(end - at)), 40) + "\".");
    }
    ids.push_back(checked_id(id, where));
    at = next;
  }
}

class TokensCommand {
 public:
  explicit TokensCommand(const CommandLine& line)
      : options_(line.options),
        tokenizer_(line.options.text("model")),
        field_(line.options.text("field", "ids")),
        as_json_(!line.options.flag("decode") || options_.has("format") ||
                 io::output_format_of(options_.text("output")).has_value()) {
    const io::StreamOptions stream = stream_options(options_);
    if (!options_.flag("decode")) {
      prompt_ = Model::prompt(options_.text("model"), stream.prompt, stream.role,
                              options_.text("adapter"));
    }
    const EngineOptions limits = options_.engine_options();
    encode_.max_length = limits.max_length;
    encode_.truncate = limits.truncate;
    stats_.model = options_.text("model", find_option("model")->fallback);
    stats_.device = stats_.backend = "none";
  }

  // The output line for one text.
  const std::string& encode(const std::string& text, const std::string& where) {
    const Tokens tokens = encode_at(prompt_ ? prompt_->text + text : text, where);
    begin_line();
    append_ids(line_, tokens.ids);
    end_line(tokens.ids.size(), tokens.truncated);
    return line_;
  }

  // The output line for one list of ids.
  const std::string& decode(const std::string& text, const std::string& where) {
    const std::vector<std::int32_t> ids = parse_ids(text, field_, where);
    for (const std::int32_t id : ids) {
      if (id >= tokenizer_.vocab_size()) check_id(id, where);
    }
    const std::string decoded = tokenizer_.decode(ids);
    if (as_json_) {
      begin_line();
      line_ += "\"text\":";
      json_append_string(line_, decoded);
      end_line(ids.size(), false);
    } else {
      line_ = decoded + '\n';
      count(ids.size(), false);
    }
    return line_;
  }

  Stats& stats() { return stats_; }

 private:
  void begin_line() { line_ = "{\"index\":" + std::to_string(stats_.texts) + ","; }
  void end_line(std::size_t tokens, bool truncated) {
    TextInfo info;
    info.tokens = static_cast<int>(tokens);
    info.truncated = truncated;
    if (prompt_) info.prompt = prompt_->name;
    io::append_line_end(line_, info);
    count(tokens, truncated);
  }
  void count(std::size_t tokens, bool truncated) {
    ++stats_.texts;
    stats_.tokens += static_cast<std::int64_t>(tokens);
    stats_.truncated += truncated ? 1 : 0;
  }
  Tokens encode_at(const std::string& text, const std::string& where) const {
    try {
      return tokenizer_.encode(text, encode_);
    } catch (const Error& error) {
      // The tokenizer knows no lines; what it calls "text" is this one.
      fail(error.code(), where, std::string_view(error.what()).substr(error.where().size() + 3));
    }
  }
  // Ids are not always dense: beyond the count only the vocabulary knows.
  void check_id(std::int32_t id, const std::string& where) const {
    try {
      tokenizer_.token(id);
    } catch (const Error& error) {
      fail(error.code(), where, std::string_view(error.what()).substr(error.where().size() + 3));
    }
  }

  const OptionValues& options_;
  Tokenizer tokenizer_;
  std::string field_;
  bool as_json_;
  std::optional<PromptText> prompt_;
  TokenizeOptions encode_;
  Stats stats_;
  std::string line_;
};

}  // namespace

int run_tokens(const CommandLine& line) {
  if (output_format(line.options) != io::OutputFormat::kJsonl) {
    fail(ErrorCode::kUsage, "--format",
         "expected jsonl for tokens, whose lists differ in length, got " +
             line.options.text("format", "the extension of --output") + ". Write jsonl.");
  }
  const bool decode = line.options.flag("decode");
  // Ids come as lines whatever their file is called: parse_ids knows JSON from numbers.
  CommandLine ids = line;
  const bool by_name = !line.options.has("input-format") &&
                       io::input_format_of(line.options.text("input")) == io::InputFormat::kJsonl;
  if (by_name || line.options.text("input-format") == "jsonl") {
    ids.options.set(*find_option("input-format"), "txt", "--input-format");
  }
  const auto texts = open_texts(decode ? ids : line, decode ? "ids" : "text");
  Output output(line.options.text("output", "-"));
  Report report(line);
  bring_model(line.options, line.options.text("model"));
  TokensCommand command(line);
  command.stats().load_seconds = line.seconds();
  check_memory(line.options);

  std::string text;
  while (true) {
    if (!texts->ready(0)) {
      output.file().flush();
      texts->ready(-1);
    }
    if (output.file().reader_gone() || !texts->next(&text)) break;
    output.file().write(decode ? command.decode(text, texts->where())
                               : command.encode(text, texts->where()));
    if (command.stats().texts % kCheckEvery == 0) check_memory(line.options);
  }
  output.file().commit();
  Stats& stats = command.stats();
  stats.tokenize_seconds = line.seconds() - stats.load_seconds;
  stats.peak_rss = peak_resident_bytes();
  report.write(stats, line.seconds());
  return 0;
}

}  // namespace inlay::cli

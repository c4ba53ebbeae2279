// Opening ends before any model is loaded: a wrong path costs no time.
#include "inputs.h"

#include <cstdio>

#include "base/error.h"
#include "io/progress.h"
#include "io/read_ahead.h"
#include "report/measure.h"
#include "report/run_report.h"

namespace inlay::cli {

namespace {

// Standard input, unless a person sits there.
std::string input_path(const CommandLine& line) {
  if (!line.options.has("input") && io::stdin_is_terminal()) {
    fail(ErrorCode::kUsage, std::string("inlay ") + line.command->name,
         "expected texts as arguments, with -i FILE or through standard input, got a terminal. See "
         "inlay " +
             std::string(line.command->name) + " --help; -i - reads from the terminal.");
  }
  return line.options.text("input", "-");
}

io::LineReader open_lines(const OptionValues& options, const std::string& path) {
  return {io::open_file(path), path == "-" ? "standard input" : path,
          options.integer("max-line", kDefaultMaxLine)};
}

}  // namespace

std::unique_ptr<io::TextReader> open_pairs(const CommandLine& line) {
  const std::string path = input_path(line);
  const std::string named = line.options.text("input-format", "jsonl");
  if (named != "jsonl")
    fail(ErrorCode::kUsage, "--input-format",
         "expected jsonl, which alone holds pairs, got " + named + ".");
  return io::read_pairs(open_lines(line.options, path));
}

void require_jsonl(const OptionValues& options) {
  if (output_format(options) == io::OutputFormat::kJsonl) return;
  fail(ErrorCode::kUsage, "--format",
       "expected jsonl, the form that these results have, got csv or npy.");
}

std::unique_ptr<io::TextReader> open_texts(const CommandLine& line, const char* default_field) {
  const OptionValues& options = line.options;
  if (!line.texts.empty()) {
    if (options.has("input")) {
      fail(ErrorCode::kUsage, "--input",
           "expected texts as arguments or from a file, got both. Leave one of them out.");
    }
    if (options.text("chunk-by") == "spans") {
      fail(ErrorCode::kUsage, "--chunk-by",
           "expected jsonl, which alone holds spans, got texts as arguments.");
    }
    return io::read_arguments(line.texts);
  }
  const std::string path = input_path(line);
  io::InputFormat format = io::input_format_of(path);
  const std::string named = options.text("input-format");
  if (named == "txt") format = io::InputFormat::kTxt;
  if (named == "jsonl") format = io::InputFormat::kJsonl;
  if (named == "csv") format = io::InputFormat::kCsv;
  const bool chunked = (line.command->bit & kCommandEmbed) != 0 && options.flag("chunk");
  const std::string by = chunked ? options.text("chunk-by", "spans") : "";
  if (by == "spans" && options.has("chunk-by") && format != io::InputFormat::kJsonl) {
    fail(ErrorCode::kUsage, "--chunk-by",
         "expected jsonl, which alone holds spans, got txt or csv.");
  }
  return io::read_texts(open_lines(options, path), format, options.text("field", default_field),
                        by == "spans");
}

GetResult bring_model(const OptionValues& options, const std::string& locator, bool update) {
  io::Progress progress(options.flag("quiet"));
  GetOptions get;
  get.update = update;
  get.progress = [&](const DownloadProgress& state) {
    progress.update({0, 0, state.done_bytes, state.total_bytes, std::string(state.file)});
    return true;
  };
  return Model::get(locator, get);
}

EngineOptions engine_options_for(const CommandLine& line, const std::string& task,
                                 std::unique_ptr<io::TextReader>* texts) {
  const OptionValues& options = line.options;
  EngineOptions engine = options.engine_options();
  if (engine.device != "auto") return engine;
  auto ahead = std::make_unique<io::ReadAhead>(std::move(*texts),
                                               static_cast<std::size_t>(report::kLargeJob));
  if (ahead->whole()) engine.expected_texts = static_cast<std::int64_t>(ahead->count());
  // --with is about another default model than the task's.
  const bool measure = ahead->many() && !options.has("with");
  *texts = std::move(ahead);
  if (!measure) return engine;
  report::MeasureOptions measuring;
  measuring.options = options.engine_keys();
  measuring.disable = engine.disable;
  const report::JobMeasured measured = report::measure_for_job(engine.model, task, measuring);
  if (!measured.told.empty() && !options.flag("quiet"))
    std::fprintf(stderr, "inlay: %s\n", measured.told.c_str());
  if (!measured.device.empty() && engine.dtype == "auto") {
    engine.device = measured.device;
    engine.dtype = measured.dtype;
  }
  return engine;
}

Output::Output(const std::string& path)
    : hold_(std::make_unique<HoldSignals>()), file_(path), removed_(file_.temporary_path()) {
  hold_.reset();
}

Report::Report(const CommandLine& line) {
  if (line.options.has("report")) output_.emplace(line.options.text("report"));
}

void Report::write(const Stats& stats, double seconds) {
  if (!output_) return;
  output_->file().write(report::run_report_json(stats, seconds));
  output_->file().commit();
}

io::OutputFormat output_format(const OptionValues& options) {
  const std::string named = options.text("format");
  if (named == "csv") return io::OutputFormat::kCsv;
  if (named == "npy") return io::OutputFormat::kNpy;
  if (named == "jsonl") return io::OutputFormat::kJsonl;
  return io::output_format_of(options.text("output")).value_or(io::OutputFormat::kJsonl);
}

io::StreamOptions stream_options(const OptionValues& options) {
  io::StreamOptions stream;
  stream.chunks = options.flag("chunk");
  if (options.has("prompt")) stream.prompt = options.text("prompt");
  const std::string role = options.text("as");
  if (role == "query") stream.role = Role::kQuery;
  if (role == "document") stream.role = Role::kDocument;
  return stream;
}

}  // namespace inlay::cli

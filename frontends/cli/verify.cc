// inlay verify: a device and a precision against plain loops in fp32.
#include "report/verify.h"

#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "io/progress.h"
#include "report/json_text.h"

namespace inlay::cli {
namespace {

std::vector<std::string> read_data(const OptionValues& options) {
  std::vector<std::string> texts;
  if (!options.has("data")) return texts;
  const std::string path = options.text("data");
  const auto reader =
      io::read_texts({io::open_file(path), path, options.integer("max-line", kDefaultMaxLine)},
                     io::input_format_of(path), options.text("field", "text"));
  for (std::string text; reader->next(&text);) texts.push_back(text);
  if (texts.empty())
    fail(ErrorCode::kBadInput, path, "expected two texts or more to compare, got none.");
  return texts;
}

}  // namespace

int run_verify(const CommandLine& line) {
  const OptionValues& options = line.options;
  if (!line.texts.empty()) {
    fail(ErrorCode::kUsage, "inlay verify",
         "expected no arguments, got some. Name a model with -m, texts with --data FILE.");
  }
  if (!options.has("model")) {
    fail(ErrorCode::kUsage, "--model", "expected -m MODEL, the model to verify, got none.");
  }
  const std::vector<std::string> texts = read_data(options);
  Output output(options.text("output", "-"));
  bring_model(options, options.text("model"));
  std::vector<report::Verified> results;
  {
    io::Progress progress(options.flag("quiet"));
    results = report::verify(options.engine_options(), texts, [&](const auto& state) {
      progress.update({static_cast<std::int64_t>(state.done),
                       0,
                       static_cast<std::int64_t>(state.done),
                       static_cast<std::int64_t>(state.total),
                       {}});
    });
  }
  output.file().write(options.flag("json") ? report::pretty_json(report::verify_json(results))
                                           : report::verify_table(results));
  output.file().commit();
  for (const report::Verified& result : results)
    if (!result.reasons.empty()) return 1;
  return 0;
}

}  // namespace inlay::cli

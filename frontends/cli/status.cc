// inlay status: the machine and its devices.
#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "report/json_text.h"
#include "report/status_table.h"

namespace inlay::cli {

int run_status(const CommandLine& line) {
  const OptionValues& options = line.options;
  if (!line.texts.empty())
    fail(ErrorCode::kUsage, "inlay status",
         "expected no arguments, got some. Name a model with -m.");
  Output output(options.text("output", "-"));
  const std::string json =
      status_json(options.text("model"), options.text("disable"), options.flag("verbose"));
  output.file().write(options.flag("json") ? report::pretty_json(json)
                                           : report::status_table(json));
  output.file().commit();
  return 0;
}

}  // namespace inlay::cli

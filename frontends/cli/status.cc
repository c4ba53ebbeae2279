// inlay status: the machine and its devices.
#include <optional>

#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "report/json_text.h"
#include "report/status_html.h"
#include "report/status_report.h"
#include "report/status_table.h"

namespace inlay::cli {

int run_status(const CommandLine& line) {
  const OptionValues& options = line.options;
  if (!line.texts.empty())
    fail(ErrorCode::kUsage, "inlay status",
         "expected no arguments, got some. Name a model with -m.");
  Output output(options.text("output", "-"));
  std::optional<Output> html;
  if (options.has("html")) html.emplace(options.text("html"));
  report::StatusOptions status;
  status.model = options.text("model");
  status.disable = options.text("disable");
  status.verbose = options.flag("verbose");
  status.measure = options.flag("measure");
  status.measuring.options = options.engine_keys();
  status.measuring.disable = status.disable;
  status.measuring.all = options.text("measure") == "all";
  status.measuring.seconds =
      status.measuring.all ? report::kMeasureAllSeconds : report::kMeasureSeconds;
  const std::string json = report::status_report(status);
  output.file().write(options.flag("json") ? report::pretty_json(json)
                                           : report::status_table(json));
  output.file().commit();
  if (html) {
    html->file().write(report::status_html(json));
    html->file().commit();
  }
  return 0;
}

}  // namespace inlay::cli

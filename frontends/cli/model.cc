// inlay model list, show and calibrate.
#include <cstdio>

#include "base/error.h"
#include "base/json.h"
#include "commands.h"
#include "inputs.h"
#include "io/calibration.h"
#include "report/json_text.h"
#include "report/run_report.h"
#include "report/status_table.h"

namespace inlay::cli {
namespace {

// MODEL as the argument or with -m; empty when neither is given.
std::string named_model(const CommandLine& line) {
  const std::string option = line.options.text("model");
  if (line.texts.size() > 1 ||
      (line.texts.size() == 1 && !option.empty() && line.texts[0] != option)) {
    fail(ErrorCode::kUsage, std::string("inlay ") + line.command->name,
         "expected one MODEL, got several.");
  }
  return line.texts.empty() ? option : line.texts[0];
}

std::string list_json(const std::vector<ModelEntry>& models) {
  std::string out = "[";
  for (const ModelEntry& model : models) {
    out += out.size() > 1 ? ",{" : "{";
    const std::pair<const char*, const std::string*> members[] = {
        {"name", &model.name}, {"id", &model.id}, {"task", &model.task}, {"path", &model.path}};
    for (const auto& [key, value] : members) {
      if (key != members[0].first) out += ',';
      json_append_string(out, key);
      out += ':';
      if (value == &model.path && value->empty()) {
        out += "null";
      } else {
        json_append_string(out, *value);
      }
    }
    out += '}';
  }
  return out + "]";
}

}  // namespace

int run_model_list(const CommandLine& line) {
  if (!line.texts.empty())
    fail(ErrorCode::kUsage, "inlay model list", "expected no arguments, got some.");
  Output output(line.options.text("output", "-"));
  const std::vector<ModelEntry> models = Model::list();
  if (line.options.flag("json")) {
    output.file().write(report::pretty_json(list_json(models)));
  } else {
    report::TextTable table;
    table.add_row({"name", "id", "task", "path"});
    for (const ModelEntry& model : models) {
      table.add_row({model.name, model.id, model.task,
                     model.path.empty() ? "not on this machine" : model.path});
    }
    output.file().write(table.text());
  }
  output.file().commit();
  return 0;
}

int run_model_show(const CommandLine& line) {
  const std::string locator = named_model(line);
  if (locator.empty()) {
    fail(ErrorCode::kUsage, "inlay model show",
         "expected a MODEL, got none. See inlay model list.");
  }
  Output output(line.options.text("output", "-"));
  const bool program = line.options.flag("program");
  const std::string json = Model::show(locator, program);
  if (program) {
    const JsonDocument document = JsonDocument::parse(json, "model show");
    std::string text(document.root().at("program").string());
    if (!text.empty() && text.back() != '\n') text += '\n';
    output.file().write(text);
  } else {
    output.file().write(report::pretty_json(json));
  }
  output.file().commit();
  return 0;
}

int run_model_calibrate(const CommandLine& line) {
  const bool quiet = line.options.flag("quiet");
  EngineOptions engine_options = line.options.engine_options();
  engine_options.model = named_model(line);
  CommandLine input = line;
  input.texts.clear();  // the argument was the model
  const auto texts = open_texts(input);
  Output output(line.options.text("output", "-"));
  Report report(line);
  Engine engine(engine_options, line.options.embed_options());
  io::Calibration calibration;
  const auto take = [&](Result& result, std::int64_t) {
    calibration.add(result);
    return true;
  };
  {
    io::Progress progress(quiet);
    io::embed_stream(engine, *texts, stream_options(line.options), take, progress);
  }
  if (calibration.count == 0) {
    fail(ErrorCode::kBadInput, line.options.text("input", "standard input"),
         "expected texts to calibrate with, got none. A few thousand texts like those to be "
         "embedded are best.");
  }
  calibration.model = engine.stats().model;
  output.file().write(io::calibration_json(calibration));
  output.file().commit();
  report.write(engine.stats(), line.seconds());
  if (!quiet)
    std::fprintf(stderr, "inlay: %s\n",
                 report::run_summary(engine.stats(), line.seconds()).c_str());
  return 0;
}

}  // namespace inlay::cli

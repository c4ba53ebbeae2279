// inlay model list, get, show, convert and calibrate.
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

// A JSON object, member by member.
class ObjectText {
 public:
  void text(const char* name, const std::string& value) {
    begin(name);
    json_append_string(out_, value);
  }
  void text_or_null(const char* name, const std::string& value) {
    begin(name);
    if (value.empty()) {
      out_ += "null";
    } else {
      json_append_string(out_, value);
    }
  }
  void boolean(const char* name, bool value) {
    begin(name);
    out_ += value ? "true" : "false";
  }
  void integer(const char* name, std::int64_t value) {
    begin(name);
    out_ += std::to_string(value);
  }
  std::string finish() const { return out_ + "}"; }

 private:
  void begin(const char* name) {
    if (out_.size() > 1) out_ += ',';
    json_append_string(out_, name);
    out_ += ':';
  }
  std::string out_ = "{";
};

std::string list_json(const std::vector<ModelEntry>& models) {
  std::string out;
  for (const ModelEntry& model : models) {
    ObjectText entry;
    entry.text_or_null("name", model.name);
    entry.text("id", model.id);
    entry.text("task", model.task);
    entry.text("family", model.family);
    entry.integer("parameters", model.parameters);
    entry.integer("dimensions", model.dimensions);
    entry.integer("max_tokens", model.max_tokens);
    entry.text_or_null("query_prompt", model.query);
    entry.text_or_null("document_prompt", model.document);
    entry.text_or_null("licence", model.licence);
    entry.text("support", model.support);
    entry.text_or_null("missing", model.missing);
    entry.text_or_null("path", model.path);
    entry.text_or_null("revision", model.revision);
    entry.boolean("complete", model.complete);
    out += (out.empty() ? "" : ",") + entry.finish();
  }
  return "[" + out + "]";
}

std::string get_json(const GetResult& result) {
  ObjectText entry;
  entry.text("model", result.name);
  entry.text("path", result.path);
  entry.text_or_null("revision", result.revision);
  entry.integer("files", result.files);
  entry.integer("bytes", result.bytes);
  entry.integer("received", result.received);
  entry.text_or_null("note", result.note);
  return entry.finish();
}

// "22.7 M", "7.11 B"
std::string parameters_text(std::int64_t parameters) {
  const bool billions = parameters >= 1'000'000'000;
  char text[32];
  std::snprintf(text, sizeof text, "%.3g %s",
                static_cast<double>(parameters) * (billions ? 1e-9 : 1e-6), billions ? "B" : "M");
  return text;
}

std::string prompts_text(const ModelEntry& model) {
  if (model.query.empty() && model.document.empty()) return "-";
  return model.document.empty() ? "query" : "query, document";
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
    table.add_row({"name", "id", "task", "family", "size", "dim", "tokens", "prompts", "licence",
                   "support", "here"});
    for (const ModelEntry& model : models) {
      table.add_row({model.name.empty() ? "-" : model.name, model.id, model.task, model.family,
                     parameters_text(model.parameters), std::to_string(model.dimensions),
                     model.max_tokens == 0 ? "any" : std::to_string(model.max_tokens),
                     prompts_text(model), model.licence.empty() ? "not stated" : model.licence,
                     model.support + (model.missing.empty() ? "" : ": " + model.missing),
                     model.path.empty() ? "no"
                     : model.complete   ? "yes"
                                        : "partly"});
    }
    output.file().write(table.text());
  }
  output.file().commit();
  return 0;
}

int run_model_get(const CommandLine& line) {
  const std::string locator = named_model(line);
  if (locator.empty()) {
    fail(ErrorCode::kUsage, "inlay model get", "expected a MODEL, got none. See inlay model list.");
  }
  Output output(line.options.text("output", "-"));
  const GetResult result = bring_model(line.options, locator, true);
  output.file().write(line.options.flag("json") ? report::pretty_json(get_json(result))
                                                : result.path + "\n");
  output.file().commit();
  if (line.options.flag("quiet")) return 0;
  if (!result.note.empty()) {
    std::fprintf(stderr, "inlay: what is here was taken: %s\n", result.note.c_str());
  } else if (result.files != 0) {
    std::fprintf(stderr, "inlay: %s at %s: %lld files of %.1f MB, %.1f MB downloaded in %.1f s\n",
                 result.name.c_str(), result.revision.c_str(), static_cast<long long>(result.files),
                 static_cast<double>(result.bytes) * 1e-6,
                 static_cast<double>(result.received) * 1e-6, line.seconds());
  }
  return 0;
}

int run_model_convert(const CommandLine& line) {
  const std::string locator = named_model(line);
  const std::string folder = line.options.text("output");
  if (locator.empty() || folder.empty()) {
    fail(ErrorCode::kUsage, "inlay model convert",
         "expected a MODEL, and a folder to write with -o, got " +
             std::string(locator.empty() ? "no MODEL." : "no -o."));
  }
  bring_model(line.options, locator);
  const ConvertResult result = Model::convert(locator, line.options.text("dtype"), folder);
  if (line.options.flag("json")) {
    ObjectText entry;
    entry.text("path", result.path);
    entry.text("dtype", result.dtype);
    entry.integer("matrices", result.matrices);
    entry.integer("bytes_before", result.bytes_before);
    entry.integer("bytes_after", result.bytes_after);
    io::write_file("-", report::pretty_json(entry.finish()));
  } else {
    io::write_file("-", result.path + "\n");
  }
  if (!line.options.flag("quiet")) {
    std::fprintf(
        stderr,
        "inlay: %lld matrices in %s: weights of %.1f MB now take %.1f MB; use it with --dtype %s\n",
        static_cast<long long>(result.matrices), result.dtype.c_str(),
        static_cast<double>(result.bytes_before) * 1e-6,
        static_cast<double>(result.bytes_after) * 1e-6, result.dtype.c_str());
  }
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
  bring_model(line.options, engine_options.model);
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

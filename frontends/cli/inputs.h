// What the commands that read texts have in common: where texts come from, where results go, with
// which prompt.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "io/embed_stream.h"
#include "io/output_file.h"
#include "io/text_reader.h"
#include "io/vector_writer.h"
#include "signals.h"

namespace inlay::cli {

// The texts of a command line: arguments, -i, or standard input. Throws kUsage (both, or a
// terminal), kNotFound, kBadInput. `default_field` is what --field means when it is not given.
std::unique_ptr<io::TextReader> open_texts(const CommandLine& line,
                                           const char* default_field = "text");

// Pairs, from -i or standard input, always jsonl.
std::unique_ptr<io::TextReader> open_pairs(const CommandLine& line);

// Throws kUsage when another format was asked for: sparse vectors and scores have one.
void require_jsonl(const OptionValues& options);

// Downloads what the model of `locator` lacks on this machine, with progress on standard error;
// whoever loads it then finds it here. Throws as Model::get does.
GetResult bring_model(const OptionValues& options, const std::string& locator, bool update = false);

// The options of an engine for these texts, whose beginning is read ahead. Under --device auto a
// small job counts what loading takes; a large one measures first, where no verdict is known, and
// says so. `task` as Stats of models have it: "dense". `model`: as EngineOptions has it.
EngineOptions engine_options_for(const CommandLine& line, const std::string& task,
                                 std::unique_ptr<io::TextReader>* texts);

// -o or standard output, removed when the process is interrupted.
class Output {
 public:
  explicit Output(const std::string& path);
  io::OutputFile& file() { return file_; }

 private:
  std::unique_ptr<HoldSignals> hold_;  // only while the members below are made
  io::OutputFile file_;
  RemovedWhenInterrupted removed_;
};

// --report FILE, opened before the work so that a place that cannot be written to is known early.
class Report {
 public:
  explicit Report(const CommandLine& line);
  void write(const Stats& stats, double seconds);

 private:
  std::optional<Output> output_;
};

io::OutputFormat output_format(const OptionValues& options);
io::StreamOptions stream_options(const OptionValues& options);

}  // namespace inlay::cli

// inlay rerank: texts by their relevance to one query, best first; or the scores of pairs.
#include <cstdio>

#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "io/score_writer.h"
#include "report/run_report.h"

namespace inlay::cli {
namespace {

void check_usage(const CommandLine& line) {
  const OptionValues& options = line.options;
  const bool pairs = options.flag("pairs");
  if (pairs == options.has("query")) {
    fail(ErrorCode::kUsage, "inlay rerank",
         std::string("expected --query TEXT or --pairs, got ") + (pairs ? "both." : "neither."));
  }
  if (pairs && !line.texts.empty())
    fail(ErrorCode::kUsage, "--pairs",
         "expected pairs from a file or standard input, got arguments.");
  if (pairs && options.has("top"))
    fail(ErrorCode::kUsage, "--top",
         "expected --query beside it; pairs are scored in input order.");
  require_jsonl(options);
}

io::StreamOptions rerank_options(const OptionValues& options) {
  io::StreamOptions stream = stream_options(options);
  if (options.has("instruction")) stream.instruction = options.text("instruction");
  return stream;
}

void score_pairs(const CommandLine& line, Engine& engine, io::TextReader& texts, Output& output) {
  io::StreamOptions stream = rerank_options(line.options);
  stream.pairs = true;
  const auto write = [&](Result& result, std::int64_t first_index) {
    io::write_scores(output.file(), result, first_index);
    output.file().flush();
    return !output.file().reader_gone();
  };
  io::Progress progress(line.options.flag("quiet"));
  io::embed_stream(engine, texts, stream, write, progress);
}

void rank(const CommandLine& line, Engine& engine, io::TextReader& reader, Output& output) {
  if (engine.dim() != 1) {
    fail(ErrorCode::kBadInput, engine.stats().model,
         "expected a model with one label to rank by, got " + std::to_string(engine.dim()) +
             ". Its scores come with --pairs.");
  }
  std::vector<std::string> texts;
  for (std::string text; reader.next(&text);) texts.push_back(text);
  io::StreamOptions stream = rerank_options(line.options);
  stream.query = line.options.text("query");
  io::Ranking ranking;
  const auto add = [&](Result& result, std::int64_t) {
    ranking.add(result);
    return true;
  };
  const auto again = io::read_arguments(texts);
  {
    io::Progress progress(line.options.flag("quiet"));
    io::embed_stream(engine, *again, stream, add, progress);
  }
  ranking.write(output.file(), texts, static_cast<std::size_t>(line.options.integer("top", 0)));
}

}  // namespace

int run_rerank(const CommandLine& line) {
  check_usage(line);
  const OptionValues& options = line.options;
  const bool pairs = options.flag("pairs");
  auto texts = pairs ? open_pairs(line) : open_texts(line);
  Output output(options.text("output", "-"));
  Report report(line);
  bring_model(options, options.text("model", "BAAI/bge-reranker-base"));
  Engine engine(engine_options_for(line, "rerank", &texts), options.rerank_options());
  if (pairs) {
    score_pairs(line, engine, *texts, output);
  } else {
    rank(line, engine, *texts, output);
  }
  output.file().commit();
  report.write(engine.stats(), line.seconds());
  if (!options.flag("quiet"))
    std::fprintf(stderr, "inlay: %s\n",
                 report::run_summary(engine.stats(), line.seconds()).c_str());
  return 0;
}

}  // namespace inlay::cli

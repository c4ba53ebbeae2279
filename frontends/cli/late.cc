// inlay late: texts in, a vector a token out.
#include <cstdio>

#include "commands.h"
#include "inputs.h"
#include "io/late_writer.h"
#include "report/run_report.h"

namespace inlay::cli {

int run_late(const CommandLine& line) {
  const OptionValues& options = line.options;
  require_jsonl(options);
  const bool quiet = options.flag("quiet");
  auto texts = open_texts(line);
  Output output(options.text("output", "-"));
  Report report(line);
  bring_model(options, options.text("model", "answerdotai/answerai-colbert-small-v1"));
  Engine engine(engine_options_for(line, "late", &texts), LateOptions{});
  const auto write = [&](Result& result, std::int64_t first_index) {
    io::write_late(output.file(), result, first_index);
    output.file().flush();  // whoever reads along gets results as they come
    return !output.file().reader_gone();
  };
  {
    io::Progress progress(quiet);
    io::embed_stream(engine, *texts, stream_options(options), write, progress);
  }
  output.file().commit();
  report.write(engine.stats(), line.seconds());
  if (!quiet)
    std::fprintf(stderr, "inlay: %s\n",
                 report::run_summary(engine.stats(), line.seconds()).c_str());
  return 0;
}

}  // namespace inlay::cli

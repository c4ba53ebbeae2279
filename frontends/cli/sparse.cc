// inlay sparse: texts in, sparse vectors out.
#include <cstdio>

#include "commands.h"
#include "inputs.h"
#include "io/sparse_writer.h"
#include "report/run_report.h"

namespace inlay::cli {

int run_sparse(const CommandLine& line) {
  const OptionValues& options = line.options;
  require_jsonl(options);
  const bool quiet = options.flag("quiet");
  auto texts = open_texts(line);
  Output output(options.text("output", "-"));
  Report report(line);
  if (options.has("model")) bring_model(options, options.text("model"));
  Engine engine(engine_options_for(line, "sparse", &texts), options.sparse_options());
  if (!options.has("model") && engine.stats().model.ends_with("splade-tiny")) {
    std::fprintf(
        stderr,
        "inlay: the default sparse model (prithivida/Splade_PP_en_v1) is not on this machine; "
        "splade-tiny, a small one, is used in its place.\n");
  }
  for (const std::string& note : engine.stats().notes)
    std::fprintf(stderr, "inlay: %s\n", note.c_str());
  io::SparseWriter writer(output.file(), engine, options.flag("words"));
  const auto write = [&](Result& result, std::int64_t first_index) {
    writer.write(result, first_index);
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

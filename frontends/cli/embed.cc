// inlay embed: texts in, dense vectors out.
#include <cstdio>

#include "base/error.h"
#include "commands.h"
#include "inputs.h"
#include "io/calibration.h"
#include "io/late_writer.h"
#include "report/run_report.h"

namespace inlay::cli {
namespace {

OutputDtype output_dtype(const OptionValues& options) {
  const std::string name = options.text("output-dtype", "float32");
  if (name == "float16") return OutputDtype::kFloat16;
  if (name == "int8") return OutputDtype::kInt8;
  if (name == "uint8") return OutputDtype::kUint8;
  if (name == "binary") return OutputDtype::kBinary;
  if (name == "ubinary") return OutputDtype::kUbinary;
  return OutputDtype::kFloat32;
}

void check_calibration(const OptionValues& options, OutputDtype dtype) {
  const bool wanted = dtype == OutputDtype::kInt8 || dtype == OutputDtype::kUint8;
  if (wanted && !options.has("calibration")) {
    fail(ErrorCode::kUsage, "--output-dtype",
         "expected --calibration FILE with int8 and uint8, got none. Make the file with: inlay "
         "model calibrate -m MODEL "
         "-i texts.txt -o FILE.");
  }
  if (!wanted && options.has("calibration")) {
    fail(ErrorCode::kUsage, "--calibration",
         "expected --output-dtype int8 or uint8 beside it, got another dtype.");
  }
}

Quantization quantization(const OptionValues& options, OutputDtype dtype, std::int64_t dim) {
  Quantization how;
  how.dtype = dtype;
  if (options.has("calibration")) {
    io::Calibration calibration = io::read_calibration(options.text("calibration"), dim);
    how.minimum = std::move(calibration.minimum);
    how.maximum = std::move(calibration.maximum);
  }
  return how;
}

// --with: several outputs of one pass, which only jsonl has room for.
int run_joint(const CommandLine& line) {
  const OptionValues& options = line.options;
  require_jsonl(options);
  if (options.has("output-dtype")) {
    fail(ErrorCode::kUsage, "--output-dtype",
         "expected no --with beside it, got both: one pass's outputs are written as float32.");
  }
  const JointOptions joint = options.joint_options();
  if (joint.dense.chunk) {
    fail(ErrorCode::kUsage, "--chunk",
         "expected no --with beside it, got both. Ask for chunks alone.");
  }
  auto texts = open_texts(line);
  Output output(options.text("output", "-"));
  Report report(line);
  bring_model(options, options.text("model", "BAAI/bge-m3"));
  Engine engine(engine_options_for(line, "dense", &texts), joint);
  const auto write = [&](Result& result, std::int64_t first_index) {
    io::write_joint(output.file(), result, first_index);
    output.file().flush();  // whoever reads along gets results as they come
    return !output.file().reader_gone();
  };
  {
    io::Progress progress(options.flag("quiet"));
    io::embed_stream(engine, *texts, stream_options(options), write, progress);
  }
  output.file().commit();
  report.write(engine.stats(), line.seconds());
  if (!options.flag("quiet"))
    std::fprintf(stderr, "inlay: %s\n",
                 report::run_summary(engine.stats(), line.seconds()).c_str());
  return 0;
}

}  // namespace

int run_embed(const CommandLine& line) {
  const OptionValues& options = line.options;
  if (options.has("with")) return run_joint(line);
  const OutputDtype dtype = output_dtype(options);
  check_calibration(options, dtype);
  const io::OutputFormat format = output_format(options);
  const bool quiet = options.flag("quiet");
  const EmbedOptions embed = options.embed_options();
  if (embed.chunk && format == io::OutputFormat::kNpy) {
    fail(ErrorCode::kUsage, "--format",
         "expected jsonl or csv beside --chunk, got npy, whose rows do not say whose they are.");
  }

  auto texts = open_texts(line);
  Output output(options.text("output", "-"));
  Report report(line);
  bring_model(options, options.text("model"));
  Engine engine(engine_options_for(line, "dense", &texts), embed);
  const auto writer = io::make_vector_writer(format, output.file(), engine.dim(),
                                             quantization(options, dtype, engine.dim()));
  const auto write = [&](Result& result, std::int64_t first_index) {
    writer->write(result, first_index);
    output.file().flush();  // whoever reads along gets results as they come
    return !output.file().reader_gone();
  };
  {
    io::Progress progress(quiet);
    io::embed_stream(engine, *texts, stream_options(options), write, progress);
  }
  writer->finish();
  output.file().commit();
  report.write(engine.stats(), line.seconds());
  if (!quiet)
    std::fprintf(stderr, "inlay: %s\n",
                 report::run_summary(engine.stats(), line.seconds()).c_str());
  return 0;
}

}  // namespace inlay::cli

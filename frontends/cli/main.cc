// inlay: the command line. Finds the command, and turns every error into a sentence and an exit
// code.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <new>

#include "arguments.h"
#include "base/error.h"
#include "base/options_text.h"
#include "commands.h"
#include "io/output_file.h"
#include "report/device_child.h"
#include "signals.h"

namespace inlay::cli {
namespace {

constexpr const char* kName = "inlay";

// A closed 0, 1 or 2 would be given to the next file that is opened; these refuse reading or
// writing instead.
void occupy_standard_streams() {
  for (int file = STDIN_FILENO; file <= STDERR_FILENO; ++file) {
    if (::fcntl(file, F_GETFD) < 0 &&
        ::open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
      return;
  }
}

void print(const std::string& text) { io::write_file("-", text); }

int run_command(const CommandLine& line) {
  switch (line.command->bit) {
    case kCommandEmbed:
      return run_embed(line);
    case kCommandSparse:
      return run_sparse(line);
    case kCommandLate:
      return run_late(line);
    case kCommandRerank:
      return run_rerank(line);
    case kCommandTokens:
      return run_tokens(line);
    case kCommandStatus:
      return run_status(line);
    case kCommandBench:
      return run_bench(line);
    case kCommandVerify:
      return run_verify(line);
    case kCommandModelGet:
      return run_model_get(line);
    case kCommandModelList:
      return run_model_list(line);
    case kCommandModelShow:
      return run_model_show(line);
    case kCommandModelConvert:
      return run_model_convert(line);
    case kCommandModelCalibrate:
      return run_model_calibrate(line);
  }
  fail(ErrorCode::kInternal, "command", "expected a command with a function.");
}

int run(const std::vector<std::string>& words, std::chrono::steady_clock::time_point start) {
  const std::string first = words.empty() ? "" : words.front();
  if (first == "--version") {
    print(std::string(kName) + " " + version() + "\n");
    return 0;
  }
  if (first == report::kChildWord && words.size() == 1) return report::serve_child();
  const std::string asked = words.size() == 2 && first == "model" ? words[1] : first;
  if (asked == "--help" || asked == "-h") {
    print(general_help());
    return 0;
  }
  std::size_t used = 0;
  CommandLine line;
  line.start = start;
  line.command = &find_command(words, &used);
  line.options = parse_options(
      *line.command, {words.begin() + static_cast<std::ptrdiff_t>(used), words.end()}, &line.texts);
  if (line.options.flag("help")) {
    print(command_help(*line.command));
    return 0;
  }
  return run_command(line);
}

int tell(int code, const char* message) {
  std::fprintf(stderr, "%s: %s\n", kName, message);
  return code;
}

int run_program(int argc, char** argv) {
  const auto start = std::chrono::steady_clock::now();
  try {
    occupy_standard_streams();
    install_signal_handlers();
    return run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), start);
  } catch (const Error& error) {
    return tell(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    return tell(
        error_code_info(ErrorCode::kMemoryLimit).exit_code,
        "[memory] expected memory for this work, got none. Lower --batch-tokens or --max-line.");
  } catch (const std::exception& error) {
    return tell(error_code_info(ErrorCode::kInternal).exit_code, error.what());
  }
}

}  // namespace

double CommandLine::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace inlay::cli

int main(int argc, char** argv) { return inlay::cli::run_program(argc, argv); }

// One function a command. Each reads its options, does its work through inlay.hpp, io and report,
// and returns the exit code; errors leave as inlay::Error and are told by main.cc.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/options.h"

namespace inlay::cli {

struct CommandLine {
  const CommandInfo* command = nullptr;
  OptionValues options;
  std::vector<std::string> texts;  // what is not an option
  std::chrono::steady_clock::time_point start;
  double seconds() const;  // since start
};

int run_embed(const CommandLine& line);
int run_sparse(const CommandLine& line);
int run_late(const CommandLine& line);
int run_rerank(const CommandLine& line);
int run_tokens(const CommandLine& line);
int run_status(const CommandLine& line);
int run_verify(const CommandLine& line);
int run_bench(const CommandLine& line);
int run_model_convert(const CommandLine& line);
int run_model_get(const CommandLine& line);
int run_model_list(const CommandLine& line);
int run_model_show(const CommandLine& line);
int run_model_calibrate(const CommandLine& line);

}  // namespace inlay::cli

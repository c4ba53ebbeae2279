// From options to a model ready to run: files -> arch -> task head -> backend, within the memory
// limit.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "files/model_files.h"
#include "inlay/inlay.hpp"
#include "program/program.h"
#include "task/task.h"
#include "tokens/tokenizer.h"

namespace inlay::engine {

// Everything a pipeline needs; immutable but for the executable, which its lanes run. A task that
// needs no model has no executable.
struct LoadedModel {
  files::ModelFiles files;
  tokens::Tokenizer tokenizer;
  std::unique_ptr<task::Task> task;
  std::unique_ptr<backend::Executable> executable{};
  std::string task_name{};               // "dense"
  std::string adapter{}, weight_file{};  // empty: none
  std::string device{}, backend{}, isa{}, dtype{};
  std::vector<std::string> refusals{};
  backend::CompileOptions limits{};  // what it was compiled for
  std::int64_t max_length = 0;       // tokens a text, special tokens included; 0: no limit
  bool max_length_given = false;     // by the caller
  std::int64_t vocab_size = 0, type_count = 0;  // type_count 0: types are not given
  struct Output {
    Rows rows = Rows::kTexts;
    std::int64_t width = 0;
  };
  std::vector<Output> outputs{};  // of the Program
  double load_seconds = 0;
};

LoadedModel load(const EngineOptions& options, const TaskOptions& task);

// A model's tokenizer, with the lower-casing that the folder may ask for.
tokens::Tokenizer load_tokenizer(const files::ModelFiles& model);

// The Program of a folder: body and head. Weights are mapped, not read. Only for a task that reads
// from a model. Throws kUsage for an adapter that the family does not take.
// `onnx_file`: the body is that file of the folder (EngineOptions); empty: a family's.
Program build_program(const files::ModelFiles& model, task::Task* task,
                      const std::string& adapter = {}, const std::string& onnx_file = {});

// The limit that holds without --max-length, and the largest that --max-length may ask for (0:
// none).
struct LengthLimits {
  std::int64_t standard = 0, largest = 0;
};
LengthLimits length_limits(const files::ModelFiles& model, const Program& program,
                           const task::Reads& reads);

// Throws kBadInput naming the first weight that holds NaN or infinity.
void check_finite(const Program& program);

}  // namespace inlay::engine

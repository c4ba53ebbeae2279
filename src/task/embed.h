// The dense embedding task: which head follows the body, how a text becomes a request, how a vector
// leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "files/model_files.h"
#include "inlay/inlay.hpp"
#include "program/program.h"
#include "task/task.h"

namespace inlay::task {

// The head as the folder's modules and the caller's options give it.
struct EmbedHead {
  std::vector<PoolMode> modes;
  bool include_prompt = true;  // false: the prompt's tokens are left out of pooling
  struct Module {              // after pooling, in order
    bool normalize = false;    // else dense
    files::DenseConfig dense;
    std::string name;
  };
  std::vector<Module> modules;
  std::int64_t dimensions = 0;  // 0: all
  bool normalize = false;       // the last thing done, after dimensions
  bool spans = false;           // pools spans of tokens, not texts

  // Set when pooling reads a single row, so that the body may compute its last layer for that row
  // only.
  std::optional<SelectKind> read_row() const;
};

// Throws kUnsupported for a module that Inlay does not have, kUsage for an unknown pooling name,
// kBadInput for a folder that contradicts itself.
EmbedHead plan_head(const files::ModelFiles& model, const EmbedOptions& options);

// A Dense module over the rows of `input`, whatever they are.
ValueId append_dense(Program* program, ValueId input, const files::DenseConfig& dense,
                     const std::string& name);

// Appends the head's steps. Throws kUsage when dimensions exceed the vector's width.
void append_head(Program* program, ValueId hidden, const EmbedHead& head);

}  // namespace inlay::task

// The door of arch/: an architecture family turns config.json and a checkpoint into the body of a
// Program. It knows no text, no task and no device. The list of families is generated from this
// folder's CMakeLists.txt.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "files/model_files.h"
#include "program/program.h"

namespace inlay::arch {

struct BuildOptions {
  // Set when the head reads one row of each text: the last layer is then computed for that row
  // alone.
  std::optional<SelectKind> read_row;
};

// A Program up to the last hidden state: [tokens, hidden_size], or [texts, hidden_size] when
// read_row was set.
struct Body {
  Program program;
  ValueId hidden = kNoValue;
};

struct Architecture {
  const char* name;      // "bert"
  const char* families;  // the model_types it takes, for messages
  bool (*match)(const files::ModelFiles& model);
  // Throws kBadInput (config and checkpoint disagree, a value out of range) or kUnsupported (a
  // variant of the family that is not built), naming the file, the field and both values.
  Body (*build)(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
                const BuildOptions& options);
};

std::span<const Architecture* const> all();

// The family of a model; kUnsupported with the list of families when there is none.
const Architecture& find(const files::ModelFiles& model);

}  // namespace inlay::arch

// The door of arch/: an architecture family turns config.json and a checkpoint into the body of a
// Program. It knows no text, no task and no device. The list of families is generated from this
// folder's CMakeLists.txt.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "files/model_files.h"
#include "program/head.h"

namespace inlay::arch {

using inlay::Head;

struct BuildOptions {
  // Set when the head reads one row of each text: the last layer is then computed for that row
  // alone. For kClassifier the family sets it itself, for kCausalLm it is the last.
  std::optional<SelectKind> read_row;
  Head head = Head::kHidden;
  std::string adapter{};  // of a family that has them (jina-embeddings-v3's tasks); empty: none
};

// A Program up to where the task takes over.
struct Body : Ending {
  Program program;
};

struct Architecture {
  const char* name;      // "bert"
  const char* families;  // the model_types it takes, for messages
  bool (*match)(const files::ModelFiles& model);
  // Throws kBadInput (config and checkpoint disagree, a value out of range, a head that the
  // checkpoint does not have) or kUnsupported (a variant of the family, or a head, that is not
  // built), naming the file, the field and both values.
  Body (*build)(const files::ModelFiles& model, std::shared_ptr<const Weights> weights,
                const BuildOptions& options);
  bool adapters = false;  // whether it takes BuildOptions::adapter
};

std::span<const Architecture* const> all();

// The family of a model; kUnsupported with the list of families when there is none.
const Architecture& find(const files::ModelFiles& model);

// The refusal for a head that the checkpoint lacks, or the family (`looked_for` may be empty then):
// names what was looked for and which models would do.
[[noreturn]] void no_head(const files::ModelFiles& model, Head head, std::string_view looked_for);

}  // namespace inlay::arch

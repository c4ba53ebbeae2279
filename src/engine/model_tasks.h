// What a model's folder is for, for those who measure and compare models without knowing them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inlay::engine {

struct ModelTasks {
  std::string model, revision;     // as Stats has them
  std::vector<std::string> tasks;  // "dense", "sparse", "rerank", "late"; its natural task first
  // The files by their sizes and times of change; empty when that says nothing (identity.h).
  std::string identity;
  bool program = true;  // false: nothing is computed (a table of token weights, a formula)
};

// Of a model on this machine; downloads nothing. Throws as Model::show does.
ModelTasks model_tasks(std::string_view locator);

// The models that a task takes when none is named, in order of preference.
std::vector<std::string> default_models(std::string_view task);

}  // namespace inlay::engine

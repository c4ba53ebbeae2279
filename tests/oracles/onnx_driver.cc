// Lets tests/oracles/test_onnxruntime.py look at the graphs that the onnxruntime room writes. Not
// installed, not a frontend.
//
//   onnx_driver FOLDER embed|sparse|rerank|late FILE [TEXTS LENGTH]
//
// Writes the graph of a model folder to FILE and its weights beside it. With TEXTS and LENGTH as
// for a provider that compiles: no open dimension, embeddings by the host.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "backend/onnxruntime/graph.h"
#include "base/error.h"
#include "engine/loader.h"

namespace {

using namespace inlay;

TaskOptions task_named(const std::string& name, const files::ModelFiles& model) {
  if (name == "embed") return task::natural_task(model);
  if (name == "rerank") return RerankOptions{};
  if (name == "late") return LateOptions{};
  SparseOptions sparse;
  sparse.assume_splade = true;
  return sparse;
}

int run(const char* folder, const char* task_name, const std::filesystem::path& file,
        backend::onnxruntime::GraphOptions options) {
  const files::ModelFiles model = files::ModelFiles::open(folder);
  const auto task = task::make_task(model, task_named(task_name, model));
  const Program program = engine::build_program(model, task.get());
  for (const std::string& reason : backend::onnxruntime::graph_reasons(program)) {
    std::cerr << reason << "\n";
    return 65;
  }
  const auto graph = backend::onnxruntime::make_graph(program, options, "a key");
  std::ofstream(file, std::ios::binary) << graph.model;
  const Buffer weights = graph.weights.fill();
  std::ofstream(file.parent_path() / backend::onnxruntime::kWeightsFile, std::ios::binary)
      .write(weights.as<char>(), static_cast<std::streamsize>(weights.bytes()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6) {
    std::cerr << "usage: onnx_driver FOLDER TASK FILE [TEXTS LENGTH]\n";
    return 64;
  }
  try {
    backend::onnxruntime::GraphOptions options;
    if (argc == 6)
      options = {std::strtol(argv[4], nullptr, 10), std::strtol(argv[5], nullptr, 10), true};
    return run(argv[1], argv[2], argv[3], options);
  } catch (const inlay::Error& error) {
    std::cerr << error.what() << "\n";
    return error.exit_code();
  }
}

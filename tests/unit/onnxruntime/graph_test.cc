// The graphs that are written: for each family and task the operators of a provider that compiles,
// by a table, and none that CoreML's MLProgram lacks; external weights that do not overlap.
#include "backend/onnxruntime/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "base/json.h"
#include "engine/loader.h"
#include "files/onnx_graph.h"

namespace inlay::backend::onnxruntime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSubsetOf;

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::set<std::string> words(const JsonValue& list) {
  std::set<std::string> all;
  for (const JsonValue& item : list.items()) all.emplace(item.string());
  return all;
}

TaskOptions task_named(std::string_view name, const files::ModelFiles& model) {
  if (name == "rerank") return RerankOptions{};
  if (name == "late") return LateOptions{};
  if (name != "sparse") return task::natural_task(model);
  SparseOptions sparse;
  sparse.assume_splade = true;
  return sparse;
}

Program program_of(const std::string& folder, std::string_view task_name) {
  const files::ModelFiles model =
      files::ModelFiles::open(std::string(INLAY_SOURCE_DIR) + "/tests/" + folder);
  const auto task = task::make_task(model, task_named(task_name, model));
  return engine::build_program(model, task.get());
}

std::set<std::string> operators_of(const Graph& graph) {
  const files::onnx::Graph parsed = files::onnx::parse_graph({graph.model, "graph"});
  std::set<std::string> all;
  for (const files::onnx::Node& node : parsed.nodes) all.emplace(node.op_type);
  return all;
}

TEST(Graph, OperatorsAreThoseOfTheTableAndCoremlHasThem) {
  const std::string text = read_file(std::string(INLAY_TEST_DATA) + "/onnxruntime/operators.json");
  const JsonDocument document = JsonDocument::parse(text, "operators.json");
  const std::set<std::string> mlprogram = words(document.root().at("mlprogram"));
  int graphs = 0;
  for (const JsonValue& row : document.root().at("graphs").items()) {
    const std::string folder(row.at("model").string());
    const std::string task(row.at("task").string());
    const Program program = program_of(folder, task);
    const std::vector<std::string> reasons = graph_reasons(program);
    if (const auto refused = row.find("refused")) {
      ASSERT_FALSE(reasons.empty()) << folder;
      EXPECT_THAT(reasons.front(), HasSubstr(std::string(refused->string()))) << folder;
      continue;
    }
    ASSERT_THAT(reasons, IsEmpty()) << folder;
    const std::set<std::string> compiled = operators_of(make_graph(program, {8, 32, true}));
    EXPECT_EQ(compiled, words(row.at("operators"))) << folder << " " << task;
    EXPECT_THAT(compiled, IsSubsetOf(mlprogram)) << folder << " " << task;
    // With open dimensions it is the same but for the look-up of embeddings.
    std::set<std::string> open = operators_of(make_graph(program, {}));
    EXPECT_EQ(open.erase("Gather"), 1U) << folder;
    for (const std::string& op : compiled) open.erase(op);
    EXPECT_THAT(open, IsSubsetOf(std::set<std::string>{"Add", "Mul"})) << folder;
    ++graphs;
  }
  EXPECT_GE(graphs, 15);
}

TEST(Graph, ShapesOfACompiledGraphAreNumbers) {
  const Program program = program_of("golden/models/bert-mean", "embed");
  const Graph open = make_graph(program, {});
  const Graph fixed = make_graph(program, {8, 64, true}, "a-key");
  EXPECT_NE(open.model.find("length"), std::string::npos);
  // "length" is a key of external data, too: the dimension's name stands in a field of its own.
  const std::string dimension = std::string("\x12\x06") + "length";
  EXPECT_NE(open.model.find(dimension), std::string::npos);
  EXPECT_EQ(fixed.model.find(dimension), std::string::npos);
  EXPECT_NE(fixed.model.find("COREML_CACHE_KEY"), std::string::npos);
  EXPECT_NE(fixed.model.find("a-key"), std::string::npos);
}

TEST(Graph, WeightsLieSideBySideInTheBlock) {
  const Program program = program_of("golden/models/modernbert-mean", "embed");
  const Graph graph = make_graph(program, {});
  const files::onnx::Graph parsed = files::onnx::parse_graph({graph.model, "graph"});
  std::map<std::uint64_t, std::uint64_t> places;
  for (const auto& [name, tensor] : parsed.constants) {
    if (!tensor.external) continue;
    EXPECT_EQ(tensor.location, kWeightsFile);
    ASSERT_TRUE(tensor.length.has_value());
    EXPECT_TRUE(places.emplace(tensor.offset, *tensor.length).second);
  }
  std::uint64_t end = 0;
  for (const auto& [offset, length] : places) {
    EXPECT_GE(offset, end);
    EXPECT_EQ(offset % 64, 0U);
    end = offset + length;
  }
  EXPECT_GT(end, 0U);
  EXPECT_LE(end, static_cast<std::uint64_t>(graph.weights.bytes()));
  EXPECT_EQ(graph.weights.fill().bytes(), static_cast<std::size_t>(graph.weights.bytes()));
}

TEST(Graph, ATiedTableIsStoredOnceForEachLayout) {
  Program p;
  const WeightRef words = p.own("words", {100, 64}, std::vector<float>(6400, 0.5F));
  const ValueId x = p.embed("embed", {words, {}, {}, 0, -1});
  const ValueId y = p.linear("one", {x, {words}, {}, Activation::kNone});
  p.residual("sum", {y, p.linear("two", {x, {words}, {}, Activation::kNone})});
  EXPECT_EQ(make_graph(p, {}).weights.bytes(), 2 * 6400 * 4);
}

}  // namespace
}  // namespace inlay::backend::onnxruntime

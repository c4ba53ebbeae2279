// What each provider is sent, key by key, and what is read of its answers. The stand-in records the
// calls.
#include "backend/onnxruntime/providers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "backend/select.h"
#include "base/error.h"
#include "engine/loader.h"
#include "engine/verdict.h"
#include "environment.h"

namespace inlay::backend::onnxruntime {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string refusal(std::string_view unit, const std::string& options) {
  try {
    provider_setup(unit, {"", options, ""});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "taken";
}

TEST(Providers, CoremlGetsThePresetAndWhatTheCallerAdds) {
  const Pairs preset{{"ModelFormat", "MLProgram"},
                     {"MLComputeUnits", "CPUAndNeuralEngine"},
                     {"SpecializationStrategy", "FastPrediction"},
                     {"EnableOnSubgraphs", "1"},
                     {"ProfileComputePlan", "1"}};
  EXPECT_EQ(provider_setup("coreml", {}).options, preset);
  Pairs cached = preset;
  cached.emplace_back("ModelCacheDirectory", "/cache/coreml");
  EXPECT_EQ(provider_setup("coreml", {"", "", "/cache"}).options, cached);
  Pairs all{{"ModelFormat", "NeuralNetwork"},      {"MLComputeUnits", "ALL"},
            {"SpecializationStrategy", "Default"}, {"EnableOnSubgraphs", "0"},
            {"ProfileComputePlan", "0"},           {"ModelCacheDirectory", "/mine"},
            {"RequireStaticInputShapes", "1"},     {"AllowLowPrecisionAccumulationOnGPU", "1"}};
  std::string given;
  for (const auto& [key, value] : all) given += key + "=" + value + ",";
  EXPECT_EQ(provider_setup("coreml", {"", given, "/cache"}).options, all);
  EXPECT_TRUE(provider_setup("coreml", {}).compiles);
}

TEST(Providers, CudaGetsNoTf32AndWhatTheCallerAdds) {
  const ProviderSetup setup = provider_setup("cuda", {"", "device_id=1,gpu_mem_limit=1000", ""});
  EXPECT_THAT(setup.options, ElementsAre(Pair("device_id", "1"), Pair("use_tf32", "0"),
                                         Pair("arena_extend_strategy", "kSameAsRequested"),
                                         Pair("gpu_mem_limit", "1000")));
}

TEST(Providers, OptionsThatAreNoneAreRefused) {
  EXPECT_THAT(refusal("coreml", "ModelFromat=MLProgram"), HasSubstr("ModelFormat, MLComputeUnits"));
  EXPECT_THAT(refusal("coreml", "MLComputeUnits=GPU"), HasSubstr("ALL|CPUAndNeuralEngine"));
  EXPECT_THAT(refusal("coreml", "ProfileComputePlan=true"), HasSubstr("0|1"));
  EXPECT_THAT(refusal("coreml", "ModelCacheDirectory="), HasSubstr("a folder"));
  EXPECT_THAT(refusal("coreml", "MLComputeUnits"), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(refusal("cuda", "=1"), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(refusal("cpu", "a=b"), HasSubstr("no options"));
  EXPECT_THAT(refusal("", "a=b"), HasSubstr("no options"));
}

TEST(Providers, CoremlsLineIsReadAndOthersAreNot) {
  CoremlCounts counts;
  ASSERT_TRUE(read_coreml_line(
      "CoreMLExecutionProvider::GetCapability, number of partitions supported by CoreML: 24 number "
      "of nodes in the graph: 458 number of nodes supported by CoreML: 331",
      &counts));
  EXPECT_EQ(counts.partitions, 24);
  EXPECT_EQ(counts.nodes, 458);
  EXPECT_EQ(counts.supported, 331);
  for (const char* line :
       {"", "number of nodes in the graph: 458",
        "Node(s) placed on [CPUExecutionProvider]. Number of nodes: 5",
        "number of partitions supported by CoreML: none number of nodes in the graph: 1 number of "
        "nodes supported by CoreML: 1"})
    EXPECT_FALSE(read_coreml_line(line, &counts)) << line;
}

// The tiny model on the stand-in, whose record is read back.
class StandIn : public testing::Test {
 protected:
  void SetUp() override {
    record_ =
        fs::path(testing::TempDir()) /
        (std::string("record_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove(record_);
    environment_.set("INLAY_STAND_IN_RECORD", record_.string());
    environment_.set("INLAY_ONNXRUNTIME_LIBRARY", INLAY_STAND_IN);
    environment_.set("INLAY_HOME", (fs::path(testing::TempDir()) / "ort_home").string());
  }
  void TearDown() override { fs::remove(record_); }

  EngineOptions options(const std::string& device) const {
    EngineOptions o;
    o.model = std::string(INLAY_SOURCE_DIR) + "/tests/golden/models/bert-mean";
    o.device = device;
    o.max_length = 64;
    return o;
  }
  Stats run(const EngineOptions& options, std::vector<std::string> texts = {"a fox"}) const {
    Engine engine(options);
    engine.run({std::move(texts)});
    return engine.stats();
  }
  std::vector<std::string> record() const {
    std::vector<std::string> lines;
    std::ifstream in(record_);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  Environment environment_;
  fs::path record_;
};

TEST_F(StandIn, CoremlIsToldThePresetAndServesFromOnePartition) {
  const Stats stats = run(options("onnxruntime:coreml"));
  const std::string home = std::getenv("INLAY_HOME");
  const std::string append =
      "AppendExecutionProvider CoreML ModelFormat=MLProgram MLComputeUnits=CPUAndNeuralEngine "
      "SpecializationStrategy=FastPrediction EnableOnSubgraphs=1 ProfileComputePlan=1 "
      "ModelCacheDirectory=" +
      home + "/cache/compiled/coreml";
  // Asked once by the probe, then for the size of a short text; the CPU checks that size.
  EXPECT_THAT(record(), ElementsAre(append, append, "CreateSession CoreML with COREML_CACHE_KEY",
                                    "Run CoreML", "CreateSession CPU with COREML_CACHE_KEY",
                                    "Run CPU", "Run CoreML", "Run CoreML"));
  EXPECT_EQ(stats.partitions, 1);
  EXPECT_EQ(stats.fallback_ops, 0);
  EXPECT_EQ(stats.device, "onnxruntime:coreml");
  EXPECT_THAT(stats.device_notes, Contains(HasSubstr("2 on CoreMLExecutionProvider")));
  EXPECT_THAT(stats.device_notes,
              Contains(HasSubstr("agreement with the CPU on 1 text of 32 tokens: 1.0")));
  EXPECT_GT(stats.padded_share, 0.5);
}

TEST_F(StandIn, EachKeyIsSentAsTheCallerGivesIt) {
  EngineOptions o = options("onnxruntime:coreml");
  o.provider_options =
      "MLComputeUnits=CPUAndGPU,AllowLowPrecisionAccumulationOnGPU=1,RequireStaticInputShapes=1,"
      "ModelCacheDirectory=/tmp/x";
  run(o);
  EXPECT_EQ(record().front(),
            "AppendExecutionProvider CoreML ModelFormat=MLProgram MLComputeUnits=CPUAndGPU "
            "SpecializationStrategy=FastPrediction EnableOnSubgraphs=1 ProfileComputePlan=1 "
            "ModelCacheDirectory=/tmp/x AllowLowPrecisionAccumulationOnGPU=1 "
            "RequireStaticInputShapes=1");
}

TEST_F(StandIn, PartitionsAndOperatorsLeftToTheCpuAreCounted) {
  for (const char* version : {"1.30.0", "1.21.0"}) {  // by the assignments, by the line alone
    environment_.set("INLAY_STAND_IN_VERSION", version);
    environment_.set("INLAY_STAND_IN_PLACEMENT",
                     "CoreML:MatMul,Add;CPU:Gather;CoreML:Softmax;CPU:Erf;CPU:Gather;CoreML:Div");
    EngineOptions o = options("onnxruntime:coreml");
    // A name of its own, so that the library is opened anew.
    o.onnxruntime_library = fs::path(INLAY_STAND_IN).parent_path().string() +
                            (version[3] == '1' ? "/../onnxruntime/" : "/./") +
                            fs::path(INLAY_STAND_IN).filename().string();
    const Stats stats = run(o);
    EXPECT_EQ(stats.partitions, 3) << version;
    EXPECT_EQ(stats.fallback_ops, 3) << version;
    EXPECT_THAT(stats.device_notes, Contains("CoreML could take 4 of 7 nodes in 3 partitions"));
    if (version[2] == '3') {
      EXPECT_THAT(stats.device_notes, Contains("left to the CPU: Erf x 1, Gather x 2"));
    }
  }
}

TEST_F(StandIn, ADeviceThatDisagreesIsRefused) {
  environment_.set("INLAY_STAND_IN_CODE", "wrong");
  try {
    run(options("onnxruntime:coreml"));
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.what(), HasSubstr("agree with the CPU"));
  }
}

TEST_F(StandIn, CudaIsToldItsOptionsThroughV2) {
  EngineOptions o = options("onnxruntime:cuda");
  o.provider_options = "gpu_mem_limit=1000000000";
  environment_.set("INLAY_STAND_IN_PLACEMENT", "CUDA:MatMul;CUDA:Add;CPU:Gather");
  const Stats stats = run(o);
  EXPECT_EQ(record().front(),
            "AppendExecutionProvider_CUDA_V2 device_id=0 use_tf32=0 "
            "arena_extend_strategy=kSameAsRequested gpu_mem_limit=1000000000");
  EXPECT_EQ(stats.fallback_ops, 1);
  EXPECT_EQ(stats.partitions, 2);
  EXPECT_THAT(record(), Contains("BindInput ids_0"));
  EXPECT_THAT(record(), Contains("BindOutput output_0"));
  const std::vector<std::string> calls = record();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "RunWithBinding"),
            std::count(calls.begin(), calls.end(), "Run CUDA"));
  o.provider_options = "bogus=1";
  EXPECT_THROW(run(o), Error);
}

TEST_F(StandIn, DisabledCoremlIsNeverCalled) {
  const auto expect_refused = [&](EngineOptions o) {
    try {
      run(o);
      ADD_FAILURE() << "taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      EXPECT_THAT(error.what(), HasSubstr("switches off"));
    }
  };
  EngineOptions o = options("onnxruntime:coreml");
  for (const char* list : {"coreml", "onnxruntime:coreml", "onnxruntime"}) {
    o.disable = list;
    expect_refused(o);
  }
  o.disable = "";
  environment_.set("INLAY_DISABLE", "coreml");
  expect_refused(o);
  const std::string status = status_json("", "", false);
  EXPECT_THAT(status, HasSubstr(R"("device":"onnxruntime:coreml","state":"disabled")"));
  EXPECT_THAT(status, HasSubstr(R"("device":"onnxruntime:cpu","state":"ok")"));
  for (const std::string& line : record()) EXPECT_THAT(line, testing::Not(HasSubstr("CoreML")));
  o.device = "onnxruntime:cpu";
  run(o);
  EXPECT_THAT(record(), testing::Not(Contains(HasSubstr("CoreML"))));
}

TEST_F(StandIn, DisabledRoomIsNotOpened) {
  environment_.set("INLAY_DISABLE", "onnxruntime");
  const std::string status = status_json("", "", true);
  EXPECT_THAT(status, HasSubstr(R"("device":"onnxruntime:cpu","state":"disabled")"));
  EXPECT_THAT(record(), IsEmpty());
  EngineOptions o = options("auto");
  EXPECT_EQ(run(o).backend, "cpu");
}

TEST_F(StandIn, CudaIsSwitchedOffByEveryRoute) {
  EngineOptions o = options("onnxruntime:cuda");
  o.disable = "cuda";
  EXPECT_THROW(run(o), Error);
  EXPECT_THAT(record(), IsEmpty());
}

TEST_F(StandIn, AutoNeverTakesIt) {
  EngineOptions o = options("auto");
  o.disable = "cpu,cuda";
  EXPECT_THROW(run(o), Error);
  EXPECT_THAT(record(), IsEmpty());
}

TEST_F(StandIn, TheLibrarysRefusalReachesTheUser) {
  environment_.set("INLAY_STAND_IN_FAULT", "coreml");
  try {
    run(options("onnxruntime:coreml"));
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 69);
    EXPECT_THAT(error.what(), HasSubstr("not supported in this build"));
    EXPECT_THAT(error.what(), HasSubstr("Remedy"));
  }
}

// What takes long to compile, with the CPU beside it. The stand-in's vectors are not the CPU's.
class Meanwhile : public StandIn {
 protected:
  void SetUp() override {
    StandIn::SetUp();
    gate_ = record_.string() + "_gate";
    fs::remove(gate_);
    environment_.set("INLAY_STAND_IN_GATE", gate_.string());
    expected_ = Engine(options("cpu")).run({{"a fox"}}).vectors;
  }
  void TearDown() override {
    fs::remove(gate_);
    StandIn::TearDown();
  }
  EngineOptions beside_the_cpu(const std::string& device) const {
    EngineOptions o = options(device);
    o.meanwhile = "cpu";
    return o;
  }
  bool by_cpu(Engine* engine) const { return engine->run({{"a fox"}}).vectors == expected_; }
  // Until `done` says so; false: it never did.
  template <typename Done>
  static bool wait(Done done) {
    for (int tries = 0; tries < 2000; ++tries) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  // `auto` takes coreml for the model.
  void prefer_coreml() {
    const engine::ModelTasks model = engine::model_tasks(options("auto").model);
    engine::Verdict verdict;
    verdict.key = engine::verdict_key(model, "dense");
    for (const char* device : {"cpu", "onnxruntime:coreml"}) {
      engine::DeviceVerdict& one = verdict.devices.emplace_back();
      one.device = device;
      one.dtype = "fp32";
      one.state = "ok";
      one.ms_per_text = *device == 'c' ? 10 : 1;
      if (*device != 'c') one.version = "1.30.0";
    }
    ASSERT_EQ(engine::write_verdict(verdict), "");
  }
  fs::path gate_;
  std::vector<float> expected_;
};

TEST_F(Meanwhile, TheCpuServesUntilCoremlIsCompiled) {
  Engine engine(beside_the_cpu("onnxruntime:coreml"));
  EXPECT_TRUE(by_cpu(&engine));
  EXPECT_TRUE(by_cpu(&engine));
  Stats stats = engine.stats();
  EXPECT_EQ(stats.device, "onnxruntime:coreml");
  EXPECT_THAT(stats.served, ElementsAre(Pair("onnxruntime:coreml", 0), Pair("cpu", 2)));
  EXPECT_THAT(stats.device_notes, Contains(HasSubstr("is being compiled")));
  EXPECT_THAT(record(), testing::Not(Contains("Run CoreML")));
  std::ofstream(gate_) << "open";
  EXPECT_TRUE(wait([&] { return !by_cpu(&engine); }));
  stats = engine.stats();
  EXPECT_EQ(stats.served[0].second, 1);
  EXPECT_EQ(stats.served[0].second + stats.served[1].second, stats.texts);
  EXPECT_THAT(stats.device_notes, Contains(HasSubstr("to compile, in the background")));
  EXPECT_THAT(stats.device_notes, Contains(HasSubstr("on 1 text of 32 tokens: 1.0")));
  EXPECT_EQ(stats.partitions, 1);
  EXPECT_GT(stats.padded_share, 0);
  // Eight texts are another size: the CPU serves while that is compiled.
  const std::vector<std::string> eight(8, "a fox");
  EXPECT_EQ(std::vector<float>(engine.run({eight}).vectors), [&] {
    std::vector<float> all;
    for (int i = 0; i < 8; ++i) all.insert(all.end(), expected_.begin(), expected_.end());
    return all;
  }());
  EXPECT_TRUE(wait([&] {
    engine.run({eight});
    return engine.stats().served[0].second == 9;
  }));
  EXPECT_THAT(engine.stats().device_notes, Contains(HasSubstr("on 8 texts of 32 tokens: 1.0")));
}

TEST_F(Meanwhile, AnotherDeviceIsTakenAsAWhole) {
  Engine engine(beside_the_cpu("onnxruntime:cuda"));
  EXPECT_TRUE(by_cpu(&engine));
  EXPECT_THAT(engine.stats().device_notes, ElementsAre(HasSubstr("is being compiled")));
  std::ofstream(gate_) << "open";
  EXPECT_TRUE(wait([&] { return !by_cpu(&engine); }));
  EXPECT_EQ(engine.stats().served[0].second, 1);
}

TEST_F(Meanwhile, ANamedDeviceThatDisagreesFailsWhatComesAfter) {
  std::ofstream(gate_) << "open";
  environment_.set("INLAY_STAND_IN_CODE", "wrong");
  Engine engine(beside_the_cpu("onnxruntime:coreml"));
  std::string why;
  EXPECT_TRUE(wait([&] {
    try {
      EXPECT_TRUE(by_cpu(&engine));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      why = error.what();
    }
    return !why.empty();
  }));
  EXPECT_THAT(why, HasSubstr("agree with the CPU"));
  EXPECT_THAT(engine.stats().device_notes, Contains(HasSubstr("is not used")));
}

TEST_F(Meanwhile, AutoGoesOnWithTheCpuWhereItDisagrees) {
  std::ofstream(gate_) << "open";
  environment_.set("INLAY_STAND_IN_CODE", "wrong");
  const fs::path home = fs::path(testing::TempDir()) / "ort_meanwhile_home";
  environment_.set("INLAY_HOME", home.string());
  prefer_coreml();
  {
    Engine engine(options("auto"));
    EXPECT_EQ(engine.stats().device, "onnxruntime:coreml");
    EXPECT_TRUE(by_cpu(&engine));  // coreml compiles each size: nobody waits for it
    EXPECT_TRUE(wait([&] {
      const std::vector<std::string> notes = engine.stats().device_notes;
      return std::any_of(notes.begin(), notes.end(), [](const std::string& note) {
        return note.find("is not used") != std::string::npos;
      });
    }));
    EXPECT_TRUE(by_cpu(&engine));
    EXPECT_THAT(engine.stats().served, ElementsAre(Pair("onnxruntime:coreml", 0), Pair("cpu", 2)));
  }
  environment_.set("INLAY_STAND_IN_CODE", "");
  EngineOptions waits = options("auto");
  waits.meanwhile = "nothing";
  const Stats stats = run(waits);
  EXPECT_THAT(stats.served, IsEmpty());
  EXPECT_EQ(stats.device, "onnxruntime:coreml");
  fs::remove_all(home);
}

TEST_F(Meanwhile, IsObeyedOrRefused) {
  std::ofstream(gate_) << "open";
  const auto code_of = [&](EngineOptions o) {
    try {
      run(o);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode{};
  };
  EngineOptions o = options("onnxruntime:coreml");
  o.meanwhile = "torch";
  EXPECT_EQ(code_of(o), ErrorCode::kUsage);
  o.meanwhile = "cpu";
  o.disable = "cpu";
  EXPECT_EQ(code_of(o), ErrorCode::kUnavailable);
  EXPECT_THAT(run(beside_the_cpu("cpu")).served, IsEmpty());  // nothing to wait for
}

}  // namespace
}  // namespace inlay::backend::onnxruntime

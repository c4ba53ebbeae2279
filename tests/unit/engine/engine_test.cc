// The engine over a tiny model: invariance, limits, cancellation, hostile weights, many callers.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "engine/loader.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace {

namespace fs = std::filesystem;

std::string model_folder(const char* name) {
  return std::string(INLAY_SOURCE_DIR) + "/tests/golden/models/" + name;
}

EngineOptions options(const char* name, int threads = 2) {
  EngineOptions o;
  o.model = model_folder(name);
  o.device = "cpu";
  o.threads = threads;
  return o;
}

std::vector<std::string> many_texts(std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text;
    for (std::size_t w = 0; w <= (i * 7) % 40; ++w)
      text += "vector fox " + std::to_string(i % 97) + " ";
    texts.push_back(text);
  }
  return texts;
}

void expect_code(ErrorCode code, const char* part, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "expected an error with " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Engine, VectorsDoNotDependOnBatchPlaceThreadsOrBudget) {
  const std::vector<std::string> texts = many_texts(INLAY_SANITIZED ? 100 : 300);
  Engine one(options("bert-mean", 1));
  const Result expected = one.run({texts});
  for (const int threads : {1, 2, 3}) {
    for (const std::int64_t budget : {64, 777, 16384}) {
      EngineOptions o = options("bert-mean", threads);
      o.batch_tokens = budget;
      Engine engine(o);
      std::vector<std::string> reversed(texts.rbegin(), texts.rend());
      const Result got = engine.run({reversed});
      const auto dim = static_cast<std::size_t>(got.dim);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        ASSERT_EQ(0, std::memcmp(&expected.vectors[i * dim],
                                 &got.vectors[(texts.size() - 1 - i) * dim], dim * sizeof(float)))
            << "text " << i << ", " << threads << " threads, budget " << budget;
      }
    }
  }
}

TEST(Engine, ManyCallersShareOneEngine) {
  Engine engine(options("bert-cased-cls"));
  const std::vector<std::string> texts = many_texts(64);
  const Result expected = engine.run({texts});
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 6; ++c) {
    callers.emplace_back([&, c] {
      for (int round = 0; round < 5; ++round) {
        Request request;
        const std::size_t begin = static_cast<std::size_t>(c * 7 + round) % 40;
        request.texts.assign(texts.begin() + static_cast<std::ptrdiff_t>(begin),
                             texts.begin() + static_cast<std::ptrdiff_t>(begin) + 20);
        request.priority = c % 3;
        const Result got = engine.run(request);
        const auto dim = static_cast<std::size_t>(got.dim);
        if (std::memcmp(got.vectors.data(), &expected.vectors[begin * dim],
                        20 * dim * sizeof(float)) != 0)
          ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(engine.stats().texts, 64 + 6 * 5 * 20);
}

TEST(Engine, CountsAndCutsSayWhatHappened) {
  EngineOptions o = options("bert-mean");
  o.max_length = 8;
  Engine engine(o);
  const Result result = engine.run({{"", "fox", many_texts(40)[39]}});
  EXPECT_EQ(result.texts[0].tokens, 2);  // [CLS] [SEP]
  EXPECT_FALSE(result.texts[1].truncated);
  EXPECT_EQ(result.texts[2].tokens, 8);
  EXPECT_TRUE(result.texts[2].truncated);
  EXPECT_EQ(engine.stats().truncated, 1);
  o.truncate = Truncate::kError;
  Engine strict(o);
  Request request{{"fox", many_texts(40)[39]}};
  request.first_index = 100;
  expect_code(ErrorCode::kBadInput, "text 101", [&] { strict.run(request); });
  EXPECT_EQ(strict.run({{"fox"}}).texts[0].tokens, result.texts[1].tokens);  // the engine goes on
}

TEST(Engine, PromptsAreAddedAndTold) {
  Engine engine(options("bert-prompt"));
  Request plain{{"fox"}};
  Request query{{"fox"}};
  query.role = Role::kQuery;
  Request named{{"fox"}};
  named.prompt = "query";
  Request none = query;
  none.prompt = "none";
  const Result with_prompt = engine.run(query);
  EXPECT_EQ(with_prompt.texts[0].prompt, "query");
  EXPECT_EQ(with_prompt.vectors, engine.run(named).vectors);
  EXPECT_NE(with_prompt.vectors, engine.run(plain).vectors);
  EXPECT_EQ(engine.run(none).vectors, engine.run(plain).vectors);
  named.prompt = "nonsense";
  expect_code(ErrorCode::kUsage, "document, passage, query", [&] { engine.run(named); });
}

TEST(Engine, RefusesBadUtf8AndTakesNothing) {
  Engine engine(options("bert-mean"));
  expect_code(ErrorCode::kBadInput, "offset 3", [&] { engine.run({{"fine", "abc\xff"}}); });
  EXPECT_TRUE(engine.run({}).vectors.empty());
}

TEST(Engine, CancelledAndLateRequestsFailAlone) {
  Engine engine(options("bert-mean"));
  Request cancelled{many_texts(50)};
  cancelled.cancel.emplace();
  cancelled.cancel->cancel();
  Request late{many_texts(50)};
  late.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  auto first = engine.submit(cancelled);
  auto second = engine.submit(late);
  const Result good = engine.run({{"fox"}});
  EXPECT_EQ(good.texts[0].error, "");
  expect_code(ErrorCode::kCancelled, "cancelled", [&] { first.get(); });
  expect_code(ErrorCode::kCancelled, "deadline", [&] { second.get(); });
}

TEST(Engine, OptionsOutOfRangeAreUsageErrors) {
  const auto make = [](auto change) {
    EngineOptions o = options("bert-mean");
    EmbedOptions e;
    change(o, e);
    Engine engine(o, e);
  };
  using O = EngineOptions;
  using E = EmbedOptions;
  expect_code(ErrorCode::kUsage, "--max-length",
              [&] { make([](O& o, E&) { o.max_length = 65; }); });
  expect_code(ErrorCode::kUsage, "--max-length", [&] { make([](O& o, E&) { o.max_length = 2; }); });
  expect_code(ErrorCode::kUsage, "--dimensions",
              [&] { make([](O&, E& e) { e.dimensions = 33; }); });
  expect_code(ErrorCode::kUsage, "--pooling",
              [&] { make([](O&, E& e) { e.pooling = "average"; }); });
  expect_code(ErrorCode::kUsage, "--device", [&] { make([](O& o, E&) { o.device = "abacus"; }); });
  expect_code(ErrorCode::kUnavailable, "CUDA",
              [&] { make([](O& o, E&) { o.device = "cuda:99"; }); });
  expect_code(ErrorCode::kUnavailable, "switches off",
              [&] { make([](O& o, E&) { o.disable = "cpu"; }); });
  expect_code(ErrorCode::kUnavailable, "cpu: disabled",
              [&] { make([](O& o, E&) { o.device = "auto", o.disable = "cpu"; }); });
  expect_code(ErrorCode::kUsage, "--disable",
              [&] { make([](O& o, E&) { o.disable = "abacus"; }); });
  expect_code(ErrorCode::kUnavailable, "fp16", [&] { make([](O& o, E&) { o.dtype = "fp16"; }); });
  expect_code(ErrorCode::kUsage, "--dtype", [&] { make([](O& o, E&) { o.dtype = "fp31"; }); });
  expect_code(ErrorCode::kUsage, "--threads", [&] { make([](O& o, E&) { o.threads = -1; }); });
  expect_code(ErrorCode::kMemoryLimit, "--memory-limit",
              [&] { make([](O& o, E&) { o.memory_limit = 1 << 20; }); });
  expect_code(ErrorCode::kNotFound, "no-such",
              [&] { make([](O& o, E&) { o.model = "no-such/model"; }); });
}

TEST(Engine, AutoTakesTheCpuAndTellsWhy) {
  EngineOptions o = options("bert-mean");
  o.device = "auto";
  Engine engine(o);
  const Stats stats = engine.stats();
  EXPECT_EQ(stats.backend, "cpu");
  EXPECT_EQ(stats.dtype, "fp32");
  EXPECT_FALSE(stats.isa.empty());
}

// A copy of a tiny model whose checkpoint is edited byte by byte.
class EditedModel : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("inlay_engine_test_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
         testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::copy(model_folder("bert-mean"), folder_, fs::copy_options::recursive);
    std::ifstream in(folder_ / "model.safetensors", std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
  }
  void TearDown() override { fs::remove_all(folder_); }
  void poke(std::size_t from_end, float value) {
    std::memcpy(bytes_.data() + bytes_.size() - from_end, &value, 4);
  }
  EngineOptions save() {
    std::ofstream(folder_ / "model.safetensors", std::ios::binary) << bytes_;
    EngineOptions o;
    o.model = folder_.string();
    o.device = "cpu";
    return o;
  }
  fs::path folder_;
  std::string bytes_;
};

TEST_F(EditedModel, NonFiniteWeightsAreRefusedUnlessAllowed) {
  poke(bytes_.size() / 2 / 4 * 4, NAN);
  EngineOptions o = save();
  expect_code(ErrorCode::kBadInput, "--allow-nonfinite", [&] { Engine engine(o); });
  o.allow_nonfinite = true;
  Engine engine(o);
  const Result result = engine.run({{"fox", "dog"}});
  for (const float v : result.vectors) EXPECT_TRUE(std::isfinite(v));
  EXPECT_EQ(engine.stats().nonfinite, static_cast<std::int64_t>(!result.texts[0].error.empty()) +
                                          !result.texts[1].error.empty());
}

// A table of one row, whose bytes are `bytes`.
template <typename Element, std::size_t kCount>
Program program_with(DType dtype, const std::array<Element, kCount>& row) {
  Program program;
  TensorView tensor;
  tensor.dtype = dtype;
  tensor.shape = {1, static_cast<std::int64_t>(kCount)};
  tensor.data = row.data();
  EmbedStep step;
  step.tokens = {"table", tensor, "file"};
  program.embed("embeddings", step);
  return program;
}

TEST(CheckFinite, ReadsEveryDtypeByItsOwnWidth) {
  const auto refused = [](const Program& program) {
    try {
      engine::check_finite(program);
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::kBadInput;
    }
  };
  const auto f64 = [&](double last) {
    return refused(program_with(DType::kF64, std::array<double, 3>{1, -2, last}));
  };
  EXPECT_FALSE(f64(1e30));
  EXPECT_TRUE(f64(NAN));
  EXPECT_TRUE(f64(INFINITY));
  EXPECT_TRUE(f64(1e300));  // infinite in fp32
  EXPECT_TRUE(refused(program_with(DType::kF32, std::array<float, 2>{1, NAN})));
  EXPECT_FALSE(refused(program_with(DType::kF32, std::array<float, 2>{1, 3e38F})));
  using Halves = std::array<std::uint16_t, 2>;
  EXPECT_TRUE(refused(program_with(DType::kF16, Halves{0x3C00, 0x7C00})));
  EXPECT_FALSE(refused(program_with(DType::kF16, Halves{0x3C00, 0x7BFF})));
  EXPECT_TRUE(refused(program_with(DType::kBF16, Halves{0x3F80, 0x7F80})));
  EXPECT_FALSE(refused(program_with(DType::kBF16, Halves{0x7C00, 0x3F80})));
  // Integers have no NaN, and are no pairs of bytes.
  using Bytes = std::array<std::uint8_t, 3>;
  EXPECT_FALSE(refused(program_with(DType::kU8, Bytes{0x80, 0x7F, 0xFF})));
  EXPECT_FALSE(refused(program_with(DType::kI8, Bytes{0x80, 0x7F, 0xFF})));
  EXPECT_FALSE(refused(program_with(DType::kI32, std::array<std::int32_t, 1>{0x7F800000})));
}

TEST_F(EditedModel, OverwritingTheFileAfterLoadChangesNothing) {
  const EngineOptions o = save();
  Engine engine(o);
  const Result before = engine.run({{"fox"}});
  { std::ofstream(folder_ / "model.safetensors", std::ios::binary | std::ios::trunc) << "x"; }
  EXPECT_EQ(engine.run({{"fox"}}).vectors, before.vectors);
}

TEST(Status, NamesEveryRoomWithStateAndReason) {
  const std::string status = status_json("", "cpu", true);
  EXPECT_NE(status.find(R"("device":"cpu","state":"disabled")"), std::string::npos) << status;
  EXPECT_NE(status.find(R"("device":"cuda","state":")"), std::string::npos) << status;
}

TEST(ModelShow, PrintsTheProgram) {
  const std::string shown = Model::show(model_folder("roberta-mean"), true);
  EXPECT_NE(shown.find("layer.1.attention"), std::string::npos);
  EXPECT_NE(shown.find("\"longest_max_length\":64"), std::string::npos) << shown;
}

// The list must not deny what the engine runs: what is missing are families that arch/ lacks.
TEST(ModelList, SaysOnlyOfMissingFamiliesThatTheyAreMissing) {
  std::set<std::string> missing;
  int tables = 0;
  for (const ModelEntry& entry : Model::list()) {
    EXPECT_EQ(entry.missing.empty(), entry.support != "not supported yet") << entry.id;
    if (!entry.missing.empty()) missing.insert(entry.missing);
    if (entry.family == "static" && entry.missing.empty()) ++tables;
  }
  const std::set<std::string> expected{"family deberta", "family gemma", "family gemma2",
                                       "family minicpm"};
  EXPECT_EQ(missing, expected);
  EXPECT_GE(tables, 8);
}

}  // namespace
}  // namespace inlay

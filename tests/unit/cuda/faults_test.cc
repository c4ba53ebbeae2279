// The host's part over a device that fails on order: memory that does not suffice, a kernel that
// stops, a driver that goes away. Each is an error with its reason, and nothing waits for ever.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "backend/cuda/executable.h"
#include "base/error.h"

namespace inlay::backend::cuda {

// Stands in for the library's: what a text gets is the sum of its ids, in every column.
struct Session {
  BatchShape most{};
  InputKinds kinds{};
  std::int64_t width = 0;
  struct Stage {
    std::vector<std::int32_t> inputs;
    std::vector<float> outputs;
    BatchShape shape{}, padded{};
    bool busy = false;
  };
  std::array<Stage, kStages> stages;
  std::atomic<bool> broken{false};  // one thread may wait while another submits
  int submissions = 0;
};

namespace {

using testing::HasSubstr;

struct Faults {
  std::int64_t most_tokens = std::int64_t{1} << 40;  // of a session, or memory does not suffice
  const char* failing = "";                          // the function that fails
  int after = 0;                                     // calls of it that go well before
  std::atomic<int> created{0}, destroyed{0}, twice{0};
  std::mutex mutex;
  std::vector<int> submissions;  // of each session that ended
};
Faults* faults = nullptr;

Status outcome(const char* function, Message* message) {
  const std::lock_guard lock(faults->mutex);
  if (std::string_view(faults->failing) != function || faults->after-- > 0) return Status::kOk;
  faults->after = 0;
  std::snprintf(message->text, sizeof message->text, "%s: the GPU says unspecified launch failure",
                function);
  return Status::kFailed;
}

Status on(Session* session, const char* function, Message* message) {
  if (session->broken) {
    std::snprintf(message->text, sizeof message->text, "stopped after an earlier failure");
    return Status::kFailed;
  }
  const Status status = outcome(function, message);
  session->broken = status != Status::kOk;
  return status;
}

Status device_facts(std::int32_t, DeviceFacts* facts, Message* message) {
  *facts = {"a GPU", 9, 0, std::int64_t{1} << 30};
  return outcome("device_facts", message);
}
Status create(const SessionSpec* spec, Session** session, Message* message) {
  *session = nullptr;
  if (spec->most.tokens > faults->most_tokens) {
    std::snprintf(message->text, sizeof message->text, "taking memory: the GPU says out of memory");
    return Status::kOutOfMemory;
  }
  const Status status = outcome("create", message);
  if (status != Status::kOk) return status;
  *session = new Session;
  (*session)->most = spec->most;
  (*session)->kinds = spec->inputs;
  (*session)->width = spec->outputs[0].width;
  for (Session::Stage& stage : (*session)->stages) {
    stage.inputs.resize(static_cast<std::size_t>(spec->input_words));
    stage.outputs.resize(static_cast<std::size_t>(spec->output_bytes) / sizeof(float));
  }
  ++faults->created;
  return Status::kOk;
}
Status upload(Session* session, const float*, std::int64_t, std::int64_t, std::int64_t,
              std::int64_t, Type, Message* message) {
  return on(session, "upload", message);
}
Status prepare(Session* session, Message* message) { return on(session, "prepare", message); }
std::int32_t* inputs(Session* session, int stage) {
  return session->stages[static_cast<std::size_t>(stage)].inputs.data();
}
const char* outputs(Session* session, int stage) {
  return reinterpret_cast<const char*>(
      session->stages[static_cast<std::size_t>(stage)].outputs.data());
}
BatchShape padded(Session*, const BatchShape* shape) { return *shape; }
Status submit(Session* session, int stage, const BatchShape* shape, const BatchShape* padded_shape,
              Message* message) {
  ++session->submissions;
  Session::Stage& mine = session->stages[static_cast<std::size_t>(stage)];
  if (mine.busy) ++faults->twice;
  mine.busy = true;
  mine.shape = *shape;
  mine.padded = *padded_shape;
  return on(session, "submit", message);
}
Status wait(Session* session, int stage, Message* message) {
  Session::Stage& mine = session->stages[static_cast<std::size_t>(stage)];
  const InputLayout at = input_layout(mine.padded, session->kinds);
  for (std::int64_t t = 0; t < mine.shape.texts; ++t) {
    const std::int32_t* offset = mine.inputs.data() + at.offsets + t;
    const std::int32_t* ids = mine.inputs.data() + at.ids;
    const auto sum =
        static_cast<float>(std::accumulate(ids + offset[0], ids + offset[1], std::int64_t{0}));
    std::fill_n(mine.outputs.begin() + t * session->width, session->width, sum);
  }
  mine.busy = false;
  return on(session, "wait", message);
}
void destroy(Session* session) {
  if (session == nullptr) return;
  ++faults->destroyed;
  {
    const std::lock_guard lock(faults->mutex);
    faults->submissions.push_back(session->submissions);
  }
  delete session;
}

Api failing_api() {
  Api api{};
  api.interface = kInterface;
  api.device_facts = device_facts;
  api.create = create;
  api.upload = upload;
  api.prepare = prepare;
  api.inputs = inputs;
  api.outputs = outputs;
  api.padded = padded;
  api.submit = submit;
  api.wait = wait;
  api.destroy = destroy;
  return api;
}

constexpr std::int64_t kWidth = 8;

class FaultsTest : public testing::Test {
 protected:
  FaultsTest() {
    faults = &faults_;
    const WeightRef words = program_.own("words", {100, kWidth}, std::vector<float>(100 * kWidth));
    const ValueId x = program_.embed("embed", {words, {}, {}, 0, -1});
    program_.pool("mean", {x, {PoolMode::kMean}});
    options_.dtype = "fp16";
    options_.max_tokens = 2 * kChunkTokens;
    options_.max_texts = 1000;
    options_.max_text_tokens = 512;
    // Texts of 500 tokens: several submissions.
    for (int t = 0; t < 120; ++t) {
      for (int i = 0; i < 500; ++i) ids_.push_back((t * 7 + i) % 100);
      offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
      expected_.push_back(
          static_cast<float>(std::accumulate(ids_.end() - 500, ids_.end(), std::int64_t{0})));
    }
  }
  ~FaultsTest() override { EXPECT_EQ(faults_.created, faults_.destroyed); }

  std::unique_ptr<Executable> make(const std::vector<std::int32_t>& devices = {0}) {
    return make_executable_on(program_, options_, api_, devices);
  }
  void run(Executable* executable, std::vector<float>* out) const {
    out->assign(expected_.size() * kWidth, -1);
    executable->run({ids_, {}, offsets_, {}}, std::span<float>(*out));
  }
  void expect_right(const std::vector<float>& out) const {
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], expected_[i / kWidth]) << i;
  }
  std::string refusal(Executable* executable) const {
    std::vector<float> out;
    try {
      run(executable, &out);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      return error.what();
    }
    return "none";
  }

  Faults faults_;
  const Api api_ = failing_api();
  Program program_;
  CompileOptions options_;
  std::vector<std::int32_t> ids_, offsets_{0};
  std::vector<float> expected_;
};

TEST_F(FaultsTest, OutOfMemoryHalvesTheSubmissionOnce) {
  faults_.most_tokens = kChunkTokens / 2;
  const auto executable = make();
  std::vector<float> out;
  run(executable.get(), &out);
  expect_right(out);
  EXPECT_EQ(faults_.created, 1);
}

TEST_F(FaultsTest, OutOfMemoryTwiceIsToldWithItsReason) {
  faults_.most_tokens = kChunkTokens / 2 - 1;
  try {
    make();
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemoryLimit);
    EXPECT_THAT(error.what(), HasSubstr("out of memory"));
  }
  EXPECT_EQ(faults_.created, 0);
}

TEST_F(FaultsTest, WhatFailsAtLoadIsToldAndLeavesNothingBehind) {
  for (const char* function : {"device_facts", "create", "upload", "prepare"}) {
    faults_.failing = function;
    faults_.after = 0;
    try {
      make();
      ADD_FAILURE() << "expected an error from " << function;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      EXPECT_THAT(error.what(), HasSubstr(function));
    }
    EXPECT_EQ(faults_.created, faults_.destroyed);
  }
  faults_.failing = "";
  std::vector<float> out;
  run(make().get(), &out);  // the next attempt is not spoilt
  expect_right(out);
}

TEST_F(FaultsTest, AfterAFailureEveryRunIsRefusedAndNoneHangs) {
  for (const char* function : {"submit", "wait"}) {
    faults_.failing = function;
    faults_.after = 1;
    const auto executable = make();
    EXPECT_THAT(refusal(executable.get()), HasSubstr("unspecified launch failure"));
    faults_.failing = "";
    for (int i = 0; i < 2 * kStages; ++i)
      EXPECT_THAT(refusal(executable.get()), HasSubstr("stopped after an earlier failure"));
  }
}

TEST_F(FaultsTest, LanesShareStagesAndNoneIsFilledWhileItRuns) {
  const auto executable = make();
  ASSERT_GE(executable->lanes(), 2);
  std::vector<std::thread> lanes;
  std::vector<std::vector<float>> outs(static_cast<std::size_t>(executable->lanes()));
  for (std::vector<float>& out : outs) {
    lanes.emplace_back([&] {
      for (int i = 0; i < 20; ++i) run(executable.get(), &out);
    });
  }
  for (std::thread& lane : lanes) lane.join();
  for (const std::vector<float>& out : outs) expect_right(out);
  EXPECT_EQ(faults_.twice, 0);
}

TEST_F(FaultsTest, SeveralDevicesShareTheBatches) {
  {
    const auto executable = make({0, 0});
    EXPECT_EQ(executable->lanes(), 2 * kStages);
    EXPECT_EQ(executable->memory().device, 2 * make()->memory().device);
    faults_.submissions.clear();
    std::vector<std::thread> lanes;
    std::vector<std::vector<float>> outs(static_cast<std::size_t>(executable->lanes()));
    for (std::vector<float>& out : outs) {
      lanes.emplace_back([&] {
        for (int i = 0; i < 20; ++i) run(executable.get(), &out);
      });
    }
    for (std::thread& lane : lanes) lane.join();
    for (const std::vector<float>& out : outs) expect_right(out);
  }
  ASSERT_EQ(faults_.submissions.size(), 2U);
  for (const int count : faults_.submissions) EXPECT_GT(count, 0);
}

TEST(Numbers, AreListsOfDevices) {
  EXPECT_EQ(parse_numbers("3"), std::vector<std::int32_t>{3});
  EXPECT_EQ(parse_numbers("0,1,0"), (std::vector<std::int32_t>{0, 1, 0}));
  for (const char* wrong : {"", "a", "1,", ",1", "1;2", "-1", "1 "})
    EXPECT_EQ(parse_numbers(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace inlay::backend::cuda

// Packing, and the queue's three promises: budget, priority, no deadlock.
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "base/error.h"
#include "batch/check_batch.h"
#include "batch/pack.h"
#include "batch/ready_queue.h"

namespace inlay::batch {
namespace {

TEST(BatchBuffer, PacksWithoutPadding) {
  BatchBuffer buffer;
  const std::vector<std::int32_t> a{1, 2, 3};
  const std::vector<std::int32_t> b{4};
  buffer.add(a, {}, 0);
  buffer.add(b, std::vector<std::int32_t>{1}, 1);
  const PackedBatch batch = buffer.view();
  EXPECT_EQ(batch.texts(), 2);
  EXPECT_EQ(batch.tokens(), 4);
  EXPECT_EQ(std::vector<std::int32_t>(batch.offsets.begin(), batch.offsets.end()),
            (std::vector<std::int32_t>{0, 3, 4}));
  EXPECT_EQ(std::vector<std::int32_t>(batch.type_ids.begin(), batch.type_ids.end()),
            (std::vector<std::int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(std::vector<std::int32_t>(batch.pool_begin.begin(), batch.pool_begin.end()),
            (std::vector<std::int32_t>{0, 1}));
  buffer.clear();
  buffer.add(a, std::vector<std::int32_t>{0, 0, 0}, 0);
  EXPECT_TRUE(buffer.view().type_ids.empty());
  EXPECT_TRUE(buffer.view().pool_begin.empty());
}

TEST(BatchBuffer, SpansBecomeRowsOfTheBatch) {
  BatchBuffer buffer;
  const std::vector<std::int32_t> three{1, 2, 3};
  using Spans = std::vector<std::pair<std::int32_t, std::int32_t>>;
  buffer.add(three, {}, 0);
  EXPECT_TRUE(buffer.view().spans.empty());
  EXPECT_TRUE(buffer.view().span_offsets.empty());
  buffer.add(three, {}, 0, 0, Spans{{0, 3}, {1, 2}});
  buffer.add(three, {}, 0, 0, Spans{{2, 3}});
  const PackedBatch batch = buffer.view();
  EXPECT_EQ(batch.span_count(), 3);
  EXPECT_EQ(Spans(batch.spans.begin(), batch.spans.end()), (Spans{{3, 6}, {4, 5}, {8, 9}}));
  EXPECT_EQ(std::vector<std::int32_t>(batch.span_offsets.begin(), batch.span_offsets.end()),
            (std::vector<std::int32_t>{0, 0, 2, 3}));
  buffer.clear();
  buffer.add(three, {}, 0, 0, Spans{{0, 1}});
  EXPECT_EQ(buffer.view().span_count(), 1);
}

ReadyText text(std::size_t length, int priority, std::uint64_t order) {
  ReadyText t;
  t.ids.assign(length, 7);
  t.priority = priority;
  t.order = order;
  t.index = static_cast<std::size_t>(order);
  return t;
}

TEST(ReadyQueue, TakesByPriorityThenArrivalWithinTheBudget) {
  ReadyQueue queue(1000, 1);
  queue.expect(4);
  queue.push(text(10, 0, 1));
  queue.push(text(20, 0, 2));
  queue.push(text(5, 9, 3));
  queue.push(text(50, 0, 4));
  std::vector<ReadyText> batch;
  ASSERT_TRUE(queue.pop(35, 10, &batch));
  ASSERT_EQ(batch.size(), 3U);    // 5 + 10 + 20; the fourth exceeds the budget
  EXPECT_EQ(batch[0].index, 2U);  // longest first
  EXPECT_EQ(batch[2].index, 3U);
  ASSERT_TRUE(queue.pop(35, 10, &batch));  // longer than the budget, but never starved
  EXPECT_EQ(batch[0].index, 4U);
  queue.close();
  EXPECT_FALSE(queue.pop(35, 10, &batch));
}

TEST(ReadyQueue, WaitsForTextsOnTheirWayUpToTheTarget) {
  ReadyQueue queue(1000, 30);
  queue.expect(3);
  queue.push(text(10, 0, 1));
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    queue.push(text(10, 0, 2));
    queue.withdraw(1);
  });
  std::vector<ReadyText> batch;
  ASSERT_TRUE(queue.pop(100, 10, &batch));
  EXPECT_EQ(batch.size(), 2U);
  late.join();
}

TEST(ReadyQueue, BoundsWhatIsHeld) {
  ReadyQueue queue(20, 10);
  constexpr int kTexts = 200;
  queue.expect(kTexts);
  std::thread producer([&] {
    for (int i = 0; i < kTexts; ++i) queue.push(text(7, 0, static_cast<std::uint64_t>(i)));
    queue.close();
  });
  std::vector<ReadyText> batch;
  std::size_t seen = 0;
  while (queue.pop(100, 100, &batch)) {
    EXPECT_LE(batch.size(), 2U);  // 20 tokens hold two texts of 7
    seen += batch.size();
  }
  producer.join();
  EXPECT_EQ(seen, static_cast<std::size_t>(kTexts));
}

// A batch of two texts, of three and four tokens, and what may be wrong with it.
struct Arrays {
  std::vector<std::int32_t> ids{1, 2, 3, 4, 5, 6, 9}, types{0, 0, 0, 1, 1, 1, 1}, offsets{0, 3, 7},
      pool_begin{0, 4}, key_counts{1, 4}, span_offsets{0, 1, 3};
  std::vector<std::pair<std::int32_t, std::int32_t>> spans{{0, 3}, {3, 4}, {3, 7}};
};

TEST(CheckBatch, NamesWhatIsWrong) {
  const auto said = [](const std::function<void(Arrays&)>& spoil) -> std::string {
    Arrays a;
    spoil(a);
    try {
      check_batch("room",
                  {a.ids, a.types, a.offsets, a.pool_begin, a.key_counts, a.spans, a.span_offsets},
                  {7, 2, 4, 10, 2});
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
      return error.what();
    }
  };
  struct Case {
    const char* message;
    std::function<void(Arrays&)> spoil;
  };
  // clang-format off
  const std::vector<Case> cases = {
      {"within the compiled limits", [](Arrays& a) { a.offsets = {0, 3, 6, 7}; }},
      {"within the compiled limits", [](Arrays& a) { a.offsets = {0, 3, 8}; }},
      {"within the compiled limits", [](Arrays& a) { a.ids.pop_back(); }},
      {"within the compiled limits", [](Arrays& a) { a.types.pop_back(); }},
      {"within the compiled limits", [](Arrays& a) { a.pool_begin.pop_back(); }},
      {"within the compiled limits", [](Arrays& a) { a.key_counts.pop_back(); }},
      {"within the compiled limits", [](Arrays& a) { a.span_offsets.pop_back(); }},
      {"offsets from 0", [](Arrays& a) { a.offsets = {1, 3, 7}; }},
      {"texts of 1 to 4 tokens", [](Arrays& a) { a.spans.clear(), a.offsets = {0, 2, 7}; }},
      {"texts of 1 to 4 tokens", [](Arrays& a) { a.offsets = {0, 3, 3}; }},
      {"texts of 1 to 4 tokens", [](Arrays& a) { a.offsets = {0, 4, 3}; }},
      {"spans inside", [](Arrays& a) { a.spans[0].second = 4; }},
      {"spans inside", [](Arrays& a) { a.spans[1] = {2, 4}; }},
      {"spans inside", [](Arrays& a) { a.spans[2] = {5, 5}; }},
      {"spans inside", [](Arrays& a) { a.span_offsets[2] = 4; }},
      {"spans inside", [](Arrays& a) { a.span_offsets[0] = -1; }},
      {"pool_begin", [](Arrays& a) { a.pool_begin[1] = -1; }},
      {"key_counts", [](Arrays& a) { a.key_counts[0] = 0; }},
      {"key_counts", [](Arrays& a) { a.key_counts[0] = 4; }},
      {"ids in the vocabulary", [](Arrays& a) { a.ids[3] = 10; }},
      {"ids in the vocabulary", [](Arrays& a) { a.ids[3] = -1; }},
      {"ids in the vocabulary", [](Arrays& a) { a.types[6] = 2; }},
  };
  // clang-format on
  EXPECT_EQ(said([](Arrays&) {}), "");
  for (std::size_t i = 0; i < cases.size(); ++i)
    EXPECT_NE(said(cases[i].spoil).find(cases[i].message), std::string::npos)
        << "case " << i << ": " << said(cases[i].spoil);
}

}  // namespace
}  // namespace inlay::batch

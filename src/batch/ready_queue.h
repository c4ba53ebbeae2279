// Encoded texts of all requests waiting to be computed: bounded by tokens, highest priority first,
// then in order of arrival. The encoding side waits when it is full, the computing side when it is
// worth waiting for more.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace inlay::batch {

struct ReadyText {
  std::vector<std::int32_t> ids, type_ids;  // at least one id; type_ids of the same length or empty
  std::int32_t pool_begin = 0;
  std::int32_t key_count = 0;  // tokens seen as keys (PackedBatch); 0: all
  int priority = 0;
  std::uint64_t order = 0;                                     // arrival
  std::shared_ptr<void> owner;                                 // the request, for whoever pushed it
  std::size_t index = 0;                                       // of the text in its request
  std::vector<std::pair<std::int32_t, std::int32_t>> spans{};  // PackedBatch, from the first token
  std::vector<std::uint32_t> chunks{};  // which of the text's chunks each span is
};

// Thread-safe; any number of threads may push and pop.
class ReadyQueue {
 public:
  // `capacity` tokens are held before push() waits; one text is always let in. pop() waits for
  // `target` tokens while texts are still on their way.
  ReadyQueue(std::int64_t capacity, std::int64_t target) : capacity_(capacity), target_(target) {}

  // Announces that `count` texts will be pushed or withdrawn; pop() then waits for them up to the
  // target.
  void expect(std::int64_t count);
  void push(ReadyText text);          // one expected text arrives; waits for room
  void withdraw(std::int64_t count);  // expected texts that will not come

  // Fills `batch` with texts of at most `max_tokens` in all and `max_texts`, longest first; at
  // least one text, even a longer one. Waits for work; false when closed and empty.
  bool pop(std::int64_t max_tokens, std::int64_t max_texts, std::vector<ReadyText>* batch);
  void close();  // no more pushes; pop() drains what is there

 private:
  bool is_worth_it() const;  // under the mutex: whether a batch need not wait for more

  const std::int64_t capacity_, target_;
  std::mutex mutex_;
  std::condition_variable room_, work_;
  std::vector<ReadyText> heap_;
  std::int64_t tokens_ = 0, expected_ = 0;
  bool closed_ = false;
};

}  // namespace inlay::batch

// Requests from a load, one result from their results.
#include "report/workload.h"

#include <algorithm>
#include <iterator>

namespace inlay::report {
namespace {

Request request_of(const Workload& load, std::size_t begin, std::size_t end) {
  Request request;
  for (std::size_t i = begin; i < end; ++i) {
    if (load.task == "rerank") {
      request.queries.push_back(load.queries[i / load.texts.size()]);
      request.texts.push_back(load.texts[i % load.texts.size()]);
    } else {
      request.texts.push_back(i < load.queries.size() ? load.queries[i]
                                                      : load.texts[i - load.queries.size()]);
    }
  }
  return request;
}

template <typename T>
void move_behind(std::vector<T>* all, std::vector<T>* more) {
  all->insert(all->end(), std::make_move_iterator(more->begin()),
              std::make_move_iterator(more->end()));
}

void append(Result* all, Result* more) {
  all->dim = more->dim;
  move_behind(&all->vectors, &more->vectors);
  move_behind(&all->sparse, &more->sparse);
  move_behind(&all->late, &more->late);
  move_behind(&all->scores, &more->scores);
  move_behind(&all->texts, &more->texts);
}

}  // namespace

TaskOptions task_options(std::string_view task) {
  if (task == "sparse") return SparseOptions{};
  if (task == "rerank") return RerankOptions{.raw_scores = true};
  if (task == "late") return LateOptions{};
  return EmbedOptions{};
}

Answers ask(Engine& engine, const Workload& load, std::size_t batch,
            const std::function<bool(std::size_t done)>& progress) {
  Answers answers;
  answers.task = load.task;
  answers.queries = load.queries.size();
  const std::size_t items = load.items();
  const std::size_t step = batch == 0 ? std::max<std::size_t>(1, items) : batch;
  for (std::size_t begin = 0; begin < items; begin += step) {
    const std::size_t end = std::min(items, begin + step);
    Result part = engine.run(request_of(load, begin, end));
    append(&answers.result, &part);
    if (progress && !progress(end)) break;
  }
  return answers;
}

}  // namespace inlay::report

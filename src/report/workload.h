// A load of texts for one task, and how it goes through an engine.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "inlay/inlay.hpp"
#include "report/agreement.h"

namespace inlay::report {

// Reranking scores every text against every query, query by query; other tasks take queries and
// texts one after the other, as they are, without a role.
struct Workload {
  std::string task;  // "dense", "sparse", "rerank", "late"
  std::vector<std::string> queries, texts;
  std::size_t items() const {
    return task == "rerank" ? queries.size() * texts.size() : queries.size() + texts.size();
  }
};

// What an engine for it is loaded with; rerank: raw scores, which the activation has not squeezed.
TaskOptions task_options(std::string_view task);

// In requests of `batch` items (0: one request of all), each waited for before the next. After each
// `progress` is told how many items are done; false ends it, and what is done is returned.
Answers ask(Engine& engine, const Workload& load, std::size_t batch,
            const std::function<bool(std::size_t done)>& progress = {});

}  // namespace inlay::report

// What a run did, for --report and for the line that ends it.
#pragma once

#include <string>

#include "inlay/inlay.hpp"

namespace inlay::report {

// One JSON object and a newline: device, backend, isa, dtype, model, revision, weight_file,
// adapter, packed_weights, texts, tokens, truncated, padded_share, partitions, fallback_ops,
// device_notes (where there are any), seconds {load, tokenize, compute, total}, peak_rss (bytes).
std::string run_report_json(const Stats& stats, double total_seconds);
// "3 texts, 21 tokens, 1 truncated in 0.12 s; cpu, avx512, fp32".
std::string run_summary(const Stats& stats, double total_seconds);

}  // namespace inlay::report

// A set of code points as ascending ranges, with the operations that a regex class needs.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "tokens/unicode.h"

namespace inlay::tokens {

class CodeSet {
 public:
  void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }
  void add(std::span<const CodeRange> ranges) {
    ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
  }
  void add(const CodeSet& other) { add(std::span<const CodeRange>(other.ranges_)); }
  // Sorts and joins; the other operations leave the set in this form.
  void normalize() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
    std::vector<CodeRange> joined;
    for (const CodeRange& range : ranges_) {
      if (!joined.empty() && range.first <= joined.back().last + 1) {
        joined.back().last = std::max(joined.back().last, range.last);
      } else {
        joined.push_back(range);
      }
    }
    ranges_ = std::move(joined);
  }
  void complement() {
    normalize();
    std::vector<CodeRange> rest;
    char32_t next = 0;
    for (const CodeRange& range : ranges_) {
      if (range.first > next) rest.push_back({next, range.first - 1});
      next = range.last + 1;
    }
    if (next <= 0x10FFFF) rest.push_back({next, 0x10FFFF});
    ranges_ = std::move(rest);
  }
  void intersect(CodeSet other) {
    complement();
    other.complement();
    add(other);
    complement();
  }
  const std::vector<CodeRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodeRange> ranges_;
};

}  // namespace inlay::tokens

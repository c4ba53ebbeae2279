// The kernel tables that this machine can run, for tests that go over all of them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/isa.h"
#include "base/tensor.h"

namespace inlay::backend::cpu {

inline std::vector<const Kernels*> runnable(Element element = Element::kFp32) {
  std::vector<const Kernels*> tables;
  for (const IsaEntry& entry : isa_table()) {
    if (entry.of(element) != nullptr && entry.available()) tables.push_back(entry.of(element));
  }
  return tables;
}

inline std::string isa_name(const testing::TestParamInfo<const Kernels*>& info) {
  return info.param->name;
}

inline std::vector<float> random_floats(Index count, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = uniform(random);
  return values;
}

inline float pick(const std::vector<float>& values, Index at) {
  return values[static_cast<std::size_t>(at)];
}

class EveryIsa : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
};

}  // namespace inlay::backend::cpu

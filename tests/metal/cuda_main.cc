// The Metal kernels' texts as CUDA against ref: the odd shapes of the emulator's test, each several
// times. Without GoogleTest, so that the program can be carried to a machine with a GPU. 77: there
// is none.
#include <cstdio>
#include <exception>
#include <string>

#include "metal/cases.h"
#include "metal/cuda_engine.h"

int main() {
  using namespace inlay::metal;
  const std::string device = cuda_device();
  if (device.empty()) {
    std::puts("skipped: compiled, but no NVIDIA GPU is at hand");
    return 77;
  }
  CudaEngine engine;
  int failures = 0;
  int runs = 0;
  for (const auto* cases : {&odd_cases(), &small_cases()}) {
    for (const Case& test : *cases) {
      for (int again = 0; again < 3; ++again, ++runs) {
        std::string bad;
        try {
          bad = test.run(engine);
        } catch (const std::exception& error) {
          bad = error.what();
        }
        if (bad.empty()) continue;
        std::printf("FAILED %s: %s\n", test.name.c_str(), bad.c_str());
        ++failures;
        break;
      }
    }
  }
  std::printf("%s: %zu cases, %d runs, %d failures\n", device.c_str(),
              odd_cases().size() + small_cases().size(), runs, failures);
  return failures == 0 ? 0 : 1;
}

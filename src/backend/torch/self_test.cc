// One call for each kind of argument, with answers known beforehand.
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backend/torch/library.h"
#include "backend/torch/tensors.h"

namespace inlay::backend::torch {
namespace {

struct Check {
  const char* what;
  std::function<Tensor(const Tensors&)> make;
  std::vector<float> expected;
};

Tensor numbers(const Tensors& t, std::vector<float> values, const Tensors::Shape& shape) {
  return t.upload(values.data(), false, shape);
}

std::vector<Check> checks() {
  const Tensor none;
  return {
      {"a sum",
       [](const Tensors& t) {
         return t.add(numbers(t, {1, 2}, {2}), numbers(t, {10, 20}, {2}));
       },
       {11, 22}},
      {"a list of integers",
       [](const Tensors& t) {
         return t.transpose(t.reshape(numbers(t, {1, 2, 3, 4, 5, 6}, {6}), {2, 3}), 0, 1);
       },
       {1, 4, 2, 5, 3, 6}},
      {"an optional list",
       [](const Tensors& t) {
         return t.reduce("aten::sum", "dim_IntList", numbers(t, {1, 2, 3, 4}, {2, 2}), 0, false);
       },
       {4, 6}},
      {"an optional tensor",
       [](const Tensors& t) {
         return t.linear(numbers(t, {1, 2}, {1, 2}), numbers(t, {1, 1, 0, 3}, {2, 2}),
                         numbers(t, {0.5F, -1}, {2}));
       },
       {3.5F, 5}},
      {"a list of tensors",
       [](const Tensors& t) {
         const Tensor a = numbers(t, {1, 2}, {1, 2});
         const Tensor b = numbers(t, {3}, {1, 1});
         const Tensor* parts[] = {&a, &b};
         return t.concatenate(parts, -1);
       },
       {1, 2, 3}},
      {"a text",
       [](const Tensors& t) {
         return t.activate(Activation::kGelu, numbers(t, {1, -2}, {2}));
       },
       {0.8413447F, -0.0455003F}},
      {"a real and a bool",
       [](const Tensors& t) {
         return t.norm(numbers(t, {1, 3}, {1, 2}), false, Tensor(), Tensor(), 3.0);
       },
       {-0.5F, 0.5F}},
      {"an optional real",
       [](const Tensors& t) {  // two equal keys: the mean of the values
         const Tensor q = numbers(t, {1, 1}, {1, 1, 1, 2});
         const Tensor k = numbers(t, {1, 0, 0, 1}, {1, 1, 2, 2});
         const Tensor v = numbers(t, {2, 4, 6, 8}, {1, 1, 2, 2});
         const Tensor mask = numbers(t, {0, 0}, {1, 1, 1, 2});
         return t.attention(q, k, v, mask, 0.7, false);
       },
       {4, 6}},
      {"integers of the host",
       [](const Tensors& t) {
         const std::int32_t ids[] = {1, 0, 1};
         return t.embedding(numbers(t, {1, 2, 3, 4}, {2, 2}), t.upload(ids, true, {3}));
       },
       {3, 4, 1, 2, 3, 4}},
      {"a dtype",
       [](const Tensors& t) {  // 2049 has no float16
         return t.exact(t.to(numbers(t, {2049}, {1}), t.shim().aoti_torch_dtype_float16()));
       },
       {2048}},
  };
}

}  // namespace

std::string self_test(const Shim& shim) {
  try {
    shim.aoti_torch_grad_mode_set_enabled(false);
    const Tensors tensors(shim, kCpuUnit, "fp32");
    for (const Check& check : checks()) {
      std::vector<float> got(check.expected.size());
      tensors.download(check.make(tensors), got.data(), got.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (!(std::fabs(got[i] - check.expected[i]) <= 1e-5F * (1 + std::fabs(check.expected[i]))))
          return std::string(check.what) + " gave " + std::to_string(got[i]) + ", not " +
                 std::to_string(check.expected[i]);
      }
    }
    // Must fail, and live: six elements are no 4 x 4. Before 2.13 the library would write a line to
    // standard error about it.
    if (shim.torch_exception_get_what_without_backtrace != nullptr) {
      bool failed = false;
      try {
        static_cast<void>(tensors.reshape(numbers(tensors, {1, 2, 3, 4, 5, 6}, {6}), {4, 4}));
      } catch (const TorchError& error) {
        failed = std::string(error.what()).find("4") != std::string::npos;
      }
      if (!failed) return "an impossible shape was not refused in words";
    }
  } catch (const TorchError& error) {
    return error.what();
  }
  return {};
}

}  // namespace inlay::backend::torch

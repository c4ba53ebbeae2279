// The Program's checks: every wrong shape is refused where it is added, and the printed form says
// what runs.
#include "program/program.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "inlay/inlay.hpp"

namespace inlay {
namespace {

// Weights of zeros with a name and a shape.
class Zeros {
 public:
  WeightRef operator()(const char* name, Shape shape) {
    std::int64_t count = 0;
    EXPECT_TRUE(element_count(shape, &count));
    storage_.emplace_back(static_cast<std::size_t>(count));
    return {name, {DType::kF32, std::move(shape), storage_.back().data()}};
  }

 private:
  std::vector<std::vector<float>> storage_;
};

void expect_bad_input(const std::function<void()>& build, const char* part) {
  try {
    build();
    FAIL() << "expected an error naming " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Program, ChecksShapesOfLinear) {
  Zeros w;
  Program p;
  const ValueId x = p.embed("embed", {w("table", {10, 4}), {}, {}, 0, -1});
  EXPECT_EQ(
      p.value(p.linear("up", {x, {w("a", {6, 4}), w("b", {2, 4})}, {}, Activation::kGelu})).width,
      8);
  expect_bad_input(
      [&] {
        p.linear("bad", {x, {w("c", {6, 5})}, {}, Activation::kNone});
      },
      "[6, 5]");
  expect_bad_input(
      [&] {
        p.linear("bad", {x, {w("c", {6, 4})}, {w("bias", {5})}, Activation::kNone});
      },
      "bias");
  expect_bad_input([&] { p.linear("up", {x, {w("c", {6, 4})}, {}, Activation::kNone}); }, "taken");
  expect_bad_input([&] { p.linear("bad", {99, {w("c", {6, 4})}, {}, Activation::kNone}); }, "99");
}

TEST(Program, ChecksPositionTableAgainstOffset) {
  Zeros w;
  Program p;
  expect_bad_input(
      [&] {
        p.embed("embed", {w("table", {10, 4}), w("positions", {2, 4}), {}, 2, 1});
      },
      "offset 2");
  Program q;
  q.embed("embed", {w("table", {10, 4}), w("positions", {7, 4}), {}, 2, 1});
  EXPECT_EQ(q.max_tokens(), 5);
  EXPECT_EQ(q.vocab_size(), 10);
}

TEST(Program, ChecksAttentionColumns) {
  Zeros w;
  Program p;
  const ValueId x = p.embed("embed", {w("table", {10, 12}), {}, {}, 0, -1});
  AttentionStep a;
  a.query = {x, 0};
  a.key = {x, 4};
  a.value = {x, 8};
  a.heads = a.kv_heads = 2;
  a.head_size = 2;
  a.scale = 1;
  EXPECT_EQ(p.value(p.attention("ok", a)).width, 4);
  AttentionStep row = a;
  row.value = {};
  row.probabilities = true;
  expect_bad_input([&] { p.attention("bad", row); }, "one query row a text");
  row.query.value = p.select_rows("first", {x, SelectKind::kFirst});
  const Value& heeded = p.value(p.attention("row", row));
  EXPECT_EQ(heeded.width, 1);
  EXPECT_EQ(heeded.rows, Rows::kTokens);
  row.window = 1;
  expect_bad_input([&] { p.attention("bad", row); }, "plain attention");
  row.window = -1;
  row.value = {x, 8};
  expect_bad_input([&] { p.attention("bad", row); }, "plain attention");
  a.value.begin = 9;
  expect_bad_input([&] { p.attention("bad", a); }, "columns");
  a.value.begin = 8;
  a.kv_heads = 3;
  expect_bad_input([&] { p.attention("bad", a); }, "multiple of kv heads");
  const ValueId pooled = p.pool("pool", {x, {PoolMode::kMean}});
  a.kv_heads = 2;
  a.key = {pooled, 4};
  expect_bad_input([&] { p.attention("bad", a); }, "one row a token");
}

TEST(Program, RowsFollowSelectionAndPooling) {
  Zeros w;
  Program p;
  const ValueId x = p.embed("embed", {w("table", {10, 4}), {}, {}, 0, -1});
  const ValueId first = p.select_rows("first", {x, SelectKind::kFirst});
  EXPECT_EQ(p.value(first).rows, Rows::kTexts);
  expect_bad_input([&] { p.residual("add", {x, first}); }, "one shape");
  expect_bad_input(
      [&] {
        p.norm("norm", {NormKind::kLayer, x, first, {}, {}, 1e-12F});
      },
      "residual");
  const ValueId both = p.pool("pool", {x, {PoolMode::kCls, PoolMode::kMax}});
  EXPECT_EQ(p.value(both).width, 8);
  expect_bad_input([&] { p.truncate("cut", {both, 9}); }, "1 to 8");
  const ValueId spans = p.pool("spans", {x, {PoolMode::kMean}, true});
  EXPECT_EQ(p.value(spans).rows, Rows::kSpans);
  EXPECT_EQ(p.value(p.normalize("unit", {spans})).rows, Rows::kSpans);
  expect_bad_input([&] { p.residual("sum", {first, spans}); }, "one shape");
  expect_bad_input([&] { p.select_rows("row", {spans, SelectKind::kFirst}); }, "[spans, width]");
  p.set_output(both);
  EXPECT_EQ(p.output(), both);
}

TEST(Program, PrintsOneLineAStep) {
  Zeros w;
  Program p;
  const ValueId x = p.embed("embed", {w("table", {10, 4}), {}, {}, 0, -1});
  p.normalize("unit", {p.pool("pool", {x, {PoolMode::kMean}})});
  EXPECT_EQ(p.text(),
            "%0 = embed(table)  [tokens, 4]  # embed\n"
            "%1 = pool(%0, mean)  [texts, 4]  # pool\n"
            "%2 = normalize(%1)  [texts, 4]  # unit\n"
            "return %2\n");
  p.pool("chunks", {x, {PoolMode::kMean}, true});
  EXPECT_NE(p.text().find("%3 = pool(%0, mean, spans)  [spans, 4]  # chunks\nreturn %3\n"),
            std::string::npos);
}

TEST(Activation, NamesRoundTrip) {
  for (const char* name :
       {"gelu", "gelu_new", "quick_gelu", "relu", "relu2", "relu6", "leaky_relu", "silu", "mish",
        "tanh", "sigmoid", "hardswish", "sqrtsoftplus", "laplace", "gelu_10"}) {
    const auto activation = activation_from_name(name);
    ASSERT_TRUE(activation.has_value()) << name;
    EXPECT_STREQ(activation_name(*activation), name);
  }
  EXPECT_EQ(activation_from_name("swish"), Activation::kSilu);
  EXPECT_EQ(activation_from_name("Identity"), Activation::kNone);
  EXPECT_FALSE(activation_from_name("gelu2"));
}

}  // namespace
}  // namespace inlay

// Every step of the Program as a plain loop over one text.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "batch/packed_batch.h"
#include "program/program.h"

namespace inlay::backend::ref {

struct Matrix {  // [rows, width], row-major
  std::int64_t rows = 0, width = 0;
  std::vector<float> data;
  float* row(std::int64_t r) { return data.data() + r * width; }
  const float* row(std::int64_t r) const { return data.data() + r * width; }
};

struct Text {
  std::span<const std::int32_t> ids, type_ids;  // type_ids may be empty: all zero
  std::int64_t pool_begin = 0;
  std::int64_t key_count = 0;
  std::int64_t first_row = 0;  // of the batch; spans count from the batch's first
  std::span<const std::pair<std::int32_t, std::int32_t>> spans{};
};
Text text_of(const PackedBatch& batch, std::int64_t index);

using WeightMap = std::map<std::string, std::vector<float>>;

struct Context {
  const Text& text;
  const Program& program;
  const WeightMap& weights;
  const std::vector<Matrix>& values;
  const std::string& step_name;
  const Matrix& value(ValueId id) const { return values[static_cast<std::size_t>(id)]; }
  const float* weight(const WeightRef& ref) const;  // null when absent
};

// Each fills `out`, which has its shape already and is zero.
inline void run_step(const Context&, const ExternalGraphStep&, Matrix*) {}  // refused before
void run_step(const Context& context, const EmbedStep& step, Matrix* out);
void run_step(const Context& context, const NormStep& step, Matrix* out);
void run_step(const Context& context, const LinearStep& step, Matrix* out);
void run_step(const Context& context, const GatedLinearStep& step, Matrix* out);
void run_step(const Context& context, const ExpertsStep& step, Matrix* out);
void run_step(const Context& context, const AttentionStep& step, Matrix* out);
void run_step(const Context& context, const ResidualStep& step, Matrix* out);
void run_step(const Context& context, const SelectRowsStep& step, Matrix* out);
void run_step(const Context& context, const PoolStep& step, Matrix* out);
void run_step(const Context& context, const VocabularyMaxStep& step, Matrix* out);
void run_step(const Context& context, const NormalizeStep& step, Matrix* out);
void run_step(const Context& context, const TruncateStep& step, Matrix* out);

double activate(Activation activation, double x);
float dot(const float* a, const float* b, std::int64_t n);  // summed in double

// Disentangled attention's tables over positions depend on weights alone: made once, kept beside
// the weights under the step's name and these suffixes.
inline constexpr const char* kPositionKeys = ":position_keys";
inline constexpr const char* kPositionQueries = ":position_queries";
void add_position_tables(const Step& step, WeightMap* weights);

// The present weights of a step.
std::vector<const WeightRef*> step_weights(const StepArgs& args);

}  // namespace inlay::backend::ref

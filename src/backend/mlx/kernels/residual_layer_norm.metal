// out = layer_norm(input + residual) * weight + bias over rows of WIDTH, with the sum rounded once, at the end. The row
// stays in registers: the mean, then the squares around it, then the result, without reading twice.
// A row of up to 1,024 columns is one SIMD group's, 32 registers a thread, and needs no barrier; a wider one is shared by
// four groups, so that 4,096 columns need no more registers.
constexpr int kSimds = 4;
constexpr int kSimdsOfRow = WIDTH > 1024 ? kSimds : 1;
constexpr int kRows = kSimds / kSimdsOfRow;  // of a threadgroup
constexpr int kStep = kSimdsOfRow * 32 * 4;  // columns between a thread's runs of four
constexpr int kRuns = (WIDTH + kStep - 1) / kStep;
static_assert(WIDTH % 4 == 0 && WIDTH <= 4096, "runs of four columns; at most 32 registers of a row a thread");

INLAY_SHARED(float, parts, kSimds);

const int simd_id = int(simdgroup_index_in_threadgroup);
const int lane = int(thread_index_in_simdgroup);
const long row = long(threadgroup_position_in_grid.x) * kRows + simd_id / kSimdsOfRow;
const int simd_of_row = simd_id % kSimdsOfRow;
const int first = (simd_of_row * 32 + lane) * 4;
if (row >= input_shape[0]) return;  // a whole SIMD group; groups that share a row have all of them

const auto in_row = input + row * WIDTH;
const auto residual_row = residual + row * WIDTH;
float v[kRuns][4];
float sum = 0.0f;
for (int r = 0; r < kRuns; ++r) {
  const int column = first + r * kStep;
  if (column >= WIDTH) continue;
  float more[4];
  inlay::load4(in_row + column, v[r]);
  inlay::load4(residual_row + column, more);
  for (int i = 0; i < 4; ++i) {
    v[r][i] += more[i];
    sum += v[r][i];
  }
}
const float mean = inlay::sum_over_threadgroup<kSimdsOfRow>(sum, parts, simd_of_row, lane) / float(WIDTH);
float squares = 0.0f;
for (int r = 0; r < kRuns; ++r) {
  if (first + r * kStep >= WIDTH) continue;
  for (int i = 0; i < 4; ++i) {
    v[r][i] -= mean;
    squares = fma(v[r][i], v[r][i], squares);
  }
}
squares = inlay::sum_over_threadgroup<kSimdsOfRow>(squares, parts, simd_of_row, lane);
const float inverse = 1.0f / inlay::exact_sqrt(squares / float(WIDTH) + eps);
for (int r = 0; r < kRuns; ++r) {
  const int column = first + r * kStep;
  if (column >= WIDTH) continue;
  for (int i = 0; i < 4; ++i) {
    const float factor = float(weight[column + i]);
    const float shift = float(bias[column + i]);
    v[r][i] = fma(v[r][i] * inverse, factor, shift);
  }
  inlay::store4(out + (row * WIDTH + column), v[r]);
}

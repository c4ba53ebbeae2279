// The rows of each range as one, in floats, and that divided by its length if NORMALIZE. A threadgroup takes one range:
// 64 columns at a time, four threads a column that take every fourth row. The pooled row waits in the threadgroup's
// memory for its length. MODE is PoolMode (program/program.h): 0 first row, 1 maximum, 2 mean, 3 sum over the square root
// of the count, 4 mean weighted by position, 5 last row. A range of no rows is zeros.
constexpr int kColumns = 64;  // at a time: two SIMD groups read 64 neighbours of a row
constexpr int kGroups = 4;    // of rows: 256 threads, what every Metal device has room for
constexpr int kSimds = kColumns * kGroups / 32;
static_assert(WIDTH <= 4096, "the pooled row takes 16 of 32 KiB");

INLAY_SHARED(float, pooled, WIDTH);
INLAY_SHARED(float, partial, kGroups * kColumns);
INLAY_SHARED(float, squares_of_simds, kSimds);

const int index = int(threadgroup_position_in_grid.x);
const int simd_id = int(simdgroup_index_in_threadgroup);
const int lane = int(thread_index_in_simdgroup);
const int thread_index = simd_id * 32 + lane;
const int group = thread_index / kColumns;
const int place = thread_index % kColumns;

const int first = ranges[3 * index];  // the row at which positions begin
int begin = ranges[3 * index + 1];
int end = ranges[3 * index + 2];
const float count = float(end - begin);
float divisor = 1.0f;
if (MODE == 2) divisor = count;
if (MODE == 3) divisor = inlay::exact_sqrt(count);
// Whole below 2^24 for texts of up to 5,792 tokens; beyond, rounded once.
if (MODE == 4) divisor = (float(begin - first + 1) + float(end - first)) * count * 0.5f;
if (MODE == 0) end = min(end, begin + 1);
if (MODE == 5) begin = max(begin, end - 1);

float squares = 0.0f;
for (int block = 0; block < WIDTH; block += kColumns) {
  const int column = block + place;
  float sum = 0.0f;
  if (column < WIDTH) {
    bool any = false;
    for (int row = begin + group; row < end; row += kGroups) {
      const float x = float(input[long(row) * WIDTH + column]);
      if (MODE == 1) {
        sum = any ? max(sum, x) : x;
      } else {
        sum = MODE == 4 ? fma(float(row - first + 1), x, sum) : sum + x;
      }
      any = true;
    }
  }
  partial[group * kColumns + place] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (group == 0 && column < WIDTH) {
    for (int g = 1; g < kGroups && begin + g < end; ++g) {
      const float other = partial[g * kColumns + place];
      sum = MODE == 1 ? max(sum, other) : sum + other;
    }
    if (end > begin) sum = sum / divisor;
    pooled[column] = sum;
    squares = fma(sum, sum, squares);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
float length = 1.0f;
if (NORMALIZE) {
  squares = inlay::sum_over_threadgroup<kSimds>(squares, squares_of_simds, simd_id, lane);
  length = max(inlay::exact_sqrt(squares), 1e-12f);
}
for (int column = thread_index; column < WIDTH; column += kColumns * kGroups) {
  const float x = pooled[column];
  out[long(index) * WIDTH + column] = x / length;
}

// softmax(scale * Q K^T) V of each text with itself, over packed rows: no padding is computed. A threadgroup takes 32
// query rows of one text and head, a SIMD group 8 of them. Keys go by in blocks of 64: a text of up to 64 tokens is
// done in one pass, a longer one carries each row's maximum and sum along and rescales what it has (Milakov and
// Gimelshein 2018, arXiv:1805.02867). Products are of 8 x 8 matrices in floats whatever the type of the elements, so
// that no score or weight is rounded to 16 bits.
constexpr int kSide = 8;               // of a SIMD group's matrices: the only size that Metal has
constexpr int kSimds = 4;              // 32 query rows share each tile of keys; 128 threads a group
constexpr int kRows = kSide * kSimds;  // query rows of a threadgroup, and rows of a tile
// 64 keys a block: scores (8.5 KiB), the tile (8.5 KiB at most) and diagonals (1 KiB) are 18 of the 32 KiB that a
// threadgroup may have; 128 keys would take 26.5, and fewer than 64 could not hold the results of a head of 64.
constexpr int kKeys = 64;
constexpr int kParts = HEAD_SIZE / kSide;
// Rows four floats longer than a power of two: the eight rows of a matrix then lie in different banks.
constexpr int kTileStride = HEAD_SIZE + 4;
constexpr int kScoreStride = kKeys + 4;
static_assert(HEAD_SIZE % kSide == 0 && HEAD_SIZE <= kKeys, "results are staged where scores were");
constexpr float kUnseen = -1e30f;  // below every score, and its distance to one is past exp2's range
constexpr float kLog2e = 1.44269504f;

INLAY_SHARED(float, tile, kRows * kTileStride);
INLAY_SHARED(float, all_scores, kSimds * kSide * kScoreStride);
INLAY_SHARED(float, all_diagonals, kSimds * kSide * kSide);

const int item = int(threadgroup_position_in_grid.x);
const int head = int(threadgroup_position_in_grid.y);
const int simd_id = int(simdgroup_index_in_threadgroup);
const int lane = int(thread_index_in_simdgroup);
const int thread_index = simd_id * 32 + lane;

const int first_row = items[4 * item];      // of the text
const int length = items[4 * item + 1];     // of the text
const int begin = items[4 * item + 2];      // of this threadgroup's rows in the text
const int key_count = items[4 * item + 3];  // keys of the text that its rows may see
const int count = min(kRows, length - begin);
const bool active = simd_id * kSide < count;

int key_begin = 0;
int key_end = key_count;
if (CAUSAL) key_end = min(key_end, begin + count);
if (WINDOW >= 0) {
  key_begin = max(0, begin - WINDOW);
  key_end = min(key_end, begin + count + WINDOW);
}

const long query_stride = query_strides[0];
const long key_stride = key_strides[0];
const long value_stride = value_strides[0];
const auto text_query = query + ((first_row + begin) * query_stride + head * HEAD_SIZE);
const auto text_key = key + (first_row * key_stride + head / GROUP * HEAD_SIZE);
const auto text_value = value + (first_row * value_stride + head / GROUP * HEAD_SIZE);
const auto scores = all_scores + simd_id * kSide * kScoreStride;
const auto diagonal = all_diagonals + simd_id * kSide * kSide;

inlay::copy_tile<kRows, HEAD_SIZE, kTileStride, kSimds * 32>(text_query, query_stride, count, tile, thread_index);
threadgroup_barrier(mem_flags::mem_threadgroup);
simdgroup_matrix<float, 8, 8> queries[kParts];
simdgroup_matrix<float, 8, 8> sums[kParts];
for (int p = 0; p < kParts; ++p) {
  simdgroup_load(queries[p], tile + (simd_id * kSide * kTileStride + p * kSide), kTileStride);
  sums[p] = make_filled_simdgroup_matrix<float, 8>(0.0f);
}

// Four threads a row of the SIMD group's eight.
const int row = lane / 4;
const int position = begin + simd_id * kSide + row;
const float factor = scale * kLog2e;
float largest = kUnseen;
float total = 0.0f;

for (int block = key_begin; block < key_end; block += kKeys) {
  const int keys = min(kKeys, key_end - block);
  const int padded = (keys + kSide - 1) / kSide * kSide;
  for (int part = 0; part < keys; part += kRows) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    inlay::copy_tile<kRows, HEAD_SIZE, kTileStride, kSimds * 32>(
        text_key + (block + part) * key_stride, key_stride, keys - part, tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (active) {
      for (int j = 0; j < kRows && part + j < keys; j += kSide) {
        simdgroup_matrix<float, 8, 8> product = make_filled_simdgroup_matrix<float, 8>(0.0f);
        for (int p = 0; p < kParts; ++p) {
          simdgroup_matrix<float, 8, 8> turned;
          simdgroup_load(turned, tile + (j * kTileStride + p * kSide), kTileStride, 0, true);
          simdgroup_multiply_accumulate(product, queries[p], turned, product);
        }
        simdgroup_store(product, scores + (part + j), kScoreStride);
      }
    }
  }
  if (active) {
    simdgroup_barrier(mem_flags::mem_threadgroup);
    float block_largest = kUnseen;
    for (int j = lane % 4; j < keys; j += 4) {
      const bool seen = (!CAUSAL || block + j <= position) &&
                        (WINDOW < 0 || (block + j <= position + WINDOW && position <= block + j + WINDOW));
      const float score = scores[row * kScoreStride + j];
      if (seen) block_largest = max(block_largest, score * factor);
    }
    block_largest = max(block_largest, simd_shuffle_xor(block_largest, ushort(1)));
    block_largest = max(block_largest, simd_shuffle_xor(block_largest, ushort(2)));
    const float new_largest = max(largest, block_largest);
    const float shrink = inlay::exact_exp2(largest - new_largest);
    float block_total = 0.0f;
    for (int j = lane % 4; j < padded; j += 4) {
      const bool seen = j < keys && (!CAUSAL || block + j <= position) &&
                        (WINDOW < 0 || (block + j <= position + WINDOW && position <= block + j + WINDOW));
      const float score = scores[row * kScoreStride + j];
      const float weight = seen ? inlay::exact_exp2(score * factor - new_largest) : 0.0f;
      scores[row * kScoreStride + j] = weight;
      block_total += weight;
    }
    block_total += simd_shuffle_xor(block_total, ushort(1));
    block_total += simd_shuffle_xor(block_total, ushort(2));
    total = total * shrink + block_total;
    largest = new_largest;
    if (block > key_begin) inlay::write_diagonal(shrink, diagonal, lane);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    if (block > key_begin) {
      simdgroup_matrix<float, 8, 8> scales;
      simdgroup_load(scales, diagonal, kSide);
      for (int p = 0; p < kParts; ++p) {
        simdgroup_matrix<float, 8, 8> scaled;
        simdgroup_multiply(scaled, scales, sums[p]);
        sums[p] = scaled;
      }
    }
  }
  for (int part = 0; part < keys; part += kRows) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    inlay::copy_tile<kRows, HEAD_SIZE, kTileStride, kSimds * 32>(
        text_value + (block + part) * value_stride, value_stride, keys - part, tile, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (active) {
      for (int j = 0; j < kRows && part + j < keys; j += kSide) {
        simdgroup_matrix<float, 8, 8> weights;
        simdgroup_load(weights, scores + (part + j), kScoreStride);
        for (int p = 0; p < kParts; ++p) {
          simdgroup_matrix<float, 8, 8> values;
          simdgroup_load(values, tile + (j * kTileStride + p * kSide), kTileStride);
          simdgroup_multiply_accumulate(sums[p], weights, values, sums[p]);
        }
      }
    }
  }
}

if (active) {
  // A row that saw no key has a sum of zero and is zero.
  inlay::write_diagonal(total > 0.0f ? 1.0f / total : 0.0f, diagonal, lane);
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<float, 8, 8> shares;
  simdgroup_load(shares, diagonal, kSide);
  for (int p = 0; p < kParts; ++p) {
    simdgroup_matrix<float, 8, 8> result;
    simdgroup_multiply(result, shares, sums[p]);
    simdgroup_store(result, scores + p * kSide, kScoreStride);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  const long out_stride = long(threadgroups_per_grid.y) * HEAD_SIZE;
  for (int i = lane; i < kSide * HEAD_SIZE / 4; i += 32) {
    const int r = i / (HEAD_SIZE / 4);
    const int column = i % (HEAD_SIZE / 4) * 4;
    if (simd_id * kSide + r >= count) continue;
    float v[4];
    for (int j = 0; j < 4; ++j) v[j] = scores[r * kScoreStride + column + j];
    inlay::store4(out + ((first_row + begin + simd_id * kSide + r) * out_stride + head * HEAD_SIZE + column), v);
  }
}

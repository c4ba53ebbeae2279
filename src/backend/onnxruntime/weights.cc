// Layout and copying of weights.
#include "backend/onnxruntime/weights.h"

#include <algorithm>
#include <utility>

namespace inlay::backend::onnxruntime {
namespace {

constexpr std::int64_t kAlignment = 64;
// Rows and columns of the squares in which a matrix is transposed: two of them fit any L1 cache.
constexpr std::int64_t kSquare = 32;

std::string key_of(const char* kind, const std::vector<WeightRef>& parts) {
  std::string key = kind;
  for (const WeightRef& part : parts) key += "|" + part.name;
  return key;
}

// rows [n, in] become columns [first, first + n) of out [in, all].
void transpose(const std::vector<float>& rows, std::int64_t n, std::int64_t in, std::int64_t all,
               std::int64_t first, float* out) {
  for (std::int64_t r0 = 0; r0 < n; r0 += kSquare) {
    for (std::int64_t c0 = 0; c0 < in; c0 += kSquare) {
      for (std::int64_t c = c0; c < std::min(in, c0 + kSquare); ++c) {
        for (std::int64_t r = r0; r < std::min(n, r0 + kSquare); ++r)
          out[c * all + first + r] = rows[static_cast<std::size_t>(r * in + c)];
      }
    }
  }
}

}  // namespace

const WeightPiece& WeightBlock::add(WeightPiece&& piece, const std::string& key) {
  const auto [at, added] = pieces_.try_emplace(key, std::move(piece));
  if (!added) return at->second;
  at->second.name = "weight_" + std::to_string(pieces_.size() - 1);
  at->second.offset = bytes_;
  std::int64_t elements = 1;
  for (const std::int64_t dimension : at->second.shape) elements *= dimension;
  bytes_ += (elements * std::int64_t{sizeof(float)} + kAlignment - 1) / kAlignment * kAlignment;
  return at->second;
}

const WeightPiece& WeightBlock::transposed(const std::vector<WeightRef>& parts) {
  WeightPiece piece;
  piece.kind = WeightPiece::Kind::kTransposed;
  piece.parts = parts;
  std::int64_t n = 0;
  for (const WeightRef& part : parts) n += part.tensor.shape[0];
  piece.shape = {parts[0].tensor.shape[1], n};
  return add(std::move(piece), key_of("transposed", parts));
}

const WeightPiece& WeightBlock::rows(const WeightRef& part) {
  WeightPiece piece;
  piece.parts = {part};
  piece.shape = part.tensor.shape;
  return add(std::move(piece), key_of("rows", {part}));
}

const WeightPiece& WeightBlock::vector(const std::vector<WeightRef>& parts,
                                       const std::vector<std::int64_t>& sizes, float fill) {
  WeightPiece piece;
  piece.kind = WeightPiece::Kind::kVector;
  piece.parts = parts;
  piece.sizes = sizes;
  piece.fill = fill;
  std::int64_t n = 0;
  std::string key = key_of("vector", parts) + "|" + std::to_string(fill);
  for (const std::int64_t size : sizes) {
    n += size;
    key += "," + std::to_string(size);
  }
  piece.shape = {n};
  return add(std::move(piece), key);
}

const WeightPiece& WeightBlock::numbers(const std::string& name, Shape shape,
                                        std::vector<float> values) {
  WeightPiece piece;
  piece.kind = WeightPiece::Kind::kNumbers;
  piece.shape = std::move(shape);
  piece.numbers = std::move(values);
  return add(std::move(piece), "numbers|" + name);
}

Buffer WeightBlock::fill() const {
  Buffer block(static_cast<std::size_t>(std::max<std::int64_t>(bytes_, kAlignment)));
  for (const auto& [key, piece] : pieces_) {
    float* out = reinterpret_cast<float*>(block.as<char>() + piece.offset);
    std::int64_t first = 0;
    switch (piece.kind) {
      case WeightPiece::Kind::kTransposed:
        for (const WeightRef& part : piece.parts) {
          const std::int64_t n = part.tensor.shape[0];
          transpose(to_float(part.tensor, part.name), n, piece.shape[0], piece.shape[1], first,
                    out);
          first += n;
        }
        break;
      case WeightPiece::Kind::kRows:
        to_float(piece.parts[0].tensor, out, piece.parts[0].name);
        break;
      case WeightPiece::Kind::kVector:
        for (std::size_t i = 0; i < piece.parts.size(); ++i) {
          const WeightRef& part = piece.parts[i];
          if (part.present()) {
            to_float(part.tensor, out + first, part.name);
          } else {
            std::fill_n(out + first, piece.sizes[i], piece.fill);
          }
          first += piece.sizes[i];
        }
        break;
      case WeightPiece::Kind::kNumbers:
        std::copy(piece.numbers.begin(), piece.numbers.end(), out);
        break;
    }
  }
  return block;
}

}  // namespace inlay::backend::onnxruntime

// What a library of tensors does for a room that pads: plain structs and a table of functions, so
// that the library's own types, exceptions and language stay on its side. Handles are the caller's
// until released. A function that fails returns null or false and writes why into the message.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inlay::backend::padded {

struct Message {
  char text[512];
};

struct SessionHandle;
struct TensorHandle;

// Operations. Shapes: T texts of R rows (the tokens of the longest, S, or one row); H heads of D.
// Where two tensors meet they broadcast. Inputs marked ? may be null.
enum class Op : std::int32_t {
  kTake,         // table [V, W], int32 ids [..] -> [.., W]
  kAdd,          // a, b
  kMultiply,     // a, b
  kScale,        // x; real: the factor
  kLinear,       // x [.., in], weights [n, in], bias? [n]; integers: Activation -> [.., n]
  kNorm,         // x, residual?, weight? [W], bias? [W]; integers: NormKind; real: eps
  kAttention,    // q [T, R, H D], k [T, S, K D], v? likewise, mask? added to the scores and
                 // broadcast to [T, H, R, S], key counts int32 [T]; integers: H, K, D, whether the
                 // mask is made of the key counts and the next two alone, causal, window (-1:
                 // none); real: the scale. Without v the mean over heads of the softmax
                 // [T, R, S] -> [T, R, H D]
  kSlice,        // x; integers: axis from the end (1: the last), begin, end
  kConcatenate,  // any number; integers: axis from the end
  kReshape,      // x; integers: the shape
  kPool,         // weights [T, m, S] fp32, x [T, S, W], lengths? and first tokens? int32 [T];
                 // integers: whether each row is then normalised, and the PoolMode that the
                 // weights are of, or -1 -> fp32 [T, m, W]
  kRowMaximum,   // x [T, S, W], mask [T, S, 1] -> fp32 [T, W]
  kVocabularyMax,  // x [T, S, in], weights [V, in], bias? [V], mask [T, S, 1], or with a sum ones
                   // [T, 1, S], fp32, lengths int32 [T]; integers: sum, times that log1p is taken
                   // -> fp32 [T, V]
  kNormalize,      // x / max(|x|, 1e-12) over the last axis, fp32
};

struct Call {
  Op op = Op::kAdd;
  const TensorHandle* const* inputs = nullptr;
  std::size_t input_count = 0;
  const std::int64_t* integers = nullptr;
  std::size_t integer_count = 0;
  double real = 0;
};

// What a tensor of the host is for: floats become the session's dtype, those of kExact stay fp32.
// Matrices, and tables that rows are taken of, may become fewer bits.
enum class Role : std::int32_t { kNumbers, kExact, kInteger, kTable, kMatrix };

// Elements of a row that share a scale in a quantised matrix, where so many divide the row; 0: it
// cannot be quantised and stays as values are.
constexpr std::int64_t quantised_group(std::int64_t columns) {
  return columns % 64 == 0 ? 64 : columns % 32 == 0 ? 32 : 0;
}

inline constexpr std::int32_t kTableBits = 8;

struct SessionOptions {
  const char* unit = "cpu";      // of the room
  const char* dtype = "fp32";    // of values: fp32, fp16, bf16
  std::int32_t weight_bits = 0;  // of matrices: 0, as values are; 8 or 4, and of tables then 8
  std::int32_t threads = 1;
  std::int64_t cache_bytes = 0;  // of freed memory that the library keeps for the next run
  std::int32_t own_kernels = 1;  // whether Inlay's own kernels are used where there are such
};

struct TensorApi {
  SessionHandle* (*open)(const SessionOptions*, Message*);
  void (*close)(SessionHandle*);
  // Around the work of a thread with a session: one thread at a time.
  bool (*begin)(SessionHandle*, Message*);
  // Copies numbers of the host, float or int32, row by row.
  TensorHandle* (*upload)(SessionHandle*, const void* data, Role role, const std::int64_t* shape,
                          std::size_t dimensions, Message*);
  TensorHandle* (*call)(SessionHandle*, const Call*, Message*);
  // Waits for the tensor and writes its elements, `count` of them, row by row.
  bool (*download)(SessionHandle*, const TensorHandle*, float* out, std::size_t count, Message*);
  // Another handle of the same tensor.
  TensorHandle* (*share)(const TensorHandle*);
  void (*release)(TensorHandle*);
  // Bytes that a tensor's elements take, scales of quantised ones included.
  std::int64_t (*bytes)(const TensorHandle*);
  // Of the session: each operation that runs in a kernel of Inlay's own, a line each, or what the
  // library says of itself. Valid until the next call.
  const char* (*notes)(SessionHandle*);
};

}  // namespace inlay::backend::padded

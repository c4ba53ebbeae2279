// The operations of padded/tensor_api.h as ATen's operators.
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "backend/torch/tensors.h"
#include "program/program.h"

namespace inlay::backend::torch {
namespace {

using padded::Call;
using padded::Message;
using padded::Op;
using padded::Role;
using padded::SessionHandle;
using padded::TensorHandle;

// Columns of the vocabulary whose logits exist at one time.
constexpr std::int64_t kVocabularyTile = 4096;

// A tensor that outlives its session's frame: a handle of the table.
struct Held {
  Tensor tensor;
  const Tensors* tensors;
};

struct Session {
  Tensors tensors;
  int threads = 1;
  bool cuda = false;
  std::string notes{};
};

const Held* held(const TensorHandle* handle) { return reinterpret_cast<const Held*>(handle); }
TensorHandle* handle(Tensor tensor, const Tensors& tensors) {
  return reinterpret_cast<TensorHandle*>(new Held{std::move(tensor), &tensors});
}
Session* session(SessionHandle* handle) { return reinterpret_cast<Session*>(handle); }

// Whatever f throws becomes the message.
template <typename F, typename Result>
Result guarded(Message* message, Result otherwise, const F& f) {
  try {
    return f();
  } catch (const std::exception& error) {
    std::snprintf(message->text, sizeof message->text, "%s", error.what());
  }
  return otherwise;
}

// The inputs and numbers of one call.
class Operation {
 public:
  Operation(const Tensors& tensors, const Call& call) : t_(tensors), call_(call) {}
  Tensor run() const;

 private:
  bool has(std::size_t i) const { return i < call_.input_count && call_.inputs[i] != nullptr; }
  const Tensor& in(std::size_t i) const {
    static const Tensor kAbsent;
    return has(i) ? held(call_.inputs[i])->tensor : kAbsent;
  }
  std::int64_t integer(std::size_t i) const { return call_.integers[i]; }
  Tensor attention() const;
  Tensor vocabulary_max() const;
  Tensor concatenate() const;
  Tensor pool() const;
  // [T, rows, n D] as [T, n, rows, D].
  Tensor by_head(const Tensor& x, std::int64_t heads) const {
    const Tensors::Shape shape = t_.shape(x);
    return t_.transpose(t_.reshape(x, {shape[0], shape[1], heads, shape[2] / heads}), 1, 2);
  }

  const Tensors& t_;
  const Call& call_;
};

Tensor Operation::run() const {
  switch (call_.op) {
    case Op::kTake:
      return t_.embedding(in(0), in(1));
    case Op::kAdd:
      return t_.add(in(0), in(1));
    case Op::kMultiply:
      return t_.multiply(in(0), in(1));
    case Op::kScale:
      return t_.scale(in(0), call_.real);
    case Op::kLinear:
      return t_.activate(static_cast<Activation>(integer(0)), t_.linear(in(0), in(1), in(2)));
    case Op::kNorm: {
      const bool rms = static_cast<NormKind>(integer(0)) == NormKind::kRms;
      const Tensor sum = has(1) ? t_.add(in(0), in(1)) : t_.share(in(0));
      return t_.norm(sum, rms, in(2), in(3), call_.real);
    }
    case Op::kAttention:
      return attention();
    case Op::kSlice: {
      const auto axis = static_cast<std::int64_t>(t_.shape(in(0)).size()) - integer(0);
      return t_.narrow(in(0), axis, integer(1), integer(2) - integer(1));
    }
    case Op::kConcatenate:
      return concatenate();
    case Op::kReshape:
      return t_.reshape(in(0), {call_.integers, call_.integers + call_.integer_count});
    case Op::kPool:
      return pool();
    case Op::kRowMaximum:
      return t_.maximum(t_.add(t_.exact(in(0)), in(1)), 1);
    case Op::kVocabularyMax:
      return vocabulary_max();
    case Op::kNormalize:
      return t_.normalize(in(0));
  }
  throw TorchError("an operation that this room does not know");
}

Tensor Operation::concatenate() const {
  std::vector<const Tensor*> parts;
  for (std::size_t i = 0; i < call_.input_count; ++i) parts.push_back(&in(i));
  return t_.concatenate(parts, -integer(0));
}

Tensor Operation::pool() const {
  Tensor out = t_.matmul(in(0), t_.exact(in(1)));
  return integer(0) != 0 ? t_.normalize(out) : std::move(out);
}

Tensor Operation::attention() const {
  const std::int64_t heads = integer(0);
  const std::int64_t kv_heads = integer(1);
  const Tensors::Shape shape = t_.shape(in(0));
  const Tensor q = by_head(in(0), heads);
  const Tensor k = by_head(in(1), kv_heads);
  if (has(2)) {
    const Tensor out =
        t_.attention(q, k, by_head(in(2), kv_heads), in(3), call_.real, heads != kv_heads);
    return t_.reshape(t_.transpose(out, 1, 2), shape);
  }
  // Keys that queries share: the queries of a group below each other.
  const std::int64_t length = t_.shape(in(1))[1];
  const Tensor grouped =
      t_.reshape(q, {shape[0], kv_heads, heads / kv_heads * shape[1], integer(2)});
  Tensor scores = t_.scale(t_.matmul(grouped, t_.transpose(k, 2, 3)), call_.real);
  scores = t_.reshape(scores, {shape[0], heads, shape[1], length});
  if (has(3)) scores = t_.add(scores, in(3));
  return t_.reduce("aten::mean", "dim", t_.softmax(t_.exact(scores)), 1, false);
}

Tensor Operation::vocabulary_max() const {
  const bool sum = integer(0) != 0;
  const std::int64_t vocabulary = t_.shape(in(1))[0];
  // log(1 + max(x, 0)), once or twice
  const auto weight = [&](const Tensor& x) {
    Tensor out = t_.unary("aten::log1p", t_.unary("aten::relu", x));
    return integer(1) > 1 ? t_.unary("aten::log1p", out) : std::move(out);
  };
  std::vector<Tensor> tiles;
  for (std::int64_t begin = 0; begin < vocabulary; begin += kVocabularyTile) {
    const std::int64_t count = std::min(kVocabularyTile, vocabulary - begin);
    const Tensor bias = has(2) ? t_.narrow(in(2), 0, begin, count) : Tensor();
    const Tensor logits = t_.exact(t_.linear(in(0), t_.narrow(in(1), 0, begin, count), bias));
    if (sum) {
      const Tensor total = t_.matmul(in(3), weight(logits));
      tiles.push_back(t_.reshape(total, {t_.shape(total)[0], count}));
    } else {
      tiles.push_back(weight(t_.maximum(t_.add(logits, in(3)), 1)));
    }
  }
  std::vector<const Tensor*> parts;
  parts.reserve(tiles.size());
  for (const Tensor& tile : tiles) parts.push_back(&tile);
  return t_.concatenate(parts, -1);
}

SessionHandle* open_session(const padded::SessionOptions* options, Message* message) {
  return guarded(message, static_cast<SessionHandle*>(nullptr), [&] {
    const Library& opened = library();
    std::string refusal = opened.usable ? device_refusal(opened, options->unit) : opened.reason;
    if (!refusal.empty()) throw TorchError(refusal);
    auto* made = new Session{Tensors(opened.shim, options->unit, options->dtype), options->threads,
                             std::string(options->unit) == kCudaUnit};
    return reinterpret_cast<SessionHandle*>(made);
  });
}

void close_session(SessionHandle* handle) { delete session(handle); }

bool begin(SessionHandle* handle, Message*) {
  const Session* opened = session(handle);
  const Shim& shim = opened->tensors.shim();
  shim.aoti_torch_grad_mode_set_enabled(false);
  if (shim.set_num_threads != nullptr) shim.set_num_threads(opened->threads);
  // cuDNN's attention, which LibTorch prefers in fp16, compiles for every shape that it meets:
  // groups of texts have hundreds, and the other fused attention takes any.
  if (opened->cuda && shim.global_context != nullptr && shim.set_cudnn_attention != nullptr)
    shim.set_cudnn_attention(shim.global_context(), false);
  return true;
}

TensorHandle* upload(SessionHandle* at, const void* data, Role role, const std::int64_t* shape,
                     std::size_t dimensions, Message* message) {
  return guarded(message, static_cast<TensorHandle*>(nullptr), [&] {
    const Tensors& tensors = session(at)->tensors;
    return handle(tensors.upload(data, role == Role::kInteger, {shape, shape + dimensions},
                                 role == Role::kExact),
                  tensors);
  });
}

TensorHandle* call(SessionHandle* at, const Call* call, Message* message) {
  return guarded(message, static_cast<TensorHandle*>(nullptr), [&] {
    const Tensors& tensors = session(at)->tensors;
    return handle(Operation(tensors, *call).run(), tensors);
  });
}

bool download(SessionHandle* at, const TensorHandle* tensor, float* out, std::size_t count,
              Message* message) {
  return guarded(message, false, [&] {
    session(at)->tensors.download(held(tensor)->tensor, out, count);
    return true;
  });
}

TensorHandle* share(const TensorHandle* tensor) {
  const Held* from = held(tensor);
  return handle(from->tensors->share(from->tensor), *from->tensors);
}

void release(TensorHandle* tensor) { delete reinterpret_cast<Held*>(tensor); }

std::int64_t bytes(const TensorHandle* tensor) {
  return held(tensor)->tensors->bytes(held(tensor)->tensor);
}

const char* notes(SessionHandle* handle) {
  Session* opened = session(handle);
  opened->notes =
      opened->tensors.shim().set_num_threads != nullptr
          ? "threads: " + std::to_string(opened->threads)
          : "threads: as LibTorch itself chooses, which this version does not let be set";
  return opened->notes.c_str();
}

}  // namespace

const padded::TensorApi& tensor_api() {
  static const padded::TensorApi api{open_session, close_session, begin,   upload, call,
                                     download,     share,         release, bytes,  notes};
  return api;
}

}  // namespace inlay::backend::torch

// A session: memory taken once, weights converted on their way in, submissions run in order on one
// stream.
#include <algorithm>
#include <cstring>

#include "backend/cuda/device/math.cuh"
#include "backend/cuda/device/session.h"

namespace inlay::backend::cuda {
namespace {

constexpr std::int64_t kBounceFloats = kBounceBytes / std::int64_t{sizeof(float)};

__global__ void convert_kernel(const float* from, std::int64_t count, std::int64_t columns,
                               std::int64_t first, char* to, std::int64_t ld, Type type) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const std::int64_t at = first + i;
  store_any(to, type, at / columns * ld + at % columns, from[i]);
}

__device__ float e4m3_as_float(float x) {
  const std::uint32_t bits = e4m3_pair(x, 0);
  std::uint32_t halves = 0;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;\n" : "=r"(halves) : "h"(static_cast<std::uint16_t>(bits)));
#endif
  return __half2float(__ushort_as_half(static_cast<std::uint16_t>(halves & 0xFFFFU)));
}

// Api::upload_e4m3, a warp a row. `results`: scales, shares, lengths, [rows] each.
__global__ void quantize_kernel(const float* values, const float* factors, const float* shifts,
                                std::int64_t columns, std::uint8_t* to, std::int64_t ld,
                                float* results, std::int64_t rows) {
  constexpr int kCandidates = 11;
  const std::int64_t row = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const float* from = values + row * columns;
  float most = 0;
  float squares = 0;
  float share = 0;
  for (std::int64_t c = lane; c < columns; c += kWarp) {
    const float x = from[c] * factors[c];
    most = fmaxf(most, fabsf(x));
    squares = fmaf(x, x, squares);
    share = fmaf(from[c], shifts[c], share);
  }
  most = warp_max(most);
  // From the largest element at the largest number down to half of it: further down, mantissas
  // repeat.
  float best = 0;
  float least = INFINITY;
  for (int i = 0; i < kCandidates; ++i) {
    const float scale =
        most > 0 ? kMostE4M3 * (1.0F - 0.048F * static_cast<float>(i)) / most : 1.0F;
    float error = 0;
    for (std::int64_t c = lane; c < columns; c += kWarp) {
      const float x = from[c] * factors[c];
      const float difference = e4m3_as_float(x * scale) / scale - x;
      error = fmaf(difference, difference, error);
    }
    error = warp_sum(error);
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  for (std::int64_t c = lane; c < columns; c += kWarp)
    to[row * ld + c] = static_cast<std::uint8_t>(e4m3_pair(from[c] * factors[c] * best, 0));
  squares = warp_sum(squares);
  share = warp_sum(share);
  if (lane == 0) {
    results[row] = 1.0F / best;
    results[rows + row] = share;
    results[2 * rows + row] = sqrtf(squares);
  }
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  const Status status = error == cudaErrorMemoryAllocation ? Status::kOutOfMemory : Status::kFailed;
  throw Failure{status, std::string(what) + ": the GPU says " + cudaGetErrorString(error)};
}

DeviceMemory::DeviceMemory(std::int64_t bytes) {
  check(cudaMalloc(&data, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 16))),
        "taking memory of the GPU");
}

PinnedMemory::PinnedMemory(std::int64_t bytes) {
  check(cudaMallocHost(&data, static_cast<std::size_t>(std::max<std::int64_t>(bytes, 16))),
        "taking page-locked memory");
}

Session::Session(const SessionSpec& spec)
    : device(spec.device),
      kinds(spec.inputs),
      input_words(spec.input_words),
      output_bytes(spec.output_bytes),
      most(spec.most),
      setup(spec.setup, spec.setup + spec.setup_count),
      ops(spec.ops, spec.ops + spec.op_count),
      outputs_(spec.outputs, spec.outputs + spec.output_count) {
  enter();
  // Kernels wait for what they read themselves only where they were compiled for it (start.cuh).
  cudaFuncAttributes code{};
  check(cudaFuncGetAttributes(&code, convert_kernel), "asking for a kernel");
  overlaps = code.ptxVersion >= 90;
  const std::int64_t input_bytes = input_words * std::int64_t{sizeof(std::int32_t)};
  weights = DeviceMemory(spec.weight_bytes);
  check(cudaMemset(weights.data, 0, static_cast<std::size_t>(spec.weight_bytes)),
        "clearing memory");  // what lies between rows is read by nobody, but never undefined
  slots = DeviceMemory(spec.slot_bytes);
  check(cudaMemset(slots.data, 0, static_cast<std::size_t>(spec.slot_bytes)), "clearing memory");
  results = DeviceMemory(output_bytes);
  device_inputs = DeviceMemory(input_bytes);
  check(cudaMemset(device_inputs.data, 0, static_cast<std::size_t>(input_bytes)),
        "clearing memory");  // texts of no tokens: what graphs are recorded with
  convert = DeviceMemory(kBounceFloats * std::int64_t{sizeof(float)});
  bounce = PinnedMemory(kBounceFloats * std::int64_t{sizeof(float)});
  for (Stage& stage : stages) {
    stage.inputs = PinnedMemory(input_bytes);
    stage.outputs = PinnedMemory(output_bytes);
    std::memset(stage.inputs.data, 0, static_cast<std::size_t>(input_bytes));
    check(cudaEventCreateWithFlags(&stage.done, cudaEventDisableTiming), "making an event");
  }
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  lt = std::make_unique<Lt>(stream);
  check(cudaDeviceSynchronize(), "clearing memory");
}

Session::~Session() {
  cudaSetDevice(device);
  if (stream != nullptr) cudaStreamSynchronize(stream);
  for (const Graph& graph : graphs) {
    for (cudaGraphExec_t exec : graph.of_stage) {
      if (exec != nullptr) cudaGraphExecDestroy(exec);
    }
  }
  setup_products.clear();
  op_products.clear();
  lt.reset();
  for (Stage& stage : stages) {
    if (stage.done != nullptr) cudaEventDestroy(stage.done);
  }
  if (stream != nullptr) cudaStreamDestroy(stream);
}

void Session::upload(const float* values, std::int64_t rows, std::int64_t columns,
                     std::int64_t offset, std::int64_t ld, Type to) {
  const std::int64_t count = rows * columns;
  char* target = static_cast<char*>(weights.data) + offset;
  for (std::int64_t first = 0; first < count; first += kBounceFloats) {
    const std::int64_t part = std::min(kBounceFloats, count - first);
    const auto bytes = static_cast<std::size_t>(part) * sizeof(float);
    std::memcpy(bounce.data, values + first, bytes);
    check(cudaMemcpyAsync(convert.data, bounce.data, bytes, cudaMemcpyHostToDevice, stream),
          "copying weights");
    constexpr int kThreads = 256;
    convert_kernel<<<static_cast<unsigned>((part + kThreads - 1) / kThreads), kThreads, 0,
                     stream>>>(static_cast<const float*>(convert.data), part, columns, first,
                               target, ld, to);
    check(cudaGetLastError(), "converting weights");
    check(cudaStreamSynchronize(stream), "copying weights");
  }
}

// The rows of one bounce at a time: whole ones, as many as fit.
void Session::upload_e4m3(const float* values, std::int64_t rows, std::int64_t columns,
                          const float* factors, const float* shifts, std::int64_t offset,
                          std::int64_t ld, float* scales, float* shares, float* lengths) {
  const std::int64_t at_once = (kBounceFloats - 2 * columns) / (columns + 3);
  if (at_once < 1) throw Failure{Status::kFailed, "a weight's row is longer than the bounce"};
  auto* host = static_cast<float*>(bounce.data);
  auto* on_device = static_cast<float*>(convert.data);
  const std::int64_t results = kBounceFloats - 3 * at_once;
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t part = std::min(at_once, rows - first);
    const std::int64_t count = part * columns;
    std::memcpy(host, values + first * columns, static_cast<std::size_t>(count) * sizeof(float));
    for (std::int64_t c = 0; c < columns; ++c) {
      host[count + c] = factors != nullptr ? factors[c] : 1.0F;
      host[count + columns + c] = shifts != nullptr ? shifts[c] : 0.0F;
    }
    check(cudaMemcpyAsync(on_device, host,
                          static_cast<std::size_t>(count + 2 * columns) * sizeof(float),
                          cudaMemcpyHostToDevice, stream),
          "copying weights");
    quantize_kernel<<<static_cast<unsigned>(part), kWarp, 0, stream>>>(
        on_device, on_device + count, on_device + count + columns, columns,
        static_cast<std::uint8_t*>(weights.data) + offset + first * ld, ld, on_device + results,
        part);
    check(cudaGetLastError(), "converting weights");
    check(cudaMemcpyAsync(host, on_device + results,
                          static_cast<std::size_t>(3 * part) * sizeof(float),
                          cudaMemcpyDeviceToHost, stream),
          "copying weights");
    check(cudaStreamSynchronize(stream), "copying weights");
    std::copy_n(host, part, scales + first);
    std::copy_n(host + part, part, shares + first);
    std::copy_n(host + 2 * part, part, lengths + first);
  }
}

void Session::upload_words(const std::int32_t* values, std::int64_t count, std::int64_t offset) {
  check(cudaMemcpy(static_cast<char*>(weights.data) + offset, values,
                   static_cast<std::size_t>(count) * sizeof(std::int32_t), cudaMemcpyHostToDevice),
        "copying weights");
}

Launch Session::launch_for(const BatchShape& shape) const {
  Launch run{};
  run.stream = stream;
  run.shape = shape;
  run.at = input_layout(shape, kinds);
  run.inputs = static_cast<const std::int32_t*>(device_inputs.data);
  run.blocks[static_cast<int>(Block::kWeights)] = static_cast<char*>(weights.data);
  run.blocks[static_cast<int>(Block::kSlots)] = static_cast<char*>(slots.data);
  run.blocks[static_cast<int>(Block::kOutputs)] = static_cast<char*>(results.data);
  run.overlaps = overlaps;
  return run;
}

// A linear has one product; a vocabulary one for whole tiles and one for the last.
void Session::plan_products(const std::vector<Op>& list,
                            std::vector<std::vector<Product>>* products) {
  products->resize(list.size());
  const Launch at = launch_for(most);
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::vector<Product>& mine = (*products)[i];
    if (list[i].kind == OpKind::kLinear) {
      const LinearOp& op = list[i].linear;
      mine.emplace_back(lt.get(), at, op, op.rows > 0 ? op.rows : at.rows(op.out.rows));
    } else if (list[i].kind == OpKind::kVocabulary) {
      const VocabularyOp& op = list[i].vocabulary;
      LinearOp tile{};
      tile.in = op.in;
      tile.weight = op.weight;
      tile.out = op.logits;
      tile.k = op.k;
      tile.n = kVocabularyTile;
      mine.emplace_back(lt.get(), at, tile, most.tokens);
      tile.n = op.n % kVocabularyTile;
      if (tile.n > 0) mine.emplace_back(lt.get(), at, tile, most.tokens);
    }
  }
}

void Session::run_ops(const Launch& run, const std::vector<Op>& list,
                      const std::vector<std::vector<Product>>& products) {
  for (std::size_t i = 0; i < list.size(); ++i) run_op(run, list[i], products[i]);
}

void Session::run_op(const Launch& run, const Op& op, const std::vector<Product>& products) {
  switch (op.kind) {
    case OpKind::kEmbed:
      launch(run, op.embed);
      break;
    case OpKind::kNorm:
      launch(run, op.norm);
      break;
    case OpKind::kLinear: {
      const std::int64_t rows = op.linear.rows > 0 ? op.linear.rows : run.rows(op.linear.out.rows);
      products[0].run(run, rows, 0, lt.get());
      break;
    }
    case OpKind::kGate:
      launch(run, op.gate);
      break;
    case OpKind::kPrepare:
      launch(run, op.prepare);
      break;
    case OpKind::kAttention:
      launch(run, op.attention);
      break;
    case OpKind::kAdd:
      launch(run, op.add);
      break;
    case OpKind::kSelect:
      launch(run, op.select);
      break;
    case OpKind::kPool:
      launch(run, op.pool);
      break;
    case OpKind::kRow:
      launch(run, op.row);
      break;
    case OpKind::kExperts:
      launch(run, op.experts);
      break;
    case OpKind::kVocabulary: {
      const VocabularyOp& v = op.vocabulary;
      for (std::int64_t first = 0; first < v.n; first += kVocabularyTile) {
        const std::int64_t count = std::min(kVocabularyTile, v.n - first);
        const std::size_t which = count == kVocabularyTile ? 0 : 1;
        products[which].run(run, run.shape.tokens, first * v.weight.ld * type_bytes(v.weight.type),
                            lt.get());
        launch_vocabulary(run, v, first, count);
      }
      break;
    }
  }
}

void Session::prepare() {
  plan_products(setup, &setup_products);
  plan_products(ops, &op_products);
  run_ops(launch_for({1, 1, 0, 1}), setup, setup_products);
  check(cudaStreamSynchronize(stream), "preparing weights");
  convert = DeviceMemory();
  bounce = PinnedMemory();
  if (short_text.plan(launch_for(most), ops)) warm_short_text();
  record_graphs();
}

// One text of one token: loads the kernel, and tells whether the GPU takes its launch.
void Session::warm_short_text() {
  const Launch run = launch_for({1, 1, 0, 1});
  std::int32_t* in = inputs(0);
  in[run.at.offsets + 1] = 1;
  in[run.at.key_counts] = 1;
  try {
    short_text.run(run, in, static_cast<char*>(stages[0].outputs.data));
  } catch (const Failure&) {
    short_text.drop();
  }
  check(cudaStreamSynchronize(stream), "a first run");
  std::memset(in, 0, static_cast<std::size_t>(run.at.total) * sizeof(std::int32_t));
}

// Results that a graph copies in vain at most.
constexpr std::int64_t kGraphFloats = std::int64_t{1} << 18;

// One text and many, for each of a row of token counts. All of them now: a graph is never recorded
// while a request waits.
void Session::record_graphs() {
  const auto spans = [](const OutputSpec& output) { return output.rows == RowKind::kSpans; };
  const auto pools_spans = [](const Op& op) { return op.kind == OpKind::kPool && op.pool.spans; };
  if (std::any_of(outputs_.begin(), outputs_.end(), spans) ||
      std::any_of(ops.begin(), ops.end(), pools_spans))
    return;
  for (const std::int64_t tokens :
       {8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048}) {
    for (const std::int64_t texts : {std::int64_t{1}, tokens / 8}) {
      if (tokens > most.tokens || texts > most.texts || short_text.takes({tokens, texts, 0, 0}))
        continue;
      if (!graphs.empty() && graphs.back().shape.tokens == tokens &&
          graphs.back().shape.texts == texts)
        continue;
      const std::int64_t blocks = (tokens + kQueryBlock - 1) / kQueryBlock;
      const BatchShape shape{tokens, texts, 0, texts == 1 ? blocks : blocks + texts};
      std::int64_t copied = 0;  // for texts that may not be there
      for (const OutputSpec& output : outputs_)
        copied += output.width * (output.rows == RowKind::kTokens ? tokens : texts);
      if (texts > 1 && copied > kGraphFloats) continue;
      graphs.push_back({shape, {}});
      enqueue(0, shape, shape);  // once without recording: kernels are loaded when first used
      check(cudaStreamSynchronize(stream), "a first run");
      for (int stage = 0; stage < kStages; ++stage) {
        cudaGraph_t graph = nullptr;
        check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
              "recording a graph");
        enqueue(stage, shape, shape);
        check(cudaStreamEndCapture(stream, &graph), "recording a graph");
        const cudaError_t made = cudaGraphInstantiate(&graphs.back().of_stage[stage], graph, 0);
        cudaGraphDestroy(graph);
        check(made, "making a graph");
        check(cudaGraphUpload(graphs.back().of_stage[stage], stream), "making a graph");
      }
    }
  }
  check(cudaStreamSynchronize(stream), "making graphs");
}

BatchShape Session::padded(const BatchShape& shape) const {
  if (shape.spans > 0 || short_text.takes(shape)) return shape;
  for (const Graph& graph : graphs) {
    if (graph.shape.tokens >= shape.tokens && graph.shape.texts >= shape.texts &&
        graph.shape.items >= shape.items)
      return graph.shape;
  }
  return shape;
}

// The copies and kernels of one submission.
void Session::enqueue(int stage, const BatchShape& shape, const BatchShape& padded) {
  const Launch run = launch_for(padded);
  check(cudaMemcpyAsync(device_inputs.data, stages[stage].inputs.data,
                        static_cast<std::size_t>(run.at.total) * sizeof(std::int32_t),
                        cudaMemcpyHostToDevice, stream),
        "copying a batch");
  run_ops(run, ops, op_products);
  for (const OutputSpec& output : outputs_) {
    const std::int64_t rows = output.rows == RowKind::kTokens  ? shape.tokens
                              : output.rows == RowKind::kTexts ? shape.texts
                                                               : shape.spans;
    if (rows < 1) continue;
    check(cudaMemcpyAsync(static_cast<char*>(stages[stage].outputs.data) + output.offset,
                          static_cast<const char*>(results.data) + output.offset,
                          static_cast<std::size_t>(rows * output.width) * sizeof(float),
                          cudaMemcpyDeviceToHost, stream),
          "copying results");
  }
}

void Session::submit(int stage, const BatchShape& shape, const BatchShape& padded) {
  last_shape = padded;
  last_stage = stage;
  const auto same = [&padded](const Graph& graph) {
    return graph.shape.tokens == padded.tokens && graph.shape.texts == padded.texts;
  };
  const auto graph = std::find_if(graphs.begin(), graphs.end(), same);
  stages[stage].short_texts = short_text.takes(padded) ? padded.texts : 0;
  if (stages[stage].short_texts > 0) {
    short_text.run(launch_for(padded), inputs(stage),
                   static_cast<char*>(stages[stage].outputs.data));
  } else if (graph != graphs.end() && graph->shape.items == padded.items && padded.spans == 0) {
    check(cudaGraphLaunch(graph->of_stage[stage], stream), "running a batch");
  } else {
    enqueue(stage, shape, padded);
  }
  check(cudaEventRecord(stages[stage].done, stream), "marking the end of a batch");
}

void Session::wait(int stage) {
  // A short batch's results are there a few microseconds before the driver tells of its end; what
  // stops it, the driver alone tells.
  constexpr int kQuestions = 1024;
  cudaError_t state = cudaErrorNotReady;
  for (int i = 1; stages[stage].short_texts > 0 && state == cudaErrorNotReady; ++i) {
    if (short_text.come(outputs(stage), stages[stage].short_texts)) return;
    if (i % kQuestions == 0) state = cudaEventQuery(stages[stage].done);
  }
  cudaGetLastError();  // "not ready" is none
  check(cudaEventSynchronize(stages[stage].done), "running a batch");
}

float Session::time(int repeats, float* operations) {
  const Launch run = launch_for(last_shape);
  check(cudaMemcpyAsync(device_inputs.data, stages[last_stage].inputs.data,
                        static_cast<std::size_t>(run.at.total) * sizeof(std::int32_t),
                        cudaMemcpyHostToDevice, stream),
        "copying a batch");  // a short one is not there
  std::vector<cudaEvent_t> marks(ops.size() + 1);
  for (cudaEvent_t& mark : marks) check(cudaEventCreate(&mark), "making an event");
  const auto between = [&](std::size_t from, std::size_t to) {
    float milliseconds = 0;
    check(cudaEventSynchronize(marks[to]), "timing");
    check(cudaEventElapsedTime(&milliseconds, marks[from], marks[to]), "timing");
    return milliseconds / static_cast<float>(repeats);
  };
  for (std::size_t i = 0; i < ops.size(); ++i) {
    check(cudaEventRecord(marks[i], stream), "timing");
    for (int r = 0; r < repeats; ++r) run_op(run, ops[i], op_products[i]);
    check(cudaEventRecord(marks[i + 1], stream), "timing");
    operations[i] = between(i, i + 1);
  }
  check(cudaEventRecord(marks[0], stream), "timing");
  for (int r = 0; r < repeats; ++r) run_ops(run, ops, op_products);
  check(cudaEventRecord(marks[1], stream), "timing");
  const float all = between(0, 1);
  for (cudaEvent_t mark : marks) cudaEventDestroy(mark);
  return all;
}

std::string Session::describe(std::int64_t op) const {
  static constexpr const char* kNames[] = {"embed",   "norm",      "linear",     "gate",
                                           "prepare", "attention", "add",        "select",
                                           "pool",    "row",       "vocabulary", "experts"};
  const auto i = static_cast<std::size_t>(op);
  std::string text = kNames[static_cast<int>(ops[i].kind)];
  for (const Product& product : op_products[i]) text += " " + product.text();
  return text;
}

}  // namespace inlay::backend::cuda

// Inlay's C++ API: text in, dense vectors out, and the truth about how it was done.
//
// Everything that a frontend needs is here; every other header is private. Types are plain values
// unless they say otherwise. All functions report failure by throwing inlay::Error; nothing prints,
// exits or aborts. Source compatibility holds within a major version (none is promised before 1.0);
// the stable binary border is inlay.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#if defined(_WIN32)
#define INLAY_API
#else
#define INLAY_API __attribute__((visibility("default")))
#endif

namespace inlay {

// ----------------------------------------------------------------------------------------------------
// errors

// One table (src/base/error.cc) gives each code its name, C int, HTTP status and process exit code.
enum class ErrorCode : int {
  kUsage = 1,     // the caller's arguments contradict each other or name something unknown (exit 2)
  kBadInput = 2,  // a text or a model file is malformed (exit 65)
  kUnsupported =
      3,  // well-formed, but a family, task, step or format that Inlay does not have (exit 65)
  kNotFound = 4,     // a file or a model is missing (exit 66)
  kUnavailable = 5,  // a device or service cannot be had (exit 69)
  kInternal = 6,     // a bug in Inlay (exit 70)
  kMemoryLimit = 7,  // the memory limit does not allow it (exit 71)
  kCannotWrite = 8,  // an output cannot be written (exit 73)
  kCancelled = 9,    // the caller cancelled, or the deadline passed (exit 130)
};

// The only exception type. what() reads "[where] expected X, got Y. Remedy."
class INLAY_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string_view where, std::string_view message);
  ErrorCode code() const noexcept { return code_; }
  const std::string& where() const noexcept {
    return where_;
  }  // a file with place, an option, a step
  int exit_code() const noexcept;
  int http_status() const noexcept;

 private:
  ErrorCode code_;
  std::string where_;
};

INLAY_API const char* error_code_name(ErrorCode code) noexcept;  // "bad_input"
INLAY_API const char* version() noexcept;                        // "0.1.0"

// --------------------------------------------------------------------------------------------------
// requests

enum class Truncate { kRight, kLeft, kError };  // what gives way when a text is too long
enum class Role { kNone, kQuery, kDocument };   // which of the model's prompts to add
enum class OutputDtype { kFloat32, kFloat16, kInt8, kUint8, kBinary, kUbinary };

struct INLAY_API EngineOptions {
  // Folder, org/name[@revision] or short name; empty: the default dense model. What this machine
  // lacks of it is downloaded, see Model::get.
  std::string model;
  // auto | ref | cpu | ...; auto is the CPU until a verdict of `inlay status --measure` or `inlay
  // bench` says that another device is quicker with this model and agrees with it.
  std::string device = "auto";
  std::string dtype = "auto";  // auto | fp32
  std::string disable;         // comma-separated rooms that must not be used
  int threads = 0;             // 0: affinity mask and cgroup quota decide
  // Texts that are to come, as far as the caller knows: `auto` counts what loading takes, too. 0:
  // many.
  std::int64_t expected_texts = 0;
  std::int64_t batch_tokens =
      0;               // tokens computed together; 0: 16384, or less where the memory limit asks
  int max_length = 0;  // tokens a text, special tokens included; 0: the model's own limit
  Truncate truncate = Truncate::kRight;
  std::int64_t memory_limit = 0;  // bytes of resident memory for the process; 0: none
  bool allow_nonfinite = false;   // load weights that hold NaN or infinity
  // Bytes of disk that packed weights of all models may take in Inlay's own cache folder, from
  // where the next start maps them; 0: none are kept. Unset: $INLAY_PACKED_CACHE, else 4 GiB.
  std::optional<std::int64_t> packed_cache{};
  // Of a model whose tasks are adapters (jina-embeddings-v3): the name of the one to load. Empty:
  // that of the role, if the model has one for it, else none. Requests of another role are refused.
  std::string adapter{};
  Role role = Role::kNone;
  // The ONNX Runtime that --device onnxruntime opens: a file, or a folder with one in it. Empty:
  // $INLAY_ONNXRUNTIME_LIBRARY, else where it is usually found.
  std::string onnxruntime_library{};
  // Options of the device's provider, KEY=VALUE with a comma between; they come after Inlay's own.
  std::string provider_options{};
  // With --device onnxruntime: run this ONNX file of the model's folder as it is ("model.onnx",
  // "onnx/model_quantized.onnx"; "auto": the first of those that weights are read from) in the
  // place of the graph that Inlay writes. Empty: the latter.
  std::string onnx_file{};
  // Who computes while the device compiles, in the background: "cpu", Inlay's own in fp32, or
  // "nothing": loading, and requests of a size that is not compiled yet, wait. Empty: nothing; cpu
  // where `auto` takes a device that compiles each size of batch (onnxruntime:coreml). Results then
  // come from the one or the other: Stats::served.
  std::string meanwhile{};
};

// Late chunking: a text goes through the model whole, or in overlapping windows where it is longer
// than the model's limit, and each chunk of it is the mean of its own tokens (Guenther et al. 2024,
// arXiv:2409.04701). Nothing is cut off; Truncate::kError refuses texts that need windows.
enum class ChunkBy {
  kTokens,     // `tokens` each
  kSentences,  // whole sentences, as many as fit `tokens`; a longer one is cut
  kSpans,      // every text brings its own: Request::spans
};
struct INLAY_API ChunkOptions {
  ChunkBy by = ChunkBy::kTokens;  // of texts without Request::spans
  int tokens = 0;   // of a chunk at most, special tokens and prompt aside; 0: 256, and at most half
                    // the length limit
  int overlap = 0;  // tokens that a chunk shares with the one before it, at most
  int sentences = 0;  // kSentences: of a chunk at most; 0: as many as fit
  // Tokens of context that a window repeats of the text before its first new chunk; unset: 512, and
  // at most a quarter of the length limit.
  std::optional<int> window_overlap;
};

struct INLAY_API EmbedOptions {
  int dimensions = 0;             // Matryoshka: keep the first N, then normalise; 0: all
  std::optional<bool> normalize;  // unset: as the model's modules say
  std::string pooling;            // unset: as the model says; else
                        // cls|mean|max|mean_sqrt_len|weightedmean|lasttoken, several joined by '+'
  std::optional<ChunkOptions> chunk{};  // a vector a chunk, not a text; only with mean pooling
};

struct INLAY_API SparseOptions {
  int top_k = 0;               // keep the largest N weights of a text; 0: all
  float min_weight = 0;        // drop weights below
  bool assume_splade = false;  // take a plain masked language model for a SPLADE model
  bool words = false;          // fill SparseVector::words
  // Of models that weigh words as fastembed does; unset: its defaults. kUsage for other models.
  std::optional<double> bm25_k, bm25_b, bm25_avg_len;  // BM25 and miniCOIL: 1.2, 0.75, 256 and 150
  std::optional<std::string> language;                 // BM25: english
  std::optional<int> token_max_length;                 // BM25: characters of a word, 40
  bool disable_stemmer = false;                        // BM25
  std::optional<double> bm42_alpha;                    // BM42: 0.5
};

struct INLAY_API RerankOptions {
  bool raw_scores = false;  // logits, without the model's activation
};

// Late interaction (ColBERT and its like): a vector a token. The model's folder says the rest.
struct INLAY_API LateOptions {};

// Dense vectors and, from the same pass, what else the model gives (bge-m3: both).
struct INLAY_API JointOptions {
  EmbedOptions dense;
  std::optional<SparseOptions> sparse;
  std::optional<LateOptions> late;
};

// What an engine is loaded for. RerankOptions on a late-interaction model score by max_sim().
using TaskOptions =
    std::variant<EmbedOptions, SparseOptions, RerankOptions, LateOptions, JointOptions>;

// How vectors are stored; by sentence-transformers' quantize_embeddings formulas. int8 and uint8
// need ranges.
struct INLAY_API Quantization {
  OutputDtype dtype = OutputDtype::kFloat32;
  std::vector<float> minimum, maximum;  // [dim], from a calibration file
};

// Set from any thread; work that has not begun is dropped and its future holds kCancelled.
class INLAY_API CancelToken {
 public:
  void cancel() noexcept;
  bool cancelled() const noexcept;
  CancelToken();

 private:
  std::shared_ptr<void> flag_;
};

// Characters [begin, end) of a text. A character is a Unicode code point, as in Python's str.
struct Span {
  std::int64_t begin = 0, end = 0;
};

struct INLAY_API Request {
  std::vector<std::string> texts;  // UTF-8; an empty text is a text
  // Reranking: one query for all texts, or one a text; else empty.
  std::vector<std::string> queries{};
  // Reranking by a language model: what relevance means; unset: the prompt, else the model's own.
  std::optional<std::string> instruction{};
  std::optional<std::string> prompt{};  // name of one of the model's prompts, or "none"; unset:
                                        // role, then the model's default
  Role role = Role::kNone;
  int priority = 0;  // higher first; equal in order of arrival
  std::optional<std::chrono::steady_clock::time_point> deadline{};
  std::optional<CancelToken> cancel{};
  std::int64_t first_index =
      0;  // what error messages call texts[0] ("text 512"); results do not depend on it
  // EmbedOptions::chunk: the chunks of texts that bring their own, in any order, overlapping or
  // not; empty, or one a text (unset: cut as ChunkOptions say).
  std::vector<std::optional<std::vector<Span>>> spans{};
};

// What happened to one text.
struct TextInfo {
  int tokens = 0;  // used, special tokens and prompt included
  bool truncated = false;
  std::optional<std::string> prompt;  // name of the prompt that was added
  std::string
      error;  // not empty: this text has no result (non-finite values); neighbours are unharmed
  // False: a chunked text was longer than the limit and went through in windows, so that its
  // chunks have not seen all of it.
  bool whole = true;
};

// A chunk of a text: where it lies, in characters and in bytes, and how many tokens were pooled
// (those before the text's first token and behind its last, special ones and the prompt, go with
// these). None: the vector is zero.
struct Chunk {
  std::int64_t begin = 0, end = 0;
  std::int64_t byte_begin = 0, byte_end = 0;
  int tokens = 0;
};

// Of one text, in its order or in that of Request::spans.
struct TextChunks {
  std::vector<Chunk> chunks;
  std::vector<float> vectors;  // [chunks, dim]
};

// Ids ascending, weights above zero; below it only miniCOIL's, whose words have a place in space.
struct SparseVector {
  std::vector<std::int32_t> indices;
  std::vector<float> values;
  // What each index stands for, where a model hashes words (Result::dim 0) and
  // SparseOptions::words asks for them; else empty: Engine::token() tells it.
  std::vector<std::string> words;
};

// A text's matrix [tokens, dim], row by row. Tokens that do not count, such as punctuation of a
// document, have no row; a query may have rows for the tokens that it was expanded with.
struct TokenVectors {
  std::int64_t dim = 0;
  std::vector<float> values;
  std::int64_t tokens() const {
    return dim == 0 ? 0 : static_cast<std::int64_t>(values.size()) / dim;
  }
};

// Which parts are filled depends on the task; all are in request order.
struct INLAY_API Result {
  // embed: width of one vector; sparse: of the vocabulary, 0: hashes; late: of a token's vector
  std::int64_t dim = 0;
  std::vector<float> vectors;        // embed: [texts, dim]; empty with EmbedOptions::chunk
  std::vector<TextChunks> chunks;    // embed with EmbedOptions::chunk: [texts]
  std::vector<SparseVector> sparse;  // sparse: [texts]
  std::vector<TokenVectors> late;    // late: [texts]
  std::vector<float> scores;         // rerank: [texts, labels]
  std::vector<std::string> labels;   // rerank: their names
  std::vector<TextInfo> texts;
};

// What an engine is and has done since it was loaded. Seconds are summed over requests.
struct INLAY_API Stats {
  std::string model, revision, device, backend, isa, dtype;
  std::string weight_file;  // in the model's folder, or the index of several; empty: none was read
  std::string adapter;      // empty: none
  int threads = 0;
  std::int64_t dim = 0, max_length = 0, batch_tokens = 0;
  std::int64_t texts = 0, tokens = 0, truncated = 0, nonfinite = 0;
  double padded_share = 0;  // padding tokens over computed tokens
  std::int64_t partitions = 1, fallback_ops = 0;
  double load_seconds = 0, tokenize_seconds = 0, compute_seconds = 0;
  std::int64_t packed_bytes = 0, arena_bytes = 0, peak_rss = 0;
  // "mapped" from Inlay's cache folder, or "packed", and why they were not kept where that failed;
  // empty: no cache.
  std::string packed_weights;
  std::vector<std::string> notes;     // what the model lacks that its results depend on
  std::vector<std::string> refusals;  // why devices before the chosen one were passed over
  // How the device's library runs the model: its version, what it took and what it left to the CPU.
  std::vector<std::string> device_notes;
  // EngineOptions::meanwhile: who computed how many texts (of a chunked text, windows): the device,
  // then the one that computed meanwhile. Empty: the device all of them.
  std::vector<std::pair<std::string, std::int64_t>> served;
};

// -----------------------------------------------------------------------------------------------------
// models

// A model that Inlay knows by name. What its card says; a model's own folder wins over it.
struct ModelEntry {
  std::string name;       // short name; empty: none
  std::string id;         // org/name
  std::string task;       // dense, sparse, rerank, late
  std::string path;       // where it lies, empty when it is not on this machine
  std::string revision;   // the commit that lies there; empty when it has none
  bool complete = false;  // whether none of its files can be missing there
  std::string family;     // of architectures, as config.json's model_type
  std::int64_t parameters = 0;
  std::int64_t dimensions = 0;  // of a vector, of a token's vector (late); labels (rerank)
  std::int64_t max_tokens = 0;  // 0: no limit
  std::string query, document;  // prompts; empty: none
  std::string licence;          // empty: the card states none
  // "real weights": run and held against the reference with them; "layout only": this build has
  // its family and task, but the model itself was not run; "not supported yet".
  std::string support;
  std::string missing;  // what this build lacks for it; empty: nothing
};

struct DownloadProgress {
  std::string_view file;                         // under way
  std::int64_t done_bytes = 0, total_bytes = 0;  // of all files of the model
};

struct GetOptions {
  // Ask the Hub for the newest commit of the revision even when one is here.
  bool update = false;
  // Called from the calling thread, several times a second while something is downloaded; false
  // ends it with kCancelled. What had arrived is taken up the next time.
  std::function<bool(const DownloadProgress&)> progress;
};

struct GetResult {
  std::string name;                   // org/name, or the folder as given
  std::string path;                   // the folder
  std::string revision;               // its commit; empty when it has none
  std::int64_t files = 0, bytes = 0;  // of the model, when the Hub was asked
  std::int64_t received = 0;          // bytes that came over the network
  std::string note;  // why the Hub could not be had and what is here was taken; else empty
};

struct ConvertResult {
  std::string path;                                // the folder written
  std::string dtype;                               // "bf16", "int8"
  std::int64_t matrices = 0;                       // that are in it now
  std::int64_t bytes_before = 0, bytes_after = 0;  // of the weight files
};

// A prompt of a model: `text` is put before the user's text.
struct PromptText {
  std::string name, text;
};

// Finding models; no state, thread-safe.
class INLAY_API Model {
 public:
  // The folder that a locator means, on this machine. Order: a folder path; Inlay's own models; the
  // shared Hugging Face cache. Empty for BM25 when nothing of it is here: it needs nothing.
  static std::string find(std::string_view locator);
  // The same, and then the Hugging Face Hub, unless HF_HUB_OFFLINE is set: what is missing is
  // downloaded into the shared cache, as Engine and Tokenizer do it for their models. Obeys the
  // HF_* variables. Throws kNotFound, kUnavailable, kCannotWrite, kCancelled.
  static GetResult get(std::string_view locator, const GetOptions& options = {});
  // The models that Inlay knows by name, and which of them are on this machine. Asks no network.
  static std::vector<ModelEntry> list();
  // A JSON object: family, sizes, modules, pooling, prompts, limits, where it comes from.
  // `with_program` adds the Program as text. Downloads nothing.
  static std::string show(std::string_view locator, bool with_program);
  // Writes the model's folder once more at `folder`, which must not exist, complete or not at all.
  // bf16: every matrix in bf16, which any reader of safetensors takes. int8: what the int8
  // computation multiplies with, in the bytes that it would make of the original, tables of
  // vectors in half precision; Inlay alone reads that. Throws kUsage for another dtype or a folder
  // that exists, kUnsupported for a model without a transformer, kCannotWrite.
  static ConvertResult convert(std::string_view locator, std::string_view dtype,
                               std::string_view folder);
  // The prompt that an Engine on this model, with this adapter, would add for these fields of a
  // Request; nullopt: none. Throws kUsage for a name that the model does not have.
  static std::optional<PromptText> prompt(std::string_view locator,
                                          const std::optional<std::string>& name, Role role,
                                          const std::string& adapter = {});
};

// -------------------------------------------------------------------------------------------------
// tokenizers

struct TokenizeOptions {
  bool add_special_tokens = true;
  int max_length = 0;  // 0: no cut
  Truncate truncate = Truncate::kRight;
};

struct Tokens {
  std::vector<std::int32_t> ids, type_ids;
  std::vector<std::pair<std::uint32_t, std::uint32_t>>
      offsets;  // byte range in the text; (0,0) for special tokens
  bool truncated = false;
};

// Immutable after construction; every member may be called from many threads.
class INLAY_API Tokenizer {
 public:
  explicit Tokenizer(std::string_view model_locator);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  Tokens encode(std::string_view text, const TokenizeOptions& options = {}) const;
  Tokens encode_pair(std::string_view first, std::string_view second,
                     const TokenizeOptions& options = {}) const;
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = true) const;
  std::string token(std::int32_t id) const;  // throws kBadInput for an id outside the vocabulary
  std::int64_t vocab_size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// -----------------------------------------------------------------------------------------------------
// engine

// A loaded model on a device. Every member is thread-safe; requests from many threads share
// batches, and a text's vector is bit-identical whatever it shared a batch with.
class INLAY_API Engine {
 public:
  // Loads, compiles and warms up. Throws kNotFound, kBadInput, kUnsupported, kUnavailable,
  // kMemoryLimit.
  // An empty model name means the task's default.
  explicit Engine(const EngineOptions& options, const TaskOptions& task = {});
  ~Engine();  // finishes what was submitted
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  std::future<Result> submit(Request request);
  Result run(Request request);  // submit and wait
  std::int64_t dim() const;     // as in Result; rerank: the number of labels
  // Of the vocabulary; throws kBadInput outside, and where a model hashes words.
  std::string token(std::int32_t id) const;
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Converts float vectors [n, dim] to bytes by sentence-transformers' formulas (float32 and float16
// too, little endian). Row width: 4, 2 or 1 bytes a value; binary and ubinary ceil(dim / 8) bytes,
// the last padded with zero bits.
INLAY_API std::vector<std::uint8_t> quantize(std::span<const float> vectors, std::int64_t dim,
                                             const Quantization& how);

// The MaxSim score of matrices [tokens, dim]: for each row of the query its largest dot product
// with a row of the document, summed; in double (Khattab and Zaharia 2020, arXiv:2004.12832). 0
// when either has no rows. Throws kUsage for sizes that are not whole rows.
INLAY_API double max_sim(std::span<const float> query, std::span<const float> document,
                         std::int64_t dim);

// What this machine offers, as `inlay status --json` prints it.
INLAY_API std::string status_json(std::string_view model_locator, std::string_view disable,
                                  bool verbose);

}  // namespace inlay

// One thread reads, submits and hands out; the engine's own threads do the rest.
#include "io/embed_stream.h"

#include <deque>
#include <utility>

namespace inlay::io {
namespace {

// Bounds of what is under way: kInFlight requests of at most so many texts and bytes. 2,048 texts
// keep an engine fed (a batch of 16,384 tokens is some 1,000 short texts); more only takes memory.
constexpr std::size_t kInFlight = 4;
constexpr std::size_t kRequestTexts = 512;
constexpr std::size_t kRequestBytes = std::size_t{1} << 20U;
// Of texts in chunks, whose vectors may be larger than they are: one of 384 floats for every token
// of a request at the very most.
constexpr std::size_t kChunkedBytes = std::size_t{1} << 18U;

class Stream {
 public:
  Stream(Engine& engine, TextReader& reader, const StreamOptions& options, const ResultSink& sink,
         Progress& progress)
      : engine_(engine), reader_(reader), options_(options), sink_(sink), progress_(progress) {}
  ~Stream() {
    cancel_.cancel();
  }  // nothing is under way unless an error or the sink ended the stream

  std::int64_t run() {
    std::string text;
    while (going_) {
      if (!reader_.ready(pending_.empty() && under_way_.empty() ? -1 : kPauseMilliseconds)) {
        submit();
        while (going_ && !under_way_.empty()) hand_out();
        continue;
      }
      if (!reader_.next(&text)) break;
      pending_bytes_ += text.size();
      if (options_.pairs) {
        pending_queries_.emplace_back(reader_.query());
        pending_bytes_ += reader_.query().size();
      }
      if (options_.chunks) pending_spans_.push_back(reader_.take_spans());
      pending_.push_back(std::move(text));
      const std::size_t most = options_.chunks ? kChunkedBytes : kRequestBytes;
      if (pending_.size() == kRequestTexts || pending_bytes_ >= most) submit();
    }
    if (going_) submit();
    while (going_ && !under_way_.empty()) hand_out();
    return handed_out_;
  }

 private:
  struct UnderWay {
    std::future<Result> result;
    std::int64_t first_index;
    std::int64_t position;  // of the reader, after the last text
  };

  void submit() {
    if (pending_.empty()) return;
    if (under_way_.size() == kInFlight) hand_out();
    Request request;
    request.texts = std::exchange(pending_, {});
    request.queries = std::exchange(pending_queries_, {});
    request.spans = std::exchange(pending_spans_, {});
    if (options_.query) request.queries = {*options_.query};
    request.instruction = options_.instruction;
    request.prompt = options_.prompt;
    request.role = options_.role;
    request.cancel = cancel_;
    request.first_index = submitted_;
    const auto count = static_cast<std::int64_t>(request.texts.size());
    under_way_.push_back({engine_.submit(std::move(request)), submitted_, reader_.position()});
    submitted_ += count;
    pending_bytes_ = 0;
  }

  void hand_out() {
    UnderWay front = std::move(under_way_.front());
    under_way_.pop_front();
    Result result = front.result.get();
    handed_out_ += static_cast<std::int64_t>(result.texts.size());
    for (const TextInfo& text : result.texts) tokens_ += text.tokens;
    going_ = sink_(result, front.first_index);
    progress_.update({handed_out_, tokens_, front.position, reader_.total()});
  }

  Engine& engine_;
  TextReader& reader_;
  const StreamOptions& options_;
  const ResultSink& sink_;
  Progress& progress_;
  CancelToken cancel_;
  std::vector<std::string> pending_, pending_queries_;
  std::vector<std::optional<std::vector<Span>>> pending_spans_;
  std::size_t pending_bytes_ = 0;
  std::deque<UnderWay> under_way_;
  std::int64_t submitted_ = 0, handed_out_ = 0, tokens_ = 0;
  bool going_ = true;
};

}  // namespace

std::int64_t embed_stream(Engine& engine, TextReader& reader, const StreamOptions& options,
                          const ResultSink& sink, Progress& progress) {
  return Stream(engine, reader, options, sink, progress).run();
}

}  // namespace inlay::io

// Holds copies; the reader behind is asked again only when they are used up.
#include "io/read_ahead.h"

#include <utility>

namespace inlay::io {

ReadAhead::ReadAhead(std::unique_ptr<TextReader> source, std::size_t most_texts)
    : source_(std::move(source)) {
  std::size_t bytes = 0;
  try {
    for (;;) {
      many_ = held_.size() > most_texts || bytes > kMostBytes;
      // Nor is the first text waited for: whoever reads along may load a model meanwhile.
      if (many_ || !source_->ready(kPauseMilliseconds)) break;
      Held held;
      if (!source_->next(&held.text)) {
        whole_ = true;
        break;
      }
      held.where = source_->where();
      held.query = source_->query();
      held.spans = source_->take_spans();
      held.position = source_->position();
      bytes += held.text.size() + held.query.size();
      held_.push_back(std::move(held));
    }
  } catch (...) {
    error_ = std::current_exception();
  }
  count_ = held_.size();
}

bool ReadAhead::next(std::string* text) {
  current_.reset();
  if (!held_.empty()) {
    current_ = std::move(held_.front());
    held_.pop_front();
    *text = current_->text;
    return true;
  }
  if (error_) std::rethrow_exception(error_);
  return !whole_ && source_->next(text);
}

bool ReadAhead::ready(int milliseconds) {
  return !held_.empty() || whole_ || error_ || source_->ready(milliseconds);
}

std::int64_t ReadAhead::position() const {
  return current_ ? current_->position : source_->position();
}

std::string ReadAhead::where() const { return current_ ? current_->where : source_->where(); }

std::string_view ReadAhead::query() const { return current_ ? current_->query : source_->query(); }

std::optional<std::vector<Span>> ReadAhead::take_spans() {
  return current_ ? std::move(current_->spans) : source_->take_spans();
}

}  // namespace inlay::io

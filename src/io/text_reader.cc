// txt, jsonl and argument readers; the csv reader is in csv_reader.cc.
#include "io/text_reader.h"

#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "io/checked_text.h"
#include "io/csv_reader.h"

namespace inlay::io {
namespace {

class ArgumentReader final : public TextReader {
 public:
  explicit ArgumentReader(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  bool next(std::string* text) override {
    if (at_ == texts_.size()) return false;
    *text = std::move(texts_[at_++]);
    check_utf8(*text, where());
    return true;
  }
  std::int64_t position() const override { return static_cast<std::int64_t>(at_); }
  std::int64_t total() const override { return static_cast<std::int64_t>(texts_.size()); }
  std::string where() const override { return "argument " + std::to_string(at_); }

 private:
  std::vector<std::string> texts_;
  std::size_t at_ = 0;
};

class TxtReader final : public LineTextReader {
 public:
  using LineTextReader::LineTextReader;
  bool next(std::string* text) override {
    std::string_view line;
    if (!lines_.next(&line)) return false;
    line = without_ending(line);
    check_plain_text(line, where());
    text->assign(line);
    return true;
  }
};

class JsonlReader final : public LineTextReader {
 public:
  JsonlReader(LineReader lines, std::string field, bool spans)
      : LineTextReader(std::move(lines)), field_(std::move(field)), reads_spans_(spans) {}
  bool next(std::string* text) override {
    std::string_view line;
    do {
      if (!lines_.next(&line)) return false;
    } while (line.find_first_not_of(" \t\r\n") == std::string_view::npos);
    check_utf8(line, where());
    const JsonDocument document =
        JsonDocument::parse(line, where(), "Each line must be a JSON string or an object.");
    const JsonValue root = document.root();
    if (!root.is_string() && !root.is_object()) {
      fail(ErrorCode::kBadInput, where(),
           "expected a JSON string or an object with \"" + printable(field_) + "\", got " +
               root.type_name() + ".");
    }
    if (root.is_object() && !root.contains(field_)) {
      fail(ErrorCode::kBadInput, where(),
           "expected a member \"" + printable(field_) +
               "\", got an object without it. Name the member with --field.");
    }
    text->assign(root.is_string() ? root.string() : member(root));
    spans_.reset();
    if (reads_spans_ && root.is_object()) read_spans(root);
    return true;
  }
  std::optional<std::vector<Span>> take_spans() override {
    return std::exchange(spans_, std::nullopt);
  }

 private:
  void read_spans(const JsonValue& root) {
    const auto list = root.find("spans");
    if (!list) return;
    spans_.emplace();
    for (const JsonValue& pair : list->items()) {
      const std::vector<JsonValue> ends = pair.items();
      if (ends.size() != 2) {
        fail(ErrorCode::kBadInput, where(),
             "expected [begin, end] in \"spans\", got an array of " + std::to_string(ends.size()) +
                 ".");
      }
      spans_->push_back({ends[0].integer(), ends[1].integer()});
    }
  }
  std::string_view member(const JsonValue& root) const {
    const auto value = root.find(field_);
    if (!value || !value->is_string()) {
      fail(ErrorCode::kBadInput, where(),
           "expected a string in \"" + printable(field_) + "\", got " +
               (value ? value->type_name() : "null") + ".");
    }
    return value->string();
  }
  std::string field_;
  const bool reads_spans_;
  std::optional<std::vector<Span>> spans_;
};

class PairReader final : public LineTextReader {
 public:
  using LineTextReader::LineTextReader;
  bool next(std::string* text) override {
    std::string_view line;
    do {
      if (!lines_.next(&line)) return false;
    } while (line.find_first_not_of(" \t\r\n") == std::string_view::npos);
    check_utf8(line, where());
    const JsonDocument document = JsonDocument::parse(
        line, where(), "Each line must be [query, text] or {\"query\": ..., \"text\": ...}.");
    const JsonValue root = document.root();
    if (root.is_array() && root.size() == 2) {
      query_ = root.items()[0].string();
      *text = root.items()[1].string();
    } else if (root.is_object()) {
      query_ = root.at("query").string();
      *text = root.at("text").string();
    } else {
      fail(ErrorCode::kBadInput, where(),
           std::string("expected [query, text] or an object with \"query\" and \"text\", got ") +
               root.type_name() + ".");
    }
    return true;
  }
  std::string_view query() const override { return query_; }

 private:
  std::string query_;
};

}  // namespace

InputFormat input_format_of(std::string_view path) {
  if (ends_with_ignoring_case(path, ".jsonl")) return InputFormat::kJsonl;
  if (ends_with_ignoring_case(path, ".csv")) return InputFormat::kCsv;
  return InputFormat::kTxt;
}

std::unique_ptr<TextReader> read_texts(LineReader lines, InputFormat format, std::string field,
                                       bool spans) {
  switch (format) {
    case InputFormat::kJsonl:
      return std::make_unique<JsonlReader>(std::move(lines), std::move(field), spans);
    case InputFormat::kCsv:
      return std::make_unique<CsvReader>(std::move(lines), std::move(field));
    case InputFormat::kTxt:
      break;
  }
  return std::make_unique<TxtReader>(std::move(lines));
}

std::unique_ptr<TextReader> read_pairs(LineReader lines) {
  return std::make_unique<PairReader>(std::move(lines));
}

std::unique_ptr<TextReader> read_arguments(std::vector<std::string> texts) {
  return std::make_unique<ArgumentReader>(std::move(texts));
}

}  // namespace inlay::io

// See regex.h.
#include "tokens/regex.h"

#include <chrono>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "tokens/regex_patterns.h"
#include "tokens/regex_translate.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace inlay::tokens {
namespace {

// One attempt at one place of the text may take this many backtracking steps (about a tenth of a
// second).
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr int kTooLarge = PCRE2_ERROR_PATTERN_TOO_LARGE;
constexpr std::uint32_t kHeapLimitKiB = 256 * 1024;
constexpr std::size_t kJitStackBytes = 8 * 1024 * 1024;
// The engine cannot count steps over several attempts, so one search starts at no more than this
// many places, and the clock is looked at between searches.
constexpr std::size_t kStartsPerSearch = 16;
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::nanoseconds kPatiencePerByte{2000};

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    kFree(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>>;

std::string engine_message(int code) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(code, text, sizeof(text)) < 0) return "error " + std::to_string(code);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Impl {
  std::string pattern, where;
  PatternMatcher matcher = nullptr;
  Code code;

  void compile();
  void search(std::string_view text, std::vector<Range>* matches) const;
  int match_window(std::string_view text, std::size_t at, pcre2_match_data* data,
                   pcre2_match_context* context) const;
  [[noreturn]] void give_up() const {
    fail(ErrorCode::kBadInput, where,
         "expected a pattern that matches in reasonable time, got one that exceeds the match limit "
         "on this text: \"" +
             printable(pattern) + "\". Write it without nested repetition.");
  }
};

void Regex::Impl::compile() {
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = kTooLarge;
  for (const bool share : {false, true}) {
    if (error != kTooLarge) break;
    const std::string translated = translate_regex(pattern, where, share);
    if (translated.size() >= kMaxTranslatedBytes) continue;
    PCRE2_SIZE offset = 0;
    code.reset(pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
        PCRE2_UTF | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C, &error,
        &offset, context.get()));
  }
  if (!code) {
    fail(ErrorCode::kBadInput, where,
         "expected a well-formed regular expression, got \"" + printable(pattern) + "\" (" +
             engine_message(error) + "). Correct the pattern.");
  }
  // Without a compiled form the interpreter matches, only slower.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
}

// One search from `at` that starts no further than kStartsPerSearch bytes on.
int Regex::Impl::match_window(std::string_view text, std::size_t at, pcre2_match_data* data,
                              pcre2_match_context* context) const {
  pcre2_set_offset_limit(context, at + kStartsPerSearch);
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = pcre2_match(code.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, data, context);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // long but honest matches: the interpreter keeps its
                                              // state on the heap
    found = pcre2_match(code.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        data, context);
  }
  return found;
}

// What the engine needs beside the pattern, made once a thread: creating it costs more than a short
// match.
struct Engine {
  MatchContext context{pcre2_match_context_create(nullptr)};
  MatchData data{pcre2_match_data_create(1, nullptr)};
  JitStack stack{pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr)};

  Engine() {
    if (!context || !data) throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());  // none: no JIT here
  }
};

void Regex::Impl::search(std::string_view text, std::vector<Range>* matches) const {
  thread_local const Engine engine;
  const auto deadline = std::chrono::steady_clock::now() + kPatience +
                        kPatiencePerByte * static_cast<std::int64_t>(text.size());
  std::size_t at = 0;
  std::size_t last_end = text.size() + 1;  // of the previous match; none yet
  while (at <= text.size()) {
    if (std::chrono::steady_clock::now() > deadline) give_up();
    const int found = match_window(text, at, engine.data.get(), engine.context.get());
    if (found == PCRE2_ERROR_NOMATCH) {
      at += kStartsPerSearch + 1;
      while (at < text.size() && utf8_continues(text[at])) ++at;
      continue;
    }
    if (found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_HEAPLIMIT ||
        found == PCRE2_ERROR_DEPTHLIMIT || found == PCRE2_ERROR_JIT_STACKLIMIT) {
      give_up();
    }
    if (found < 0) {
      fail(ErrorCode::kBadInput, where,
           "expected a match or none, got \"" + engine_message(found) + "\" from the pattern \"" +
               printable(pattern) + "\". Correct the pattern.");
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(engine.data.get());
    const std::size_t begin = bounds[0], end = bounds[1];
    if (begin == end &&
        end == last_end) {  // an empty match right after a match: step over one character
      at = end < text.size() ? end + utf8_decode(text, end).bytes : end + 1;
      continue;
    }
    matches->push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    at = last_end = end;
  }
}

Regex::Regex(std::string_view pattern, std::string_view where) : impl_(std::make_unique<Impl>()) {
  impl_->pattern = pattern;
  impl_->where = where;
  impl_->matcher = find_pattern_matcher(pattern);
  if (impl_->matcher == nullptr) impl_->compile();
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

PatternMatcher Regex::matcher() const noexcept { return impl_->matcher; }
bool Regex::hand_written() const noexcept { return impl_->matcher != nullptr; }

void Regex::find_all(std::string_view text, std::vector<Range>* matches) const {
  matches->clear();
  if (impl_->matcher != nullptr) {
    impl_->matcher(text, matches);
  } else {
    impl_->search(text, matches);
  }
}

}  // namespace inlay::tokens

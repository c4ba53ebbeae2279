// The bar and the line; nothing here decides what is progress.
#include "io/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace inlay::io {
namespace {

constexpr std::chrono::milliseconds kFirstDraw{500};  // work shorter than this needs no bar
constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLineEvery{10};

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::min(seconds, 359999.0));
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                  whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  }
  return text;
}

int terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool wants_color() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::strcmp(term, "dumb") != 0;
}

}  // namespace

std::string progress_text(const ProgressState& state, double seconds, int columns) {
  const double rate = seconds > 0 ? 1.0 / seconds : 0.0;
  char text[160];
  if (state.download.empty()) {
    std::snprintf(text, sizeof text, "%lld texts, %.0f texts/s, %.0f tokens/s",
                  static_cast<long long>(state.texts), static_cast<double>(state.texts) * rate,
                  static_cast<double>(state.tokens) * rate);
  } else {
    std::snprintf(text, sizeof text, ": %.1f of %.1f MB, %.1f MB/s",
                  static_cast<double>(state.done) * 1e-6, static_cast<double>(state.total) * 1e-6,
                  static_cast<double>(state.done) * rate * 1e-6);
  }
  std::string out = state.download + text;
  if (state.total <= 0) return out;
  const double share =
      std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
  std::snprintf(text, sizeof text, "%3.0f%% ", share * 100);
  std::string front = text;
  if (share > 0) out += ", " + clock_text(seconds * (1 - share) / share) + " left";
  const int room = std::min(columns - static_cast<int>(front.size() + out.size()) - 4, 40);
  if (room >= 10) {
    std::string bar(static_cast<std::size_t>(room), ' ');
    std::fill_n(bar.begin(), static_cast<std::ptrdiff_t>(share * room), '=');
    front = "[" + bar + "] " + front;
  }
  return front + out;
}

Progress::Progress(bool quiet)
    : quiet_(quiet),
      terminal_(::isatty(STDERR_FILENO) == 1),
      color_(wants_color()),
      start_(Clock::now()),
      next_(start_ + (terminal_ ? Clock::duration(kFirstDraw) : Clock::duration(kLineEvery))) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

void Progress::update(const ProgressState& state) {
  const auto now = Clock::now();
  if (quiet_ || now < next_) return;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (terminal_) {
    const std::string text = progress_text(state, seconds, terminal_columns() - 1);
    std::fprintf(stderr, color_ ? "\r\x1b[36m%s\x1b[0m\x1b[K" : "\r%s\x1b[K", text.c_str());
    std::fflush(stderr);
    drawn_ = true;
    next_ = now + kRedraw;
  } else {
    std::fprintf(stderr, "inlay: %s\n", progress_text(state, seconds, 0).c_str());
    next_ = now + kLineEvery;
  }
}

}  // namespace inlay::io

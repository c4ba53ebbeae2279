// The handler only unlinks and leaves: both are async-signal-safe, and a computation needs no
// farewell.
#include "signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace inlay::cli {
namespace {

// Written while signals are held back (HoldSignals), read by the handler.
struct PathSlot {
  volatile sig_atomic_t used = 0;
  char path[4096] = {};
};
std::array<PathSlot, 4> g_slots;

extern "C" void end_process(int signal) {
  for (const PathSlot& slot : g_slots) {
    if (slot.used != 0) ::unlink(slot.path);
  }
  static constexpr char kMessage[] = "\ninlay: interrupted\n";
  if (::write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) ::_exit(128 + signal);
  ::_exit(128 + signal);
}

sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = end_process;
  action.sa_mask = handled();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    // What the parent chose to ignore (nohup) stays ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
  ::signal(SIGPIPE, SIG_IGN);
}

RemovedWhenInterrupted::RemovedWhenInterrupted(const std::string& path) {
  if (path.empty() || path.size() >= sizeof g_slots[0].path) return;
  for (std::size_t i = 0; i < g_slots.size(); ++i) {
    if (g_slots[i].used != 0) continue;
    std::memcpy(g_slots[i].path, path.c_str(), path.size() + 1);
    g_slots[i].used = 1;
    slot_ = static_cast<int>(i);
    return;
  }
}

RemovedWhenInterrupted::~RemovedWhenInterrupted() {
  if (slot_ >= 0) g_slots[static_cast<std::size_t>(slot_)].used = 0;
}

HoldSignals::HoldSignals() {
  const sigset_t set = handled();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

HoldSignals::~HoldSignals() {
  const sigset_t set = handled();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace inlay::cli

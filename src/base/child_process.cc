// posix_spawn of /proc/self/exe (macOS: the path that the loader knows): no code runs between fork
// and exec, so that threads and locks of this process do not matter.
#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif
#if defined(__linux__)
#include <sys/prctl.h>
#endif

extern char** environ;

namespace inlay {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostOutput = std::size_t{64} << 20U;
constexpr std::size_t kMostErrors = 4096;

std::string own_path() {
#if defined(__APPLE__)
  std::array<char, 4096> path{};
  std::uint32_t size = path.size();
  return _NSGetExecutablePath(path.data(), &size) == 0 ? path.data() : "";
#else
  return "/proc/self/exe";
#endif
}

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  void reset(int value = -1) {
    if (value_ >= 0) ::close(value_);
    value_ = value;
  }

 private:
  int value_;
};

bool make_pipe(Descriptor* read_end, Descriptor* write_end) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return false;
  read_end->reset(ends[0]);
  write_end->reset(ends[1]);
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return true;
}

// The input as a file without a name, so that nobody has to feed a pipe.
std::FILE* input_file(const std::string& input) {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) return nullptr;
  if (std::fwrite(input.data(), 1, input.size(), file) != input.size() || std::fflush(file) != 0 ||
      std::fseek(file, 0, SEEK_SET) != 0) {
    std::fclose(file);
    return nullptr;
  }
  ::fcntl(::fileno(file), F_SETFD, FD_CLOEXEC);
  return file;
}

pid_t spawn(const std::vector<std::string>& arguments, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return -1;
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  std::string path = own_path();
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawn(&child, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? child : -1;
}

// Takes what has come; false at the end.
bool drain(int descriptor, std::string* text) {
  std::array<char, 65536> buffer;
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  text->append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0;
}

void read_until(Clock::time_point deadline, Descriptor* out, Descriptor* err, ChildResult* result) {
  while (out->get() >= 0 || err->get() >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return;
    std::array<pollfd, 2> files{{{out->get(), POLLIN, 0}, {err->get(), POLLIN, 0}}};
    const int wait = static_cast<int>(std::min<long long>(left.count(), 1000));
    if (::poll(files.data(), files.size(), wait) < 0 && errno != EINTR) return;
    if ((files[0].revents != 0) && !drain(out->get(), &result->output)) out->reset();
    if ((files[1].revents != 0) && !drain(err->get(), &result->errors)) err->reset();
    if (result->output.size() > kMostOutput) return;
    if (result->errors.size() > 2 * kMostErrors)
      result->errors.erase(0, result->errors.size() - kMostErrors);
  }
}

// Whether it ended before `deadline`.
bool wait_until(Clock::time_point deadline, pid_t child, int* status) {
  for (;;) {
    const pid_t got = ::waitpid(child, status, WNOHANG);
    if (got == child) return true;
    if (got < 0 && errno != EINTR) return true;
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

ChildResult run_self(const std::vector<std::string>& arguments, const std::string& input,
                     double limit_seconds) {
  ChildResult result;
  const Clock::time_point begin = Clock::now();
  const Clock::time_point deadline =
      begin + std::chrono::duration_cast<Clock::duration>(
                  std::chrono::duration<double>(std::max(0.0, limit_seconds)));
  std::FILE* file = input_file(input);
  Descriptor out, out_child, err, err_child;
  if (file == nullptr || !make_pipe(&out, &out_child) || !make_pipe(&err, &err_child)) {
    if (file != nullptr) std::fclose(file);
    return result;
  }
  const pid_t child = spawn(arguments, ::fileno(file), out_child.get(), err_child.get());
  std::fclose(file);
  out_child.reset();
  err_child.reset();
  if (child < 0) return result;
  result.started = true;
  read_until(deadline, &out, &err, &result);
  int status = 0;
  if (!wait_until(deadline, child, &status)) {
    result.timed_out = true;
    ::kill(child, SIGKILL);
    wait_until(Clock::time_point::max(), child, &status);
  }
  if (WIFSIGNALED(status) && !result.timed_out) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (result.errors.size() > kMostErrors)
    result.errors.erase(0, result.errors.size() - kMostErrors);
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

void die_with_parent() {
#if defined(__linux__)
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it was gone before the call
#endif
}

}  // namespace inlay

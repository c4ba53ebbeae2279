// Fibers: made by makecontext, switched by _setjmp and _longjmp, which save no signal mask.
#include "metal/emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <numeric>
#include <random>

namespace inlay::metal_emulator {
namespace {

constexpr int kSimdSize = 32;
constexpr std::size_t kStackBytes = 64 << 10;
constexpr int kMany = -2;

class Random {  // xorshift64*
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL | 1U) {}
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~0ULL; }
  result_type operator()() {
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  int below(int n) { return static_cast<int>(((*this)() >> 33U) % static_cast<unsigned>(n)); }

 private:
  std::uint64_t state_;
};

enum class Waits { kNot, kSimd, kThreadgroup, kEnded };

struct Thread {
  jmp_buf context{};
  ucontext_t start{};
  std::unique_ptr<char[]> stack;
  Here here;
  int index = 0;
  unsigned path = 0;  // of the SIMD operations that it has passed since the group met
  Waits waits = Waits::kEnded;
  bool fresh = true;  // has not begun, or was left in the middle of a body
};

struct Simd {
  int lanes = 0, arrived = 0, parity = 0, ready_count = 0;
  unsigned path = 0, epoch[2] = {0, 0};
  Site site;
  int ready[kSimdSize] = {};
  float slots[2][kSimdSize][4] = {};
};

struct Shared {
  const char* name;
  std::vector<std::uint32_t> data;
  Memory memory;
};

struct Machine {
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Simd> simds;
  std::vector<std::unique_ptr<Shared>> shared;
  std::set<Site> barriers;
  Options options;
  const std::function<void()>* body = nullptr;
  Random random{1};
  int places[64] = {};
  int holders[64] = {};
  int policy = 0, sticky = 0, threads_used = 0, live = 0, ready_total = 0;
  int group = 0, arrived = 0;
  unsigned epoch[2] = {0, 0};
  Site site;
  Thread* current = nullptr;
  jmp_buf scheduler{};
  ucontext_t scheduler_start{};
  std::string fault;
};

Machine machine;

void make_ready(int thread) {
  machine.threads[static_cast<std::size_t>(thread)]->waits = Waits::kNot;
  Simd& simd = machine.simds[static_cast<std::size_t>(thread / kSimdSize)];
  simd.ready[simd.ready_count++] = thread;
  ++machine.ready_total;
}

// Who runs next: anyone; or the same SIMD group as long as it can; or the first that can, or the
// last.
Thread* take_next() {
  if (machine.ready_total == 0) return nullptr;
  const auto count = static_cast<int>(machine.simds.size());
  int at = machine.policy == 1   ? machine.sticky
           : machine.policy == 2 ? 0
           : machine.policy == 3 ? count - 1
                                 : machine.random.below(count);
  const int step = machine.policy == 3 ? count - 1 : 1;
  while (machine.simds[static_cast<std::size_t>(at)].ready_count == 0) at = (at + step) % count;
  machine.sticky = at;
  Simd& simd = machine.simds[static_cast<std::size_t>(at)];
  const int place =
      machine.policy >= 2 ? simd.ready_count - 1 : machine.random.below(simd.ready_count);
  const int thread = simd.ready[place];
  simd.ready[place] = simd.ready[--simd.ready_count];
  --machine.ready_total;
  return machine.threads[static_cast<std::size_t>(thread)].get();
}

// The fiber `from` stops here until someone makes it ready.
[[gnu::noinline]] void leave(jmp_buf& from) {
  Thread* next = take_next();
  machine.current = next;
  if (_setjmp(from) == 0) _longjmp(next != nullptr ? next->context : machine.scheduler, 1);
}

void wait(Waits why) {
  machine.current->waits = why;
  leave(machine.current->context);
}

[[gnu::noinline]] void run_bodies() {
  for (;;) {
    Thread& self = *machine.current;
    try {
      (*machine.body)();
    } catch (const Fault& fault) {
      machine.fault = fault.what();
    }
    self.waits = Waits::kEnded;
    if (!machine.fault.empty()) machine.ready_total = 0;  // nobody else runs any more
    leave(self.context);
  }
}

[[gnu::noinline]] void come_back_when_chosen(Thread& self) {
  if (_setjmp(self.context) == 0) swapcontext(&self.start, &machine.scheduler_start);
}

void run_thread() {
  come_back_when_chosen(*machine.current);
  run_bodies();
}

[[gnu::noinline]] void begin_fiber(Thread& thread) {
  if (thread.stack == nullptr) thread.stack = std::make_unique<char[]>(kStackBytes);
  getcontext(&thread.start);
  thread.start.uc_stack.ss_sp = thread.stack.get();
  thread.start.uc_stack.ss_size = kStackBytes;
  thread.start.uc_link = nullptr;
  makecontext(&thread.start, run_thread, 0);
  machine.current = &thread;
  swapcontext(&machine.scheduler_start, &thread.start);
  thread.fresh = false;
}

[[gnu::noinline]] void run_until_nobody_can() {
  if (_setjmp(machine.scheduler) == 0) {
    Thread* first = take_next();
    machine.current = first;
    _longjmp(first->context, 1);
  }
}

// Why nobody can run although some have not ended.
std::string deadlock() {
  std::string text = "threads wait for others that do not come:";
  int ended = 0;
  for (int t = 0; t < machine.threads_used; ++t)
    ended += machine.threads[static_cast<std::size_t>(t)]->waits == Waits::kEnded ? 1 : 0;
  if (machine.arrived > 0)
    text += " " + std::to_string(machine.arrived) + " at the barrier " + machine.site.text();
  for (const Simd& simd : machine.simds) {
    if (simd.arrived == 0) continue;
    text += " " + std::to_string(simd.arrived) + " of a SIMD group at " + simd.site.text();
    break;
  }
  return text + "; " + std::to_string(ended) + " have ended";
}

bool run_through(const Site& site) {
  machine.barriers.insert(site);
  if (!(machine.options.dropped_barrier == site)) return false;
  return !machine.options.one_thread_only || machine.current->index == 0;
}

Stamp stamp(bool shared) {
  const Thread& thread = *machine.current;
  const std::size_t space = shared ? 0 : 1;
  return {machine.group, thread.index, thread.here.simd, machine.epoch[space],
          machine.simds[static_cast<std::size_t>(thread.here.simd)].epoch[space]};
}

bool in_order(const Stamp& before, const Stamp& now) {
  if (before.group < 0) return true;
  if (before.group != now.group) return false;
  return before.thread == now.thread || before.epoch < now.epoch ||
         (before.simd == now.simd && before.simd_epoch < now.simd_epoch);
}

void run_threadgroup(Size3 position, Size3 groups, Size3 size) {
  machine.arrived = 0;
  machine.epoch[0] = machine.epoch[1] = 1;
  machine.ready_total = 0;
  machine.shared.clear();
  machine.simds.assign((size.count() + kSimdSize - 1) / kSimdSize, Simd{});
  machine.threads_used = static_cast<int>(size.count());
  for (int t = 0; t < machine.threads_used; ++t) {
    Thread& thread = *machine.threads[static_cast<std::size_t>(t)];
    const auto n = static_cast<unsigned>(t);
    const Size3 in_group{n % size.x, n / size.x % size.y, n / size.x / size.y};
    thread.here = {position,
                   {position.x * size.x + in_group.x, position.y * size.y + in_group.y,
                    position.z * size.z + in_group.z},
                   groups,
                   t / kSimdSize,
                   t % kSimdSize};
    thread.index = t;
    thread.path = 0;
    Simd& simd = machine.simds[static_cast<std::size_t>(t / kSimdSize)];
    ++simd.lanes;
    simd.epoch[0] = simd.epoch[1] = 1;
    make_ready(t);
  }
  run_until_nobody_can();
  if (machine.fault.empty()) {
    for (int t = 0; t < machine.threads_used && machine.fault.empty(); ++t) {
      if (machine.threads[static_cast<std::size_t>(t)]->waits != Waits::kEnded)
        machine.fault = deadlock();
    }
  }
}

// Until all lanes of the group are here. The last one goes on at once.
void arrive(Thread& self, Simd& simd, Site site, unsigned flags) {
  pass(site);
  const unsigned path = self.path;
  self.path = 0;
  if (simd.arrived == 0) {
    simd.site = site;
    simd.path = path;
  } else if (!(simd.site == site) || simd.path != path) {
    throw Fault("threads of a SIMD group part: " + simd.site.text() + " and " + site.text());
  }
  if (++simd.arrived < simd.lanes) {
    wait(Waits::kSimd);
    return;
  }
  simd.arrived = 0;
  simd.parity ^= 1;
  for (unsigned space = 0; space < 2; ++space) simd.epoch[space] += flags >> space & 1U;
  const int first = self.here.simd * kSimdSize;
  for (int t = first; t < first + simd.lanes; ++t) {
    if (t != self.index) make_ready(t);
  }
}

}  // namespace

std::string Site::text() const {
  const char* name = std::strrchr(file, '/');
  return std::string(name != nullptr ? name + 1 : file) + ":" + std::to_string(line);
}

Memory::Memory(std::string name, std::size_t count, Kind kind)
    : name_(std::move(name)),
      count_(count),
      kind_(kind),
      reads_(kind == Kind::kInput ? 0 : count),
      writes_(reads_.size()) {}

std::size_t Memory::written() const {
  std::size_t count = 0;
  for (const Stamp& write : writes_) count += write.group >= 0 ? 1 : 0;
  return count;
}

void Memory::fail(std::ptrdiff_t index, const char* what) const {
  throw Fault(std::string(what) + ": element " + std::to_string(index) + " of " + name_ + " [" +
              std::to_string(count_) + "], thread " + std::to_string(machine.current->index));
}

void Memory::check_read(std::ptrdiff_t index) {
  if (index < 0 || index >= static_cast<std::ptrdiff_t>(count_)) fail(index, "read outside");
  if (kind_ == Kind::kInput) return;
  const auto i = static_cast<std::size_t>(index);
  const Stamp now = stamp(kind_ == Kind::kShared);
  if (writes_[i].group < 0) fail(index, "read before it was written");
  if (!in_order(writes_[i], now)) fail(index, "race of a read with a write");
  Stamp& reads = reads_[i];
  if (reads.group != now.group || reads.epoch != now.epoch) {
    reads = now;
    return;
  }
  if (reads.thread != now.thread) reads.thread = kMany;
  if (reads.simd != now.simd) reads.simd = kMany;
  reads.simd_epoch = now.simd_epoch;
}

void Memory::check_write(std::ptrdiff_t index) {
  if (index < 0 || index >= static_cast<std::ptrdiff_t>(count_)) fail(index, "write outside");
  const auto i = static_cast<std::size_t>(index);
  const Stamp now = stamp(kind_ == Kind::kShared);
  if (!in_order(writes_[i], now)) fail(index, "race of two writes");
  if (!in_order(reads_[i], now)) fail(index, "race of a write with a read");
  writes_[i] = now;
}

const Here& here() { return machine.current->here; }

void threadgroup_barrier(unsigned flags, Site site) {
  if (run_through(site)) return;
  if (machine.arrived == 0) machine.site = site;
  if (!(machine.site == site))
    throw Fault("threads wait at different barriers: " + machine.site.text() + " and " +
                site.text());
  if (++machine.arrived < machine.threads_used) {
    wait(Waits::kThreadgroup);
    return;
  }
  machine.arrived = 0;
  for (unsigned space = 0; space < 2; ++space) machine.epoch[space] += flags >> space & 1U;
  for (int t = 0; t < machine.threads_used; ++t) {
    if (machine.threads[static_cast<std::size_t>(t)].get() != machine.current) make_ready(t);
  }
}

void pass(Site site) {
  machine.current->path = machine.current->path * 16777619U + static_cast<unsigned>(site.line);
}

Slots meet(Site site, float a, float b, float c, float d) {
  Thread& self = *machine.current;
  Simd& simd = machine.simds[static_cast<std::size_t>(self.here.simd)];
  Slots slots = simd.slots[simd.parity];
  float* mine = slots[self.here.lane];
  mine[0] = a, mine[1] = b, mine[2] = c, mine[3] = d;
  arrive(self, simd, site, 0);
  return slots;
}

void simdgroup_barrier(unsigned flags, Site site) {
  if (run_through(site)) return;
  Thread& self = *machine.current;
  arrive(self, machine.simds[static_cast<std::size_t>(self.here.simd)], site, flags);
}

const int* matrix_places() { return machine.places; }
const int* matrix_holders() { return machine.holders; }

SharedArray shared_array(const char* name, std::size_t count, std::size_t element_bytes) {
  for (const auto& array : machine.shared) {
    if (std::strcmp(array->name, name) == 0) return {array->data.data(), &array->memory};
  }
  const std::size_t words = (count * element_bytes + 3) / 4;
  // A NaN whatever is read of it.
  machine.shared.push_back(
      std::make_unique<Shared>(Shared{name, std::vector<std::uint32_t>(words, 0xFFFFDEADU),
                                      Memory(name, count, Memory::Kind::kShared)}));
  return {machine.shared.back()->data.data(), &machine.shared.back()->memory};
}

void launch(const Options& options, Size3 grid, Size3 threadgroup,
            const std::function<void()>& body) {
  const Size3 groups{grid.x / threadgroup.x, grid.y / threadgroup.y, grid.z / threadgroup.z};
  if (groups.x * threadgroup.x != grid.x || groups.y * threadgroup.y != grid.y ||
      groups.z * threadgroup.z != grid.z)
    throw Fault("the grid is no multiple of the threadgroup");
  machine.options = options;
  machine.random = Random(options.seed);
  machine.policy = machine.random.below(4);
  machine.body = &body;
  machine.fault.clear();
  std::iota(machine.places, machine.places + 64, 0);
  std::shuffle(machine.places, machine.places + 64, machine.random);
  for (int i = 0; i < 64; ++i) machine.holders[machine.places[i]] = i;
  while (machine.threads.size() < threadgroup.count())
    machine.threads.push_back(std::make_unique<Thread>());
  for (auto& thread : machine.threads) {
    if (thread->fresh) begin_fiber(*thread);
  }
  std::vector<unsigned> order(groups.count());
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), machine.random);
  for (const unsigned n : order) {
    machine.group = static_cast<int>(n);
    run_threadgroup({n % groups.x, n / groups.x % groups.y, n / groups.x / groups.y}, groups,
                    threadgroup);
    if (machine.fault.empty()) continue;
    for (auto& thread : machine.threads)
      thread->fresh = true;  // their stacks are in the middle of a body
    throw Fault(machine.fault);
  }
}

const std::set<Site>& barriers_seen() { return machine.barriers; }

}  // namespace inlay::metal_emulator

// Rooms that behave badly, for tests of those who choose between rooms: each runs Programs by the
// cpu room and does something else besides. $FAKE_ROOMS says which there are and how they behave:
//
//   FAKE_ROOMS="cuda=hang-probe,mlx=right,cpu=slow"
//
// right, slow (2 ms a text more), wrong (other vectors), near (cosine 0.9995), absent,
// crash-probe, crash-compile, crash-run, hang-probe, hang-compile, hang-run; newer (another
// version, else right). The rooms cpu and ref are always there.
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "backend/backend.h"

namespace inlay::backend {

const Backend& cpu_backend();
const Backend& ref_backend();

namespace {

void misbehave(const std::string& behaviour, const char* place) {
  if (behaviour == std::string("crash-") + place) {
    std::fprintf(stderr, "a fake room crashes in %s\n", place);
    ::signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  while (behaviour == std::string("hang-") + place) ::pause();
}

class FakeExecutable final : public Executable {
 public:
  FakeExecutable(std::unique_ptr<Executable> real, std::string behaviour)
      : real_(std::move(real)), behaviour_(std::move(behaviour)) {}
  using Executable::run;
  void run(const PackedBatch& batch, std::span<const std::span<float>> outs) override {
    misbehave(behaviour_, "run");
    real_->run(batch, outs);
    if (behaviour_ == "slow") ::usleep(static_cast<useconds_t>(2000 * (batch.offsets.size() - 1)));
    for (const std::span<float> out : outs) {
      for (std::size_t i = 0; i < out.size(); ++i) {
        if (behaviour_ == "wrong" && i % 3 == 0) out[i] = -out[i];
        // A share s of each value moved between signs by turns: cosine 1 / sqrt(1 + s * s).
        if (behaviour_ == "near") out[i] *= i % 2 == 0 ? 1.0316F : 0.9684F;
      }
    }
  }
  MemoryPlan memory() const override { return real_->memory(); }
  std::string_view isa() const override { return real_->isa(); }

 private:
  std::unique_ptr<Executable> real_;
  std::string behaviour_;
};

class FakeRoom final : public Backend {
 public:
  FakeRoom(std::string name, std::string behaviour)
      : name_(std::move(name)), behaviour_(std::move(behaviour)) {}
  std::string_view name() const override { return name_; }
  Probe probe() const override {
    misbehave(behaviour_, "probe");
    Probe probe = cpu_backend().probe();
    if (name_ != "cpu") probe.version = behaviour_ == "newer" ? "2.0" : "1.0";
    if (behaviour_ == "absent") {
      probe.state = State::kAbsent;
      probe.reason = "a fake that is not here";
      probe.remedy = "none";
    }
    return probe;
  }
  std::vector<std::string> supports(const Program& program,
                                    const CompileOptions& options) const override {
    return cpu_backend().supports(program, options);
  }
  MemoryPlan plan(const Program& program, const CompileOptions& options) const override {
    return cpu_backend().plan(program, options);
  }
  std::unique_ptr<Executable> compile(const Program& program,
                                      const CompileOptions& options) const override {
    misbehave(behaviour_, "compile");
    return std::make_unique<FakeExecutable>(cpu_backend().compile(program, options), behaviour_);
  }

 private:
  std::string name_, behaviour_;
};

std::string behaviour_of(const std::string& name) {
  const char* value = std::getenv("FAKE_ROOMS");
  const std::string list = std::string(",") + (value == nullptr ? "" : value) + ",";
  const std::size_t at = list.find("," + name + "=");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 2;
  return list.substr(begin, list.find(',', begin) - begin);
}

}  // namespace

std::span<const Backend* const> all_backends() {
  static const std::vector<const Backend*> kAll = [] {
    std::vector<const Backend*> all;
    for (const char* name : {"cpu", "cuda", "onnxruntime", "mlx", "torch"}) {
      const std::string behaviour = behaviour_of(name);
      if (!behaviour.empty()) {
        all.push_back(new FakeRoom(name, behaviour));
      } else if (std::string(name) == "cpu") {
        all.push_back(&cpu_backend());
      }
    }
    all.push_back(&ref_backend());
    return all;
  }();
  return kAll;
}

}  // namespace inlay::backend

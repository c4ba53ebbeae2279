// Packed weights from the cache are those of a fresh pack to the bit; damage of each kind is passed
// over and repaired; the folder stays within its bound; writers do not disturb each other.
#include "backend/cpu/pack_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "backend/cpu/executable.h"
#include "backend/cpu/pack.h"
#include "encoder.h"
#include "isa_table.h"

namespace inlay::backend::cpu {
namespace {
namespace fs = std::filesystem;

class TempFolder {
 public:
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "inlay-packed-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempFolder() {
    std::error_code error;
    fs::permissions(path_, fs::perms::owner_all, error);
    fs::remove_all(path_, error);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  PackedCache cache(const std::string& identity = "the files") const {
    return {path_ / "packed", identity, std::int64_t{1} << 30U};
  }
  std::vector<fs::path> files(const std::string& extension = ".packed") const {
    std::vector<fs::path> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path_ / "packed", error)) {
      if (entry.path().extension() == extension ||
          entry.path().filename().string().starts_with(extension))
        found.push_back(entry.path());
    }
    return found;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Plan plan_of(const Encoder& encoder, const Kernels& kernels, Element element = Element::kFp32) {
  return make_plan(encoder.program, kernels, 512, true, element);
}

// What loading with this cache gives; the bits must be those of a fresh pack.
std::string load(const Plan& plan, const Kernels& kernels, const PackedCache& cache) {
  PackedWeights weights(plan, kernels, cache, 2);
  const Buffer fresh = pack_weights(plan, kernels);
  EXPECT_EQ(0, std::memcmp(weights.data(), fresh.data(), fresh.bytes())) << kernels.name;
  weights.wait();
  return weights.note();
}

EncoderShape small() { return {}; }

TEST(PackCache, GivesTheBitsOfAFreshPackOnEveryIsaAndElement) {
  const TempFolder folder;
  Encoder encoder(small());
  std::size_t count = 0;
  for (const Element element : {Element::kFp32, Element::kBf16, Element::kInt8}) {
    for (const Kernels* kernels : runnable(element)) {
      const Plan plan = plan_of(encoder, *kernels, element);
      EXPECT_EQ(load(plan, *kernels, folder.cache()), "packed") << kernels->name;
      EXPECT_EQ(load(plan, *kernels, folder.cache()), "mapped") << kernels->name;
      EXPECT_EQ(folder.files().size(), ++count);  // none takes another's
    }
  }
  EXPECT_GE(count, 3U);
}

TEST(PackCache, RunsGiveTheSameVectors) {
  const TempFolder folder;
  Encoder encoder(small());
  const Kernels& kernels = choose_isa();
  const TestBatch batch({5, 1, 40, 14});
  const auto width = static_cast<std::size_t>(encoder.program.output_width());
  CompileOptions options;
  options.max_tokens = options.max_texts = options.max_text_tokens = 512;
  std::vector<std::vector<float>> results;
  for (const char* how : {"", "packed", "mapped"}) {
    if (*how != '\0') options.packed_cache = folder.cache();
    const auto executable = make_executable(plan_of(encoder, kernels), kernels, options);
    EXPECT_EQ(executable->packed_weights(), how);
    std::vector<float> out(4 * width, NAN);
    executable->run(batch.view(), out);
    results.push_back(out);
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(PackCache, OtherWeightsOrPlansAreOtherFiles) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  Plan plan = plan_of(encoder, kernels);
  EXPECT_EQ(load(plan, kernels, folder.cache()), "packed");
  // A weight that changes in place under an identity that should have moved with it: the line of
  // each tensor in the name of what is known tells.
  const auto part = std::find_if(plan.weights.begin(), plan.weights.end(), [](const WeightSpec& s) {
                      return s.kind == WeightSpec::Kind::kTable;
                    })->parts[0];
  auto* values = static_cast<float*>(const_cast<void*>(part.tensor.data));
  values[part.tensor.elements() / 2] += 1;
  EXPECT_EQ(load(plan, kernels, folder.cache()), "packed");
  // Elsewhere in the tensor, only the identity tells.
  values[1] += 1;
  EXPECT_EQ(load(plan, kernels, folder.cache("the files, later")), "packed");
  EXPECT_EQ(load(plan, kernels, folder.cache("")), "mapped");  // read to tell
  EncoderShape wider = small();
  wider.hidden = 64;
  Encoder other(wider);
  EXPECT_EQ(load(plan_of(other, kernels), kernels, folder.cache()), "packed");
  EXPECT_EQ(folder.files().size(), 4U);
}

TEST(PackCache, KnowsWeightsByTheirIdentity) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  const Plan plan = plan_of(encoder, kernels);
  EXPECT_FALSE(knows_weights(plan, kernels, folder.cache()));
  EXPECT_EQ(load(plan, kernels, folder.cache()), "packed");
  EXPECT_TRUE(knows_weights(plan, kernels, folder.cache()));
  EXPECT_FALSE(knows_weights(plan, kernels, folder.cache("touched")));
  EXPECT_EQ(load(plan, kernels, folder.cache("touched")), "mapped");  // the content is the same
  EXPECT_TRUE(knows_weights(plan, kernels, folder.cache("touched")));
  EXPECT_EQ(load(plan, kernels, folder.cache("")), "mapped");
  EXPECT_FALSE(knows_weights(plan, kernels, folder.cache("")));
  EXPECT_FALSE(knows_weights(plan, kernels, {}));
  // What is known is damaged: as if it were not known.
  for (const fs::path& path : folder.files(".known")) {
    fs::permissions(path, fs::perms::owner_all);
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(40) << '!';
  }
  EXPECT_FALSE(knows_weights(plan, kernels, folder.cache()));
  EXPECT_EQ(load(plan, kernels, folder.cache()), "mapped");
  EXPECT_TRUE(knows_weights(plan, kernels, folder.cache()));
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PackCache, DamageOfEachKindIsPassedOverAndRepaired) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  const Plan plan = plan_of(encoder, kernels);
  ASSERT_EQ(load(plan, kernels, folder.cache()), "packed");
  const fs::path path = folder.files().at(0);
  const std::string good = slurp(path);
  std::vector<std::function<void(std::string*)>> damages{
      [](std::string* bytes) { bytes->clear(); },
      [](std::string* bytes) { bytes->resize(10); },
      [](std::string* bytes) { bytes->resize(4096); },
      [](std::string* bytes) { bytes->pop_back(); },
      [](std::string* bytes) { bytes->push_back('\0'); },
      [](std::string* bytes) { bytes->assign(bytes->size(), '\0'); },
  };
  // A bit of each part of the header (magic, format, byte order, version, key, sum, size, check),
  // and of the block: first, middle, last byte.
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{12}, std::size_t{17},
                               std::size_t{50}, std::size_t{70}, std::size_t{80}, std::size_t{90},
                               std::size_t{4096}, good.size() / 2, good.size() - 1}) {
    damages.push_back(
        [at](std::string* bytes) { (*bytes)[at] = static_cast<char>((*bytes)[at] ^ 4); });
  }
  // Another version's file with right sums, under this one's name.
  damages.push_back([](std::string* bytes) {
    (*bytes)[16] = '9';
    const Hash128 check = hash_bytes(std::string_view(*bytes).substr(0, 88));
    std::memcpy(bytes->data() + 88, &check, sizeof check);
  });
  for (std::size_t i = 0; i < damages.size(); ++i) {
    std::string bad = good;
    damages[i](&bad);
    ASSERT_NE(bad, good);
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bad;
    const std::string note = load(plan, kernels, folder.cache());
    EXPECT_TRUE(note.starts_with("packed: the file in the cache")) << i << ": " << note;
    EXPECT_EQ(slurp(path), good) << i;
    EXPECT_EQ(load(plan, kernels, folder.cache()), "mapped") << i;
  }
  // No file at all in its place.
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_TRUE(load(plan, kernels, folder.cache()).starts_with("packed: "));
  fs::remove(path);
  fs::create_symlink("/dev/zero", path);
  EXPECT_TRUE(load(plan, kernels, folder.cache()).starts_with("packed: "));
  EXPECT_EQ(load(plan, kernels, folder.cache()), "mapped");
  EXPECT_TRUE(folder.files("tmp-").empty());
}

TEST(PackCache, AFolderThatCannotBeUsedIsNoError) {
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  const Plan plan = plan_of(encoder, kernels);
  const TempFolder folder;
  PackedCache cache = folder.cache();
  std::ofstream(folder.path() / "packed") << "a file";
  EXPECT_TRUE(load(plan, kernels, cache).starts_with("packed: "));
  EXPECT_TRUE(load(plan, kernels, cache).starts_with("packed: "));
  cache.folder = "/proc/inlay/packed";
  EXPECT_TRUE(load(plan, kernels, cache).starts_with("packed: "));
  if (::access("/dev/full", W_OK) == 0 && ::geteuid() != 0) {
    const TempFolder locked;
    fs::permissions(locked.path(), fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_TRUE(load(plan, kernels, locked.cache()).starts_with("packed: "));
  }
}

TEST(PackCache, StaysWithinItsBoundAndDropsWhatWasUsedLeast) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  std::vector<std::unique_ptr<Encoder>> encoders;
  std::vector<Plan> plans;
  std::int64_t bytes = 0;
  for (int layers = 1; layers <= 3; ++layers) {
    EncoderShape shape = small();
    shape.layers = layers;
    encoders.push_back(std::make_unique<Encoder>(shape));
    plans.push_back(plan_of(*encoders.back(), kernels));
    bytes += 4096 + plans.back().weight_floats * Index{sizeof(float)};
  }
  PackedCache cache = folder.cache();
  cache.max_bytes = bytes - 1;  // all but one of the three
  const auto older = [&] {      // what lies there was used an hour earlier than it says
    for (const fs::path& path : folder.files())
      fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(1));
  };
  EXPECT_EQ(load(plans[0], kernels, cache), "packed");
  older();
  EXPECT_EQ(load(plans[1], kernels, cache), "packed");
  older();
  EXPECT_EQ(load(plans[0], kernels, cache), "mapped");  // used again: now 1 is the oldest
  std::ofstream(folder.path() / "packed" / "tmp-left") << "of a process that was ended";
  fs::last_write_time(folder.path() / "packed" / "tmp-left",
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  EXPECT_EQ(load(plans[2], kernels, cache), "packed");
  std::int64_t total = 0;
  for (const fs::path& path : folder.files())
    total += static_cast<std::int64_t>(fs::file_size(path));
  EXPECT_LE(total, cache.max_bytes);
  EXPECT_TRUE(folder.files("tmp-").empty());
  EXPECT_EQ(load(plans[0], kernels, cache), "mapped");
  EXPECT_EQ(load(plans[2], kernels, cache), "mapped");
  EXPECT_EQ(load(plans[1], kernels, cache), "packed");
  cache.max_bytes = 5000;
  EXPECT_TRUE(load(plans[1], kernels, folder.cache()) == "mapped");
  fs::remove_all(cache.folder);
  EXPECT_EQ(load(plans[1], kernels, cache), "packed: more than the cache may hold");
  EXPECT_TRUE(folder.files().empty());
}

TEST(PackCache, WritersDoNotDisturbEachOther) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  const Plan plan = plan_of(encoder, kernels);
  const Buffer fresh = pack_weights(plan, kernels);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int turn = 0; turn < 8; ++turn) {
        PackedWeights weights(plan, kernels, folder.cache(), 1);
        weights.wait();
        if (std::memcmp(weights.data(), fresh.data(), fresh.bytes()) != 0) ::_exit(1);
        if (weights.note() != "mapped" && weights.note() != "packed") ::_exit(2);
        const std::vector<fs::path> files = folder.files();
        std::error_code error;
        if (turn % 3 == i % 3 && !files.empty()) fs::remove(files[0], error);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  std::string note = load(plan, kernels, folder.cache());
  EXPECT_TRUE(note == "mapped" || note == "packed") << note;
  EXPECT_EQ(load(plan, kernels, folder.cache()), "mapped");
  EXPECT_TRUE(folder.files("tmp-").empty());
}

// Files are never written again, only replaced: who has the old one mapped keeps its bits.
TEST(PackCache, WhatIsMappedStaysWhenTheFileIsReplacedOrRemoved) {
  const TempFolder folder;
  const Kernels& kernels = choose_isa();
  Encoder encoder(small());
  const Plan plan = plan_of(encoder, kernels);
  ASSERT_EQ(load(plan, kernels, folder.cache()), "packed");
  const PackedWeights weights(plan, kernels, folder.cache(), 1);
  ASSERT_EQ(weights.note(), "mapped");
  const fs::path path = folder.files().at(0);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0400U);
  fs::remove(path);
  std::ofstream(path) << "something else";
  const Buffer fresh = pack_weights(plan, kernels);
  EXPECT_EQ(0, std::memcmp(weights.data(), fresh.data(), fresh.bytes()));
}

}  // namespace
}  // namespace inlay::backend::cpu

// A JSON file a verdict, named by a hash of its key; the key is in it, too, and is compared.
#include "engine/verdict.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "base/hash.h"
#include "base/json_object.h"
#include "base/process.h"
#include "base/threads.h"
#include "files/places.h"

namespace inlay::engine {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::uintmax_t kLargest = 1 << 20;  // bytes of a file; one takes a few kilobytes

std::string key_json(const VerdictKey& key) {
  return JsonObject()
      .text("inlay", version())
      .text("model", key.model)
      .text("revision", key.revision)
      .text("files", hash_bytes(key.identity).hex())
      .text("task", key.task)
      .text("cpu", key.cpu)
      .integer("threads", key.threads)
      .done();
}

fs::path path_of(const VerdictKey& key) {
  return files::cache_home() / "verdicts" / (hash_bytes(key_json(key)).hex() + ".json");
}

std::string device_json(const DeviceVerdict& device) {
  return JsonObject()
      .text("device", device.device)
      .text("dtype", device.dtype)
      .text("version", device.version)
      .text("isa", device.isa)
      .text("state", device.state)
      .text("reason", device.reason)
      .number("ms_per_text", device.ms_per_text)
      .number("load_seconds", device.load_seconds)
      .number("ratio_to_cpu", device.ratio_to_cpu)
      .number("min_cosine", device.min_cosine)
      .number("same_nearest", device.same_nearest)
      .number("padded_share", device.padded_share)
      .integer("partitions", device.partitions)
      .integer("fallback_ops", device.fallback_ops)
      .raw("recommend", JsonObject()
                            .integer("batch", device.recommend.batch)
                            .integer("threads", device.recommend.threads)
                            .text("dtype", device.recommend.dtype)
                            .number("grid_ms_per_text", device.recommend.grid_ms_per_text)
                            .done())
      .done();
}

DeviceVerdict device_of(const JsonValue& json) {
  DeviceVerdict device;
  device.device = json.at("device").string();
  device.dtype = json.at("dtype").string();
  device.version = json.at("version").string();
  device.isa = json.at("isa").string();
  device.state = json.at("state").string();
  device.reason = json.at("reason").string();
  device.ms_per_text = json.at("ms_per_text").number();
  device.load_seconds = json.at("load_seconds").number();
  device.ratio_to_cpu = json.at("ratio_to_cpu").number();
  device.min_cosine = json.at("min_cosine").number();
  device.same_nearest = json.at("same_nearest").number();
  device.padded_share = json.at("padded_share").number();
  device.partitions = json.at("partitions").integer();
  device.fallback_ops = json.at("fallback_ops").integer();
  const JsonValue recommend = json.at("recommend");
  device.recommend = {
      recommend.at("batch").integer(), static_cast<int>(recommend.at("threads").integer()),
      std::string(recommend.at("dtype").string()), recommend.at("grid_ms_per_text").number()};
  return device;
}

const DeviceVerdict* cpu_of(const Verdict& verdict, std::string_view dtype) {
  for (const DeviceVerdict& device : verdict.devices) {
    if (device.device == "cpu" && device.dtype == dtype && device.ms_per_text > 0) return &device;
  }
  return nullptr;
}

// What `auto` may mean by a dtype: never int8, int4 or fp8.
bool wide(std::string_view dtype) { return dtype == "fp32" || dtype == "fp16" || dtype == "bf16"; }

// Removed again unless it was renamed.
class NewFile {
 public:
  explicit NewFile(fs::path path) : path_(std::move(path)) {}
  ~NewFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

VerdictKey verdict_key(const ModelTasks& model, std::string_view task) {
  VerdictKey key;
  key.model = model.model;
  key.revision = model.revision;
  key.identity = model.identity;
  key.task = task;
  key.cpu = cpu_model_name();
  // INLAY_CPU_ISA makes another processor of it.
  for (const backend::Backend* backend : backend::all_backends()) {
    if (backend->name() == "cpu") key.cpu += " " + backend->probe().isa;
  }
  key.threads = available_threads();
  return key;
}

std::string verdict_json(const Verdict& verdict) {
  JsonArray devices;
  for (const DeviceVerdict& device : verdict.devices) devices.add(device_json(device));
  return JsonObject()
      .integer("format", kFormat)
      .raw("key", key_json(verdict.key))
      .text("measured", verdict.measured)
      .integer("texts", verdict.texts)
      .raw("devices", devices.done())
      .done();
}

std::optional<Verdict> parse_verdict(std::string_view json) {
  try {
    const JsonDocument document = JsonDocument::parse(json, "verdict");
    const JsonValue root = document.root();
    if (root.at("format").integer() != kFormat) return std::nullopt;
    const JsonValue key = root.at("key");
    if (key.at("inlay").string() != version()) return std::nullopt;
    Verdict verdict;
    verdict.key.model = key.at("model").string();
    verdict.key.revision = key.at("revision").string();
    verdict.key.identity = key.at("files").string();  // its hash
    verdict.key.task = key.at("task").string();
    verdict.key.cpu = key.at("cpu").string();
    verdict.key.threads = static_cast<int>(key.at("threads").integer());
    verdict.measured = root.at("measured").string();
    verdict.texts = root.at("texts").integer();
    for (const JsonValue& device : root.at("devices").items())
      verdict.devices.push_back(device_of(device));
    return verdict;
  } catch (const Error&) {
    return std::nullopt;  // damaged, or written by another version
  }
}

std::optional<Verdict> read_verdict(const VerdictKey& key) {
  if (key.identity.empty()) return std::nullopt;
  const fs::path path = path_of(key);
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || size > kLargest) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!(text << file.rdbuf())) return std::nullopt;
  std::optional<Verdict> verdict = parse_verdict(text.str());
  if (!verdict) return std::nullopt;
  const VerdictKey& kept = verdict->key;
  if (kept.model != key.model || kept.revision != key.revision || kept.task != key.task ||
      kept.cpu != key.cpu || kept.threads != key.threads ||
      kept.identity != hash_bytes(key.identity).hex())
    return std::nullopt;
  verdict->key = key;
  return verdict;
}

std::string write_verdict(const Verdict& verdict) {
  if (verdict.key.identity.empty())
    return "the model's files are too new, or too many, to be told apart";
  const fs::path path = path_of(verdict.key);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  std::string pattern = path.string() + "." + std::string(6, 'X');
  const int descriptor = error ? -1 : ::mkstemp(pattern.data());
  if (descriptor < 0) return "cannot write to " + path.parent_path().string();
  const NewFile temporary(pattern);
  const std::string json = verdict_json(verdict) + "\n";
  const ssize_t written = ::write(descriptor, json.data(), json.size());
  if (::close(descriptor) != 0 || written != static_cast<ssize_t>(json.size()))
    return "cannot write to " + path.parent_path().string();
  fs::rename(temporary.path(), path, error);
  return error ? "cannot write " + path.string() : "";
}

std::vector<backend::Preferred> preferred_devices(const Verdict& verdict, std::string_view dtype,
                                                  std::int64_t texts, int threads) {
  const DeviceVerdict* cpu = cpu_of(verdict, dtype == "auto" ? "fp32" : dtype);
  if (cpu == nullptr || threads > verdict.key.threads) return {};
  const auto seconds = [&](const DeviceVerdict& device) {
    if (texts == 0) return device.ms_per_text;
    return device.load_seconds + device.ms_per_text * 1e-3 * static_cast<double>(texts);
  };
  std::vector<const DeviceVerdict*> better;
  for (const DeviceVerdict& device : verdict.devices) {
    if (device.device == "cpu" || device.state != "ok" || !(device.ms_per_text > 0)) continue;
    if (dtype == "auto" ? !wide(device.dtype) : device.dtype != dtype) continue;
    if (seconds(device) < seconds(*cpu)) better.push_back(&device);
  }
  std::stable_sort(better.begin(), better.end(),
                   [&](const auto* a, const auto* b) { return seconds(*a) < seconds(*b); });
  std::vector<backend::Preferred> out;
  out.reserve(better.size());
  for (const DeviceVerdict* device : better)
    out.push_back({device->device, device->dtype, device->version});
  return out;
}

}  // namespace inlay::engine

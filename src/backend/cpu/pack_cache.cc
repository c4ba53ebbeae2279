// Two kinds of files: KEY.packed, a page of header and the block of weights, named by the content
// of the checkpoint's tensors and all that packing depends on; NAME.known, which content lies
// behind an identity, so that a start need not read the checkpoint to find its KEY.
#include "backend/cpu/pack_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "backend/cpu/pack.h"
#include "base/error.h"

namespace inlay::backend::cpu {
namespace {
namespace fs = std::filesystem;

constexpr std::uint32_t kFormat = 1;
constexpr std::array<char, 8> kMagic{'I', 'n', 'l', 'a', 'y', 'P', 'k', '\n'};
constexpr std::size_t kDataOffset = 4096;  // the block begins on a page
constexpr std::size_t kVersionBytes = 32;

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t format = kFormat;
  std::uint32_t byte_order = 0x01020304;
  std::array<char, kVersionBytes> version{};
  Hash128 key, sum;         // of the block
  std::uint64_t bytes = 0;  // of the block
  Hash128 check;            // of all before it
};
struct Known {
  std::array<char, 8> magic = kMagic;
  std::uint64_t format = kFormat;
  Hash128 name, content, check;
};
static_assert(sizeof(Header) <= kDataOffset);

template <typename Record>
Hash128 check_of(const Record& record) {
  return hash_bytes({reinterpret_cast<const char*>(&record), offsetof(Record, check)});
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

int open_to_read(const fs::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

// Exactly `size` bytes, else false.
bool read_all(int descriptor, void* out, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::read(descriptor, static_cast<char*>(out) + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}
bool write_all(int descriptor, const void* data, std::size_t size) {
  constexpr std::size_t kAtOnce = std::size_t{64} << 20U;  // macOS takes less than 2 GiB
  for (std::size_t done = 0; done < size;) {
    const ssize_t put =
        ::write(descriptor, static_cast<const char*>(data) + done, std::min(size - done, kAtOnce));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    done += static_cast<std::size_t>(put);
  }
  return true;
}

// A file of these parts, complete or not at all. The errno that prevented it, or 0.
int write_file(const fs::path& path, std::initializer_list<std::string_view> parts) {
  std::string temporary = (path.parent_path() / "tmp-").string() + std::string(6, 'X');
  const Descriptor file(::mkstemp(temporary.data()));
  if (file.get() < 0) return errno;
  bool done = ::fcntl(file.get(), F_SETFD, FD_CLOEXEC) == 0;
  for (const std::string_view part : parts)
    done = done && write_all(file.get(), part.data(), part.size());
  // Nobody writes into it again: others may have it mapped.
  done = done && ::fchmod(file.get(), S_IRUSR) == 0 && ::fsync(file.get()) == 0 &&
         ::rename(temporary.c_str(), path.c_str()) == 0;
  if (done) return 0;
  const int error = errno == 0 ? EIO : errno;
  ::unlink(temporary.c_str());
  return error;
}

template <typename Value>
void append(std::string& out, const Value& value) {
  static_assert(std::is_trivially_copyable_v<Value>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append_text(std::string& out, std::string_view text) {
  append(out, text.size());
  out += text;
}

// All that the packed bytes depend on beside the tensors' values. INLAY_PACK_SOURCES is a sum of
// this room's sources: a change there packs anew without a change of version.
std::string spec_text(const Plan& plan, const Kernels& kernels) {
  std::string out;
  append(out, kFormat);
  append_text(out, version());
  append_text(out, INLAY_PACK_SOURCES);
  append_text(out, kernels.name);
  append(out, kernels.panel);
  append(out, kernels.int8_offset);
  append(out, kernels.int8_complements);
  append(out, kernels.int8_pairs);
  append(out, plan.weight_floats);
  for (const WeightSpec& spec : plan.weights) {
    append(out, spec.kind);
    for (const Index number : {spec.n, spec.k, spec.floats, spec.offset}) append(out, number);
    append(out, spec.element);
    append(out, spec.table);
    append(out, spec.halves);
    append(out, spec.factor);
    append(out, spec.fill);
    append(out, spec.rope.factor);
    append(out, spec.rope.inv_freq.size());
    for (const float frequency : spec.rope.inv_freq) append(out, frequency);
    append(out, spec.parts.size());
    for (const WeightRef& part : spec.parts) {
      append_text(out, part.name);
      append(out, part.tensor.dtype);
      append(out, part.tensor.shape.size());
      for (const std::int64_t extent : part.tensor.shape) append(out, extent);
    }
  }
  return out;
}

std::string_view bytes_of(const WeightRef& part) {
  return {static_cast<const char*>(part.tensor.data), part.present() ? part.tensor.bytes() : 0};
}

Hash128 content_of(const Plan& plan, int threads) {
  std::string sums;
  for (const WeightSpec& spec : plan.weights) {
    for (const WeightRef& part : spec.parts) append(sums, hash_bytes(bytes_of(part), threads));
  }
  return hash_bytes(sums);
}

// The name of what is known of an identity. A line out of each tensor is in it: weights that were
// computed on the way (an adapter merged in) are then told apart whatever the identity forgot.
Hash128 known_name(const Plan& plan, const std::string& spec, const std::string& identity) {
  constexpr std::size_t kLine = 64;
  std::string text = spec;
  append_text(text, identity);
  for (const WeightSpec& weight : plan.weights) {
    for (const WeightRef& part : weight.parts) {
      const std::string_view bytes = bytes_of(part);
      text += bytes.substr(bytes.size() / 2 / kLine * kLine, kLine);
    }
  }
  return hash_bytes(text);
}

Hash128 packed_key(const std::string& spec, const Hash128& content) {
  std::string text = spec;
  append(text, content);
  return hash_bytes(text);
}

std::string known_file(const Hash128& name) { return name.hex() + ".known"; }
std::string packed_file(const Hash128& key) { return key.hex() + ".packed"; }

std::string known_record(const Hash128& name, const Hash128& content) {
  Known known;
  known.name = name;
  known.content = content;
  known.check = check_of(known);
  return {reinterpret_cast<const char*>(&known), sizeof known};
}

std::optional<Hash128> read_known(const fs::path& path, const Hash128& name) {
  const Descriptor file(open_to_read(path));
  Known known;
  if (file.get() < 0 || !read_all(file.get(), &known, sizeof known)) return std::nullopt;
  const bool right = known.magic == kMagic && known.format == kFormat && known.name == name &&
                     known.check == check_of(known);
  return right ? std::optional(known.content) : std::nullopt;
}

// The map of a file that holds what it should; else nothing, and in `note` what is wrong with it.
std::optional<FileMap> map_packed(const fs::path& path, const Hash128& key, std::size_t bytes,
                                  int threads, std::string* note) {
  const Descriptor file(open_to_read(path));
  if (file.get() < 0) {
    if (errno != ENOENT && errno != ENOTDIR) *note = std::strerror(errno);
    return std::nullopt;
  }
  struct stat info {};
  Header header;
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      static_cast<std::uint64_t>(info.st_size) != kDataOffset + bytes ||
      !read_all(file.get(), &header, sizeof header)) {
    *note = "the file in the cache was not whole";
    return std::nullopt;
  }
  const char* const end = std::find(header.version.begin(), header.version.end(), '\0');
  if (header.magic != kMagic || header.format != kFormat || header.check != check_of(header) ||
      std::string_view(header.version.data(),
                       static_cast<std::size_t>(end - header.version.data())) != version() ||
      header.byte_order != Header().byte_order || header.key != key || header.bytes != bytes) {
    *note = "the file in the cache had another header";
    return std::nullopt;
  }
  FileMap map(file.get(), kDataOffset + bytes);
  if (map.bytes().empty()) {
    *note = "the file in the cache could not be mapped";
    return std::nullopt;
  }
  if (hash_bytes(map.bytes().substr(kDataOffset), threads) != header.sum) {
    *note = "the file in the cache was damaged";
    return std::nullopt;
  }
  ::futimens(file.get(), nullptr);  // used now; a folder that cannot be written keeps its times
  return map;
}

// What can be read of it.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) entries.push_back(*at);
  return entries;
}

bool older_than(const fs::path& path, std::chrono::seconds age) {
  std::error_code error;
  const fs::file_time_type time = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - time > age;
}

// Removes what was not used for longest until `needed` more bytes fit, and what nobody needs.
void make_room(const fs::path& folder, std::uint64_t needed, std::uint64_t limit) {
  struct Kept {
    fs::file_time_type time;
    std::uint64_t bytes;
    fs::path path;
  };
  std::vector<Kept> kept;
  std::uint64_t total = needed;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const std::string name = entry.path().filename().string();
    std::error_code gone;
    // What a process left behind that was ended while it wrote.
    if (name.starts_with("tmp-") && older_than(entry.path(), std::chrono::hours(1)))
      fs::remove(entry.path(), gone);
    if (!name.ends_with(".packed")) continue;
    const std::uint64_t bytes = entry.file_size(gone);
    if (gone) continue;
    kept.push_back({entry.last_write_time(gone), bytes, entry.path()});
    total += bytes;
  }
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) { return a.time < b.time; });
  for (const Kept& file : kept) {
    if (total <= limit) break;
    std::error_code error;
    if (fs::remove(file.path, error)) total -= file.bytes;
  }
}

// What is known of contents whose weights are gone, or of files that have changed since, serves
// nobody: the oldest go.
void limit_known(const fs::path& folder) {
  constexpr std::size_t kMost = 256;
  std::vector<std::pair<fs::file_time_type, fs::path>> known;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    std::error_code gone;
    if (entry.path().extension() == ".known")
      known.emplace_back(entry.last_write_time(gone), entry.path());
  }
  if (known.size() <= kMost) return;
  std::sort(known.begin(), known.end());
  known.resize(known.size() - kMost);
  std::error_code error;
  for (const auto& [time, path] : known) fs::remove(path, error);
}

}  // namespace

FileMap::FileMap(int descriptor, std::size_t bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (mapped == MAP_FAILED) return;
  data_ = static_cast<const char*>(mapped);
  size_ = bytes;
}
FileMap::~FileMap() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}
FileMap::FileMap(FileMap&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
FileMap& FileMap::operator=(FileMap&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool knows_weights(const Plan& plan, const Kernels& kernels, const PackedCache& cache) {
  if (cache.folder.empty() || cache.identity.empty()) return false;
  const Hash128 name = known_name(plan, spec_text(plan, kernels), cache.identity);
  return read_known(cache.folder / known_file(name), name).has_value();
}

PackedWeights::PackedWeights(const Plan& plan, const Kernels& kernels, const PackedCache& cache,
                             int threads)
    : bytes_(static_cast<std::size_t>(plan.weight_floats) * sizeof(float)) {
  if (cache.folder.empty() || bytes_ == 0) {
    block_ = pack_weights(plan, kernels);
    data_ = block_.as<float>();
    return;
  }
  const std::string spec = spec_text(plan, kernels);
  const Hash128 name = known_name(plan, spec, cache.identity);
  const fs::path known = cache.folder / known_file(name);
  std::optional<Hash128> content;
  if (!cache.identity.empty()) content = read_known(known, name);
  const bool remember = !content && !cache.identity.empty();
  if (!content) content = content_of(plan, threads);
  const Hash128 key = packed_key(spec, *content);
  std::string wrong;
  if (auto map = map_packed(cache.folder / packed_file(key), key, bytes_, threads, &wrong)) {
    map_ = std::move(*map);
    data_ = reinterpret_cast<const float*>(map_.bytes().data() + kDataOffset);
    note_ = "mapped";
    if (remember) {
      write_file(known, {known_record(name, *content)});
      limit_known(cache.folder);
    }
    return;
  }
  block_ = pack_weights(plan, kernels);
  data_ = block_.as<float>();
  note_ = "packed";
  if (!wrong.empty()) add_note(wrong);
  std::string record;
  if (remember) record = known_record(name, *content);
  writer_ = std::thread([this, cache, known, record, key] {
    try {
      keep(cache, key);
      if (!record.empty()) write_file(known, {record});
      limit_known(cache.folder);
    } catch (const std::exception& error) {
      add_note(error.what());
    }
  });
}

PackedWeights::~PackedWeights() { wait(); }

void PackedWeights::wait() {
  if (writer_.joinable()) writer_.join();
}

std::string PackedWeights::note() const {
  const std::lock_guard lock(mutex_);
  return note_;
}

void PackedWeights::add_note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  note_ += ": ";
  note_ += text;
}

// On the writer's thread; weights and checkpoint are not touched but for reading the block.
void PackedWeights::keep(const PackedCache& cache, const Hash128& key) {
  const auto limit = static_cast<std::uint64_t>(std::max<std::int64_t>(cache.max_bytes, 0));
  if (kDataOffset + bytes_ > limit) {
    add_note("more than the cache may hold");
    return;
  }
  fs::create_directories(cache.folder);
  make_room(cache.folder, kDataOffset + bytes_, limit);
  const std::string_view block(reinterpret_cast<const char*>(data_), bytes_);
  Header header;
  std::string_view(version()).substr(0, kVersionBytes).copy(header.version.data(), kVersionBytes);
  header.key = key;
  header.sum = hash_bytes(block);
  header.bytes = bytes_;
  header.check = check_of(header);
  std::string page(kDataOffset, '\0');
  std::memcpy(page.data(), &header, sizeof header);
  const int error = write_file(cache.folder / packed_file(key), {page, block});
  if (error != 0) add_note(std::string("not kept, ") + std::strerror(error));
}

}  // namespace inlay::backend::cpu

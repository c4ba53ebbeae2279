// From an archive of torch.save to named tensors. The ZIP is zip.cc's, the pickle unpickler.cc's.
#include "files/pickle.h"

#include <algorithm>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/mapped_file.h"
#include "files/unpickler.h"
#include "files/zip.h"

namespace inlay::files {
namespace {

using Entries = std::map<std::string, std::string_view, std::less<>>;

constexpr std::string_view kPickle = "data.pkl";
// Copies of non-contiguous tensors may take as much as the file itself, or this: a small tensor may
// repeat its elements.
constexpr std::size_t kMinCopied = std::size_t{1} << 20U;

void check_zip(std::string_view bytes, std::string_view file) {
  if (bytes.starts_with("PK")) return;
  std::string got = "another file. It is damaged or is not a checkpoint; fetch it again.";
  if (bytes.empty()) {
    got = "an empty file. Fetch it again.";
  } else if (bytes.starts_with("version https://git-lfs")) {
    got = "a Git LFS pointer instead of the file. Run git lfs pull in its folder.";
  } else if (static_cast<unsigned char>(bytes.front()) == 0x80) {
    got =
        "the bare pickle of an older version. Load it with torch and save it again, best as "
        "safetensors.";
  }
  fail(bytes.empty() ? ErrorCode::kBadInput : ErrorCode::kUnsupported,
       std::string(file) + ": offset 0",
       "expected a ZIP archive as torch.save has written since version 1.6, got " + got);
}

// The folder inside the archive, which torch.save names after the file: "archive/", "model/", "".
std::string find_prefix(const Entries& entries, std::string_view file) {
  const std::string* found = nullptr;
  for (const auto& [name, content] : entries) {
    if (name != kPickle && !name.ends_with("/data.pkl")) continue;
    if (found != nullptr) {
      fail(ErrorCode::kBadInput, file,
           "expected one data.pkl in the archive, got \"" + printable(*found) + "\" and \"" +
               printable(name) + "\". The file is not a checkpoint; fetch it again.");
    }
    found = &name;
  }
  if (found == nullptr) {
    fail(ErrorCode::kUnsupported, file,
         "expected data.pkl in the archive, got none. The file is not what torch.save writes; save "
         "the model as safetensors.");
  }
  return found->substr(0, found->size() - kPickle.size());
}

void check_byte_order(const Entries& entries, const std::string& prefix, std::string_view file) {
  const auto order = entries.find(prefix + "byteorder");
  if (order == entries.end() || order->second == "little") return;
  fail(ErrorCode::kUnsupported, std::string(file) + ": " + printable(order->first),
       "expected little-endian data, got \"" + printable(order->second) +
           "\". Save the model as safetensors.");
}

}  // namespace

void read_pytorch(std::string_view bytes, std::string_view file, Weights* weights) {
  check_zip(bytes, file);
  const Entries entries = read_stored_zip(bytes, file);
  const std::string prefix = find_prefix(entries, file);
  check_byte_order(entries, prefix, file);
  const auto find_storage = [&](std::string_view key) -> std::optional<std::string_view> {
    const auto entry = entries.find(prefix + "data/" + std::string(key));
    if (entry == entries.end()) return std::nullopt;
    return entry->second;
  };
  pickle::Result made = pickle::unpickle(entries.at(prefix + std::string(kPickle)), file,
                                         find_storage, {std::max(bytes.size(), kMinCopied)});

  const auto* dict = std::get_if<pickle::Dict>(&made.root->value);
  if (dict == nullptr) {
    fail(ErrorCode::kUnsupported, file,
         "expected a state dict, got another object. Save model.state_dict().");
  }
  Weights found;  // `weights` changes only when all is well
  for (const auto& [key, value] : dict->items) {
    const auto* name = std::get_if<std::string>(&key->value);
    const auto* tensor = std::get_if<TensorView>(&value->value);
    if (name == nullptr || tensor == nullptr) {
      fail(ErrorCode::kUnsupported, file,
           "expected names with tensors in the state dict, got another entry" +
               (name == nullptr ? std::string() : " at \"" + printable(*name) + "\"") +
               ". Save model.state_dict().");
    }
    if (weights->find(*name) != nullptr || !found.add(*name, *tensor, std::string(file))) {
      fail(ErrorCode::kBadInput, file,
           "expected each tensor once, got a second \"" + printable(*name) +
               "\". Fetch the model again.");
    }
  }
  for (const auto& [name, entry] : found.entries()) weights->add(name, entry.tensor, entry.file);
  for (auto& owner : made.owners) weights->keep_alive(std::move(owner));
}

void map_pytorch(const std::filesystem::path& path, Weights* weights) {
  auto file = std::make_shared<const MappedFile>(path);
  read_pytorch(file->bytes(), path.string(), weights);
  weights->keep_alive(std::move(file));
}

}  // namespace inlay::files

// Writing safetensors: the header's offsets are known from the shapes, so tensors are written as
// they are made.
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/json.h"
#include "files/safetensors.h"

namespace inlay::files {
namespace {

std::string header(const std::vector<TensorToWrite>& tensors, std::string_view key,
                   std::string_view value) {
  std::string out = "{\"__metadata__\":{\"format\":\"pt\",";
  json_append_string(out, key);
  out += ":";
  json_append_string(out, value);
  out += "}";
  std::uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    std::int64_t count = 0;
    element_count(tensor.shape, &count);
    const std::uint64_t end =
        offset + static_cast<std::uint64_t>(count) * dtype_bytes(tensor.dtype);
    out += ",";
    json_append_string(out, tensor.name);
    out += ":{\"dtype\":\"" + std::string(dtype_name(tensor.dtype)) + "\",\"shape\":[";
    for (std::size_t i = 0; i < tensor.shape.size(); ++i)
      out += (i == 0 ? "" : ",") + std::to_string(tensor.shape[i]);
    out += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  out += "}";
  out.resize((out.size() + 7) / 8 * 8, ' ');  // data starts at a multiple of 8
  return out;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       std::string_view metadata_key, std::string_view metadata_value) {
  std::ofstream out(path, std::ios::binary);
  const std::string head = header(tensors, metadata_key, metadata_value);
  const std::uint64_t length = head.size();
  char bytes[sizeof length];
  std::memcpy(bytes, &length, sizeof length);
  out.write(bytes, sizeof bytes);
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  for (const TensorToWrite& tensor : tensors) {
    tensor.fill(out);
    if (!out) break;
  }
  out.flush();
  if (!out) {
    fail(ErrorCode::kCannotWrite, path.string(),
         "expected to write the converted weights, got an error of the file system: " +
             std::string(std::strerror(errno)) + ".");
  }
}

}  // namespace inlay::files

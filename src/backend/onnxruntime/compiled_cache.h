// The folder in which a provider keeps what it compiled: ONNX Runtime fills it and never clears it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace inlay::backend::onnxruntime {

// Bytes of compiled models at most.
inline constexpr std::int64_t kCompiledBytes = std::int64_t{4} << 30U;

// Makes the folder, and removes of its entries those used longest ago until the rest takes at most
// `most` bytes. What cannot be read or removed stays: a cache is never an error.
void trim_compiled(const std::filesystem::path& folder, std::int64_t most = kCompiledBytes);
// The entry was used now.
void touch_compiled(const std::filesystem::path& folder, const std::string& key);

}  // namespace inlay::backend::onnxruntime

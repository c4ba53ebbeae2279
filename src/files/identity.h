// What tells, without reading them, that the files of a folder are still the same.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace inlay::files {

// A line a regular file below `folder`, links followed: name, device, number, size, times of change
// in nanoseconds. Empty when a file changed less than kSettled before `now` (it may change again
// within the same tick of its clock, unseen), when the folder cannot be read, or when it holds more
// than some thousand files.
inline constexpr std::chrono::seconds kSettled{2};
std::string folder_identity(const std::filesystem::path& folder,
                            std::chrono::system_clock::time_point now);

}  // namespace inlay::files

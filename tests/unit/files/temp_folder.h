// What the tests of files/ share: a folder that goes away, errors as values, safetensors by hand.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "inlay/inlay.hpp"

namespace inlay::files {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "inlay-files-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = std::filesystem::canonical(name);
  }
  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  std::filesystem::path write(std::string_view name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::remove(
        path);  // some file systems wait for the disk when a file is overwritten
    std::ofstream(path, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  void link(std::string_view target, std::string_view name) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::create_symlink(target, path);
  }

 private:
  std::filesystem::path path_;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The Error that `call` throws; nothing when it returns. Any other exception fails the test.
template <typename Call>
std::optional<Error> error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// `call` must throw that code, and the message must hold all of `parts`.
template <typename Call>
void expect_error(const Call& call, ErrorCode code, std::initializer_list<std::string_view> parts) {
  const std::optional<Error> error = error_of(call);
  ASSERT_TRUE(error.has_value()) << "no error";
  EXPECT_EQ(error->code(), code) << error->what();
  for (const std::string_view part : parts) {
    EXPECT_NE(std::string_view(error->what()).find(part), std::string_view::npos)
        << "no \"" << part << "\" in: " << error->what();
  }
}

inline std::string safetensors(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data);
}

// A file with float tensors of the given names, one element each.
inline std::string tiny_safetensors(std::initializer_list<std::string_view> names) {
  std::string header = "{";
  std::size_t at = 0;
  for (const std::string_view name : names) {
    header += (at == 0 ? "\"" : ",\"") + std::string(name) +
              R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" + std::to_string(at) + "," +
              std::to_string(at + 4) + "]}";
    at += 4;
  }
  return safetensors(header + "}", std::string(at, '\0'));
}

}  // namespace inlay::files

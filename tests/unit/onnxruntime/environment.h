// Variables of the environment for the length of a test.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace inlay::backend::onnxruntime {

class Environment {
 public:
  ~Environment() {
    for (const auto& [name, old] : old_) {
      if (old) {
        ::setenv(name.c_str(), old->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  void set(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    old_.insert(old_.begin(),
                {name, old == nullptr ? std::nullopt : std::optional<std::string>(old)});
    ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> old_;
};

}  // namespace inlay::backend::onnxruntime

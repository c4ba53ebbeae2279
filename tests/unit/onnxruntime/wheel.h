// The ONNX Runtime that ./test and ./test --oracles install.
#pragma once

#include <string>
#include <vector>

#include "backend/onnxruntime/library.h"
#include "environment.h"

namespace inlay::backend::onnxruntime {

// Its file; empty: neither is installed.
inline std::string wheel() {
  for (const char* name : {"tests", "oracles"}) {
    std::vector<std::string> notes;
    Environment environment;
    environment.set("INLAY_ONNXRUNTIME_LIBRARY", "");
    environment.set("VIRTUAL_ENV", std::string(INLAY_SOURCE_DIR) + "/.venv/" + name);
    for (const std::string& place : library_places("", &notes)) {
      if (place.starts_with(INLAY_SOURCE_DIR) && place.find("/capi/") != std::string::npos)
        return place;
    }
  }
  return {};
}

}  // namespace inlay::backend::onnxruntime

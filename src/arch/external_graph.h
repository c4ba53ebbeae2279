// The folder's own ONNX file in the place of a family's steps. No family: it is asked for by name,
// whatever the model's type is.
#pragma once

#include <string_view>

#include "arch/arch.h"

namespace inlay::arch {

struct ExternalOptions {
  Head head = Head::kHidden;
  bool finished = false;  // a vector a text (Ending::finished) will do
};
// `file_name` as ModelFiles::onnx_file() takes it. Throws kUnsupported naming the graph's inputs
// and outputs where it does not take token ids or does not give what the head reads.
Body build_external_graph(const files::ModelFiles& model, std::string_view file_name,
                          const ExternalOptions& options);

}  // namespace inlay::arch

// Model::convert: the folder's small files as they are, its checkpoint with other element types.
#include <cstring>
#include <filesystem>
#include <ostream>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "base/mix.h"
#include "base/weights.h"
#include "engine/loader.h"
#include "files/byte_weights.h"
#include "files/locate.h"
#include "files/safetensors.h"
#include "inlay/inlay.hpp"

namespace inlay {
namespace fs = std::filesystem;
namespace {

constexpr const char* kWeightFile = "model.safetensors";

// Names of the checkpoint's tensors by what is done with them: matrices of products over tokens,
// tables that are looked up, and what computes in fp32 whatever the dtype (products of a text's one
// row, keys of positions). Slices of a tensor ("name[0:384]") stand for the whole.
struct Uses {
  std::set<std::string, std::less<>> products, tables, exact;
};
Uses find_uses(const Program& program) {
  Uses uses;
  const auto whole = [](const WeightRef& ref) { return ref.name.substr(0, ref.name.find('[')); };
  const auto multiply = [&](ValueId rows, const WeightRef& weight) {
    (program.value(rows).rows == Rows::kTokens ? uses.products : uses.exact).insert(whole(weight));
  };
  for (const Step& step : program.steps()) {
    if (const auto* linear = std::get_if<LinearStep>(&step.args)) {
      for (const WeightRef& weight : linear->weights) multiply(linear->input, weight);
    } else if (const auto* gated = std::get_if<GatedLinearStep>(&step.args)) {
      multiply(gated->input, gated->gate);
      multiply(gated->input, gated->up);
    } else if (const auto* vocabulary = std::get_if<VocabularyMaxStep>(&step.args)) {
      multiply(vocabulary->input, vocabulary->weight);
    } else if (const auto* embed = std::get_if<EmbedStep>(&step.args)) {
      for (const WeightRef* table : {&embed->tokens, &embed->positions, &embed->types})
        uses.tables.insert(whole(*table));
    } else if (const auto* attention = std::get_if<AttentionStep>(&step.args)) {
      uses.exact.insert(whole(attention->disentangled.key));
      uses.exact.insert(whole(attention->disentangled.query));
    }
  }
  return uses;
}

enum class Form { kAsIs, kHalf, kBf16, kBytes };

Form form_of(const std::string& name, const TensorView& tensor, const Uses& uses, bool int8) {
  const bool floats = tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16 ||
                      tensor.dtype == DType::kBF16 || tensor.dtype == DType::kF64;
  if (!floats || tensor.shape.size() != 2) return Form::kAsIs;
  // What has two uses (a tied vocabulary) would show the one's rounding in the other.
  const bool table = uses.tables.contains(name);
  const bool product = uses.products.contains(name);
  if (uses.exact.contains(name) || table == product) return Form::kAsIs;
  if (table) {  // as the cpu room keeps it beside narrow products
    return tensor.dtype == DType::kF32 || tensor.dtype == DType::kF64 ? Form::kHalf : Form::kAsIs;
  }
  return int8 ? Form::kBytes : Form::kBf16;
}

// Calls `write` with each row as floats.
template <typename Write>
void each_row(const TensorView& tensor, const std::string& name, const Write& write) {
  TensorView view = tensor;
  const std::int64_t k = tensor.shape[1];
  view.shape[0] = 1;
  std::vector<float> row(static_cast<std::size_t>(k));
  const std::size_t bytes = static_cast<std::size_t>(k) * dtype_bytes(tensor.dtype);
  for (std::int64_t r = 0; r < tensor.shape[0]; ++r) {
    view.data = static_cast<const char*>(tensor.data) + static_cast<std::size_t>(r) * bytes;
    to_float(view, row.data(), name);
    write(row.data(), k);
  }
}

void put(std::ostream& out, const void* data, std::size_t bytes) {
  out.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
}

// Throws kUnsupported for a value that is finite and no longer so in 16 bits.
void put_halves(std::ostream& out, const TensorView& tensor, const std::string& name,
                std::uint16_t (*half)(float), bool (*overflows)(float)) {
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(tensor.shape[1]));
  each_row(tensor, name, [&](const float* row, std::int64_t k) {
    for (std::int64_t i = 0; i < k; ++i) {
      if (overflows(row[i])) {
        fail(ErrorCode::kUnsupported, name,
             "expected values that 16 bits hold, got " + std::to_string(row[i]) + ".");
      }
      halves[static_cast<std::size_t>(i)] = half(row[i]);
    }
    put(out, halves.data(), halves.size() * sizeof(std::uint16_t));
  });
}

std::vector<files::TensorToWrite> converted(const Weights& weights, const Uses& uses, bool int8,
                                            std::int64_t* matrices) {
  std::vector<files::TensorToWrite> out;
  for (const auto& item : weights.entries()) {
    const std::string& name = item.first;
    const TensorView& tensor = item.second.tensor;
    const Form form = form_of(name, tensor, uses, int8);
    files::TensorToWrite write{name, tensor.dtype, tensor.shape, {}};
    *matrices += form == Form::kAsIs ? 0 : 1;
    switch (form) {
      case Form::kAsIs:
        write.fill = [&tensor](std::ostream& to) { put(to, tensor.data, tensor.bytes()); };
        break;
      case Form::kHalf:
        write.dtype = DType::kF16;
        write.fill = [&](std::ostream& to) {
          put_halves(to, tensor, name, float_to_half, overflows_half);
        };
        break;
      case Form::kBf16:
        write.dtype = DType::kBF16;
        write.fill = [&](std::ostream& to) {
          put_halves(to, tensor, name, float_to_bf16, overflows_bf16);
        };
        break;
      case Form::kBytes: {
        write.dtype = DType::kI8;
        const auto scales = std::make_shared<std::vector<float>>();
        write.fill = [&, scales](std::ostream& to) {
          std::vector<std::int8_t> bytes(static_cast<std::size_t>(tensor.shape[1]));
          each_row(tensor, name, [&](float* row, std::int64_t k) {
            scales->push_back(mix_to_bytes(row, k, bytes.data()));
            put(to, bytes.data(), bytes.size());
          });
        };
        out.push_back(write);
        write = {name + std::string(files::kByteScale), DType::kF32, {tensor.shape[0]}, {}};
        write.fill = [scales](std::ostream& to) {
          put(to, scales->data(), scales->size() * sizeof(float));
        };
        break;
      }
    }
    out.push_back(std::move(write));
  }
  return out;
}

// Weights in any form of a checkpoint, and what other tools keep beside them.
bool is_weight_file(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const std::string_view suffix :
       {".safetensors", ".bin", ".pt", ".pth", ".onnx", ".onnx_data", ".h5", ".ot", ".msgpack",
        ".gguf", ".safetensors.index.json", ".bin.index.json", ".ckpt"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

// Everything but the checkpoint itself, with the modules' own weights.
void copy_files(const fs::path& from, const fs::path& checkpoint_folder, const fs::path& to) {
  for (auto it = fs::recursive_directory_iterator(from); it != fs::recursive_directory_iterator();
       ++it) {
    const fs::path relative = it->path().lexically_relative(from);
    const std::string first = relative.begin()->string();
    if (first == "onnx" || first == "openvino" || first.starts_with(".")) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    if (it->is_directory()) {
      fs::create_directories(to / relative);
    } else if (fs::is_regular_file(it->path()) &&
               !(is_weight_file(it->path()) && it->path().parent_path() == checkpoint_folder)) {
      fs::create_directories((to / relative).parent_path());
      fs::copy_file(it->path(), to / relative);  // what a link leads to
    }
  }
}

}  // namespace

ConvertResult Model::convert(std::string_view locator, std::string_view dtype,
                             std::string_view folder) {
  if (dtype != "bf16" && dtype != "int8") {
    fail(ErrorCode::kUsage, "--dtype",
         "expected bf16 or int8 to convert to, got \"" + printable(dtype) + "\".");
  }
  const fs::path target(folder);
  std::error_code error;
  if (folder.empty() || fs::exists(fs::symlink_status(target, error))) {
    fail(ErrorCode::kUsage, "-o",
         "expected a folder that does not exist yet, got \"" + printable(folder) + "\".");
  }
  const files::Located located = files::locate(locator, files::Ask::kNever);
  const files::ModelFiles model = files::ModelFiles::open(located.folder, located.name);
  const auto task = task::make_task(model, task::natural_task(model));
  if (!task->reads() || model.is_static_table()) {
    fail(ErrorCode::kUnsupported, model.name(),
         "expected a model with a transformer, got one whose vectors are looked up. There is "
         "nothing to convert.");
  }
  const Program program = engine::build_program(model, task.get());
  const std::shared_ptr<const Weights> weights = model.load_weights();
  ConvertResult result;
  result.path = target.string();
  result.dtype = dtype;
  result.bytes_before = model.weight_bytes();
  const std::vector<files::TensorToWrite> tensors =
      converted(*weights, find_uses(program), dtype == "int8", &result.matrices);
  const fs::path place = fs::path(model.weight_file()).parent_path();
  fs::path temporary = target;
  temporary += ".part";
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary / place);
    copy_files(model.folder(), model.folder() / place, temporary);
    files::write_safetensors(temporary / place / kWeightFile, tensors, "inlay", std::string(dtype));
    result.bytes_after = static_cast<std::int64_t>(fs::file_size(temporary / place / kWeightFile));
    fs::rename(temporary, target);
  } catch (const fs::filesystem_error& failed) {
    fs::remove_all(temporary, error);
    fail(ErrorCode::kCannotWrite, target.string(),
         std::string("expected to write the converted folder, got: ") + failed.what() + ".");
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
  return result;
}

}  // namespace inlay

// Dense vectors and what else a model gives from the same pass: each output is made and read by the
// task that would make it alone, so it is the same to the bit.
#include "base/error.h"
#include "task/late_form.h"
#include "task/task.h"

namespace inlay::task {
namespace {

class Joint final : public Task {
 public:
  explicit Joint(std::vector<std::unique_ptr<Task>> parts) : parts_(std::move(parts)) {}

  // All rows, whatever each part reads of them.
  std::optional<Reads> reads() const override { return Reads{}; }
  void append(Program* program, const Ending& ending) override {
    std::vector<ValueId> outputs;
    for (const auto& part : parts_) {
      part->append(program, ending);
      outputs.push_back(program->output());
    }
    program->set_outputs(outputs);
  }
  std::int64_t dim() const override { return parts_[0]->dim(); }
  bool include_prompt() const override { return parts_[0]->include_prompt(); }
  void begin(std::size_t items, Result* result) const override {
    for (const auto& part : parts_) part->begin(items, result);
  }
  bool read(const Computed& item, std::size_t index, Result* result) const override {
    for (const auto output : item.outputs) {  // all or none
      if (!all_finite(output)) return false;
    }
    for (std::size_t i = 0; i < parts_.size(); ++i)
      parts_[i]->read({item.outputs.subspan(i, 1), item.ids, item.request}, index, result);
    return true;
  }

 private:
  const std::vector<std::unique_ptr<Task>> parts_;
};

}  // namespace

std::unique_ptr<Task> make_joint(const files::ModelFiles& model, const JointOptions& options) {
  if (options.dense.chunk) {
    fail(ErrorCode::kUsage, "--chunk",
         "expected no other output of the pass beside chunks, got some (--with). Ask for them "
         "alone.");
  }
  std::vector<std::unique_ptr<Task>> parts;
  parts.push_back(make_embed(model, options.dense));  // refuses a folder that is made for another
  if (options.sparse) parts.push_back(make_token_weights(model, *options.sparse));
  if (options.late) parts.push_back(make_late(model, *options.late));
  return std::make_unique<Joint>(std::move(parts));
}

}  // namespace inlay::task

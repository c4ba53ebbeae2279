// Asks task/ what it makes of a folder.
#include "engine/model_tasks.h"

#include "engine/loader.h"
#include "files/locate.h"

namespace inlay::engine {

ModelTasks model_tasks(std::string_view locator) {
  const files::Located located = files::locate(locator, files::Ask::kNever);
  const files::ModelFiles model = files::ModelFiles::open(located.folder, located.name);
  const TaskOptions natural = task::natural_task(model);
  ModelTasks out;
  out.model = model.name();
  out.revision = model.revision();
  out.identity = model.identity();
  out.tasks.emplace_back(task::task_name(natural));
  // bge-m3 and its like give every token a weight beside the text's vector.
  if (std::holds_alternative<EmbedOptions>(natural) && task::has_token_weights(model))
    out.tasks.emplace_back("sparse");
  out.program = task::make_task(model, natural)->reads().has_value();
  return out;
}

std::vector<std::string> default_models(std::string_view task) {
  const std::span<const std::string_view> names =
      task == "sparse"   ? task::default_models(SparseOptions{})
      : task == "rerank" ? task::default_models(RerankOptions{})
      : task == "late"   ? task::default_models(LateOptions{})
                         : task::default_models(EmbedOptions{});
  return {names.begin(), names.end()};
}

}  // namespace inlay::engine

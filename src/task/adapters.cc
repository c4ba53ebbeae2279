// Which of a model's low-rank adapters is loaded: the one named, or that of the texts' role, as
// jina-embeddings-v3 has for queries and passages of retrieval.
#include <algorithm>

#include "base/error.h"
#include "task/task.h"

namespace inlay::task {
namespace {

const char* role_name(Role role) { return role == Role::kQuery ? "query" : "document"; }

}  // namespace

std::string role_adapter(const files::ModelFiles& model, Role role) {
  if (role == Role::kNone) return "";
  const char* name = role == Role::kQuery ? "retrieval.query" : "retrieval.passage";
  const std::vector<std::string> names = model.adapters();
  return std::find(names.begin(), names.end(), name) != names.end() ? name : "";
}

std::string choose_adapter(const files::ModelFiles& model, const std::string& named, Role role) {
  if (named.empty()) return role_adapter(model, role);
  const std::vector<std::string> names = model.adapters();
  if (names.empty()) {
    fail(ErrorCode::kUsage, "--adapter",
         "expected a model with adapters, such as jinaai/jina-embeddings-v3, got \"" +
             printable(named) + "\" for " + model.name() + ", which has none.");
  }
  if (std::find(names.begin(), names.end(), named) != names.end()) return named;
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + printable(name);
  fail(ErrorCode::kUsage, "--adapter",
       "expected an adapter of this model (" + known + "), got \"" + printable(named) + "\".");
}

void check_role(const files::ModelFiles& model, const std::string& adapter, Role role) {
  const std::string wanted = role_adapter(model, role);
  if (wanted == adapter || wanted.empty()) return;
  const Role other = role == Role::kQuery ? Role::kDocument : Role::kQuery;
  if (!adapter.empty() && adapter != role_adapter(model, other)) return;
  fail(ErrorCode::kUsage, "--as",
       std::string("expected an engine loaded with the adapter ") + wanted + " for texts as " +
           role_name(role) + ", got one with " + (adapter.empty() ? "none" : adapter) +
           ". Load it for that role, or with that adapter.");
}

}  // namespace inlay::task

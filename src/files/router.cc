// Routes and the order in which sentence-transformers looks for one.
#include "files/router.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "files/folder.h"
#include "files/settings.h"

namespace inlay::files {
namespace {

constexpr std::size_t kMaxRoutes = 64;
constexpr std::size_t kMaxRouteModules = 64;

const Router::Route* by_name(const std::vector<Router::Route>& routes, std::string_view name) {
  const auto at =
      std::find_if(routes.begin(), routes.end(), [&](const auto& r) { return r.name == name; });
  return at == routes.end() ? nullptr : &*at;
}

void check_count(const JsonValue& value, std::size_t count, std::size_t most, const char* what) {
  if (count >= 1 && count <= most) return;
  fail(ErrorCode::kBadInput, value.where(),
       "expected 1 to " + std::to_string(most) + " " + what + ", got " + std::to_string(count) +
           ". The file is damaged; fetch it again.");
}

void check_route(const Router& router, const JsonValue& name) {
  if (by_name(router.routes, name.string()) != nullptr) return;
  fail(ErrorCode::kBadInput, name.where(),
       "expected the name of a route, got \"" + printable(name.string()) +
           "\". The file is damaged; fetch it again.");
}

}  // namespace

Router parse_router(std::string_view json, std::string_view file) {
  const JsonDocument document = JsonDocument::parse(json, file);
  const JsonValue root = document.root();
  std::map<std::string, ModuleEntry, std::less<>> modules;  // by id, which is the folder
  for (const auto& [id, type] : root.at("types").members()) {
    check_relative_path(id, type.where());
    modules[std::string(id)] = {last_segment(type.string()), std::string(id)};
  }
  Router router;
  const JsonValue structure = root.at("structure");
  for (const auto& [name, ids] : structure.members()) {
    Router::Route route{std::string(name), {}};
    check_count(ids, ids.items().size(), kMaxRouteModules, "modules");
    for (const JsonValue& id : ids.items()) {
      const auto module = modules.find(id.string());
      if (module == modules.end()) {
        fail(ErrorCode::kBadInput, id.where(),
             "expected a module of /types, got \"" + printable(id.string()) +
                 "\". The file is damaged; fetch it again.");
      }
      route.modules.push_back(module->second);
    }
    router.routes.push_back(std::move(route));
  }
  check_count(structure, router.routes.size(), kMaxRoutes, "routes");
  bool first_is_default = true;  // allow_empty_key
  if (const auto parameters = root.find("parameters")) {
    first_is_default = parameters->bool_or("allow_empty_key", true);
    if (const auto name = parameters->find("default_route")) {
      check_route(router, *name);
      router.default_route = name->string();
    }
    if (const auto mappings = parameters->find("route_mappings")) {
      for (const auto& [key, name] : mappings->members()) {
        check_route(router, name);
        router.mappings.emplace_back(key, name.string());
      }
    }
  }
  if (!router.default_route && first_is_default) router.default_route = router.routes[0].name;
  return router;
}

const Router::Route* Router::find(std::string_view role) const {
  const std::string task = role.empty() ? "None" : "'" + std::string(role) + "'";
  // Keys are Python's spelling of (task, modality).
  for (const std::string& key : {"(" + task + ", 'text')", "(" + task + ", None)",
                                 std::string("(None, 'text')"), std::string("(None, None)")}) {
    for (const auto& [from, to] : mappings) {
      if (from == key) return by_name(routes, to);
    }
  }
  if (!role.empty()) {
    if (const Route* route = by_name(routes, role)) return route;
  }
  if (const Route* route = by_name(routes, "text")) return route;
  if (!role.empty() || !default_route) return nullptr;
  return by_name(routes, *default_route);
}

}  // namespace inlay::files

// router_config.json of sentence-transformers' Router: models that take queries and documents by
// different modules. Which module does what is for task/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inlay::files {

// An entry of modules.json, or of a router's.
struct ModuleEntry {
  std::string type;  // last segment of the class name
  std::string path;  // relative, checked
  bool operator==(const ModuleEntry&) const = default;
};

struct Router {
  struct Route {
    std::string name;                  // "query", "document"
    std::vector<ModuleEntry> modules;  // at least one; paths relative to the router's folder
  };
  std::vector<Route> routes;                 // in file order, at least one
  std::optional<std::string> default_route;  // for texts without a role; the name of a route
  std::vector<std::pair<std::string, std::string>> mappings;  // "('query', 'text')" to a route

  // The route of texts whose role is "query", "document" or "" (none), by the reference's rules
  // (base/modules/router.py, _resolve_route); nullptr when there is none.
  const Route* find(std::string_view role) const;
};

// Throws kBadInput naming file and member.
Router parse_router(std::string_view json, std::string_view file);

}  // namespace inlay::files

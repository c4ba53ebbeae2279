// Routes in the order in which sentence-transformers looks for them, and what is refused.
#include "files/router.h"

#include <string>

#include "temp_folder.h"

namespace inlay::files {
namespace {

std::string router_text(const std::string& parameters) {
  return R"({"types": {"query_0_SparseStaticEmbedding": "a.b.SparseStaticEmbedding",
                       "": "sentence_transformers.models.MLMTransformer",
                       "document_1_SpladePooling": "SpladePooling"},
             "structure": {"query": ["query_0_SparseStaticEmbedding"],
                           "document": ["", "document_1_SpladePooling"]},
             "parameters": )" +
         parameters + "}";
}

std::string found(const std::string& parameters, const char* role) {
  const Router router = parse_router(router_text(parameters), "router_config.json");
  const Router::Route* route = router.find(role);
  return route == nullptr ? "none" : route->name;
}

TEST(Router, ModulesKeepTheirOrderAndFolders) {
  const Router router = parse_router(router_text("{}"), "router_config.json");
  ASSERT_EQ(router.routes.size(), 2U);
  const std::vector<ModuleEntry> document{{"MLMTransformer", ""},
                                          {"SpladePooling", "document_1_SpladePooling"}};
  EXPECT_EQ(router.routes[1].name, "document");
  EXPECT_EQ(router.routes[1].modules, document);
}

TEST(Router, RolesFindTheirRoute) {
  EXPECT_EQ(found("{}", "query"), "query");
  EXPECT_EQ(found("{}", "document"), "document");
  EXPECT_EQ(found("{}", ""), "query");  // the first, as allow_empty_key is on unless it says no
  EXPECT_EQ(found(R"({"default_route": "document"})", ""), "document");
  EXPECT_EQ(found(R"({"default_route": null, "allow_empty_key": false})", ""), "none");
  EXPECT_EQ(found(R"({"default_route": "document", "allow_empty_key": false})", ""), "document");
}

TEST(Router, MappingsComeFirstTheNarrowestBefore) {
  const std::string all = R"x({"route_mappings": {"(None, None)": "document",
      "(None, 'text')": "query", "('query', None)": "document", "('query', 'text')": "query"}})x";
  EXPECT_EQ(found(all, "query"), "query");
  EXPECT_EQ(found(all, "document"), "query");
  EXPECT_EQ(found(R"x({"route_mappings": {"('query', None)": "document"}})x", "query"), "document");
  EXPECT_EQ(found(R"x({"route_mappings": {"(None, None)": "document"}})x", "query"), "document");
  EXPECT_EQ(found(R"x({"route_mappings": {"('query', 'image')": "document"}})x", "query"), "query");
}

TEST(Router, BrokenFilesAreRefused) {
  const auto refused = [](const std::string& text, const std::string& place) {
    expect_error([&] { parse_router(text, "r.json"); }, ErrorCode::kBadInput, {place});
  };
  refused("[]", "r.json");
  refused(R"({"types": {}, "structure": {}})", "r.json: /structure");
  refused(R"({"types": {"../x": "M"}, "structure": {"a": ["../x"]}})", "r.json: /types");
  refused(R"({"types": {"a": "M"}, "structure": {"a": ["b"]}})", "r.json: /structure/a/0");
  refused(R"({"types": {"a": "M"}, "structure": {"a": []}})", "r.json: /structure/a");
  refused(R"({"types": {"a": 1}, "structure": {"a": ["a"]}})", "r.json: /types/a");
  refused(router_text(R"({"default_route": "other"})"), "/parameters/default_route");
  refused(router_text(R"x({"route_mappings": {"(None, None)": "other"}})x"),
          "/parameters/route_mappings");
}

}  // namespace
}  // namespace inlay::files

// From what a user types to a folder, with the environment and caches of the field.
#include "files/locate.h"

#include <map>
#include <optional>
#include <string>

#include "temp_folder.h"

namespace inlay::files {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariables[] = {"HOME",           "INLAY_HOME",    "XDG_DATA_HOME",
                                      "XDG_CACHE_HOME", "HF_HUB_CACHE",  "HUGGINGFACE_HUB_CACHE",
                                      "HF_HOME",        "HF_HUB_OFFLINE"};

// Each test has an environment and a working folder of its own.
class Locate : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kVariables) {
      const char* value = std::getenv(name);
      saved_[name] =
          value == nullptr ? std::optional<std::string>() : std::optional<std::string>(value);
      ::unsetenv(name);
    }
    set("HOME", home_.path().string());
    set("HF_HUB_OFFLINE", "1");  // tests/cli/test_hub.py has a Hub
    working_ = fs::current_path();
    fs::current_path(home_.path());
  }
  void TearDown() override {
    fs::current_path(working_);
    for (const auto& [name, value] : saved_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  // A snapshot in the shared cache; its commit is `digit` forty times.
  fs::path snapshot(const std::string& repository, char digit, const std::string& ref) {
    const std::string commit(40, digit);
    const std::string base = ".cache/huggingface/hub/models--" + repository + "/";
    home_.write(base + "snapshots/" + commit + "/config.json", "{}");
    if (!ref.empty()) home_.write(base + "refs/" + ref, commit);
    return home_ / (base + "snapshots/" + commit);
  }

  TempFolder home_;

 private:
  std::map<std::string, std::optional<std::string>> saved_;
  fs::path working_;
};

TEST_F(Locate, HomesFollowTheEnvironment) {
  const fs::path home = home_.path();
  EXPECT_EQ(data_home(), home / ".local/share/inlay");
  EXPECT_EQ(cache_home(), home / ".cache/inlay");
  EXPECT_EQ(hub_cache(), home / ".cache/huggingface/hub");
  set("XDG_DATA_HOME", "/data");
  set("XDG_CACHE_HOME", "/cache");
  EXPECT_EQ(data_home(), "/data/inlay");
  EXPECT_EQ(cache_home(), "/cache/inlay");
  EXPECT_EQ(hub_cache(), "/cache/huggingface/hub");
  set("HF_HOME", "~/hf");
  EXPECT_EQ(hub_cache(), home / "hf/hub");
  set("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(hub_cache(), "/old");
  set("HF_HUB_CACHE", "/new");
  EXPECT_EQ(hub_cache(), "/new");
  set("INLAY_HOME", "/own");
  EXPECT_EQ(data_home(), "/own");
  EXPECT_EQ(cache_home(), "/own/cache");
  set("INLAY_HOME", "");  // empty is unset
  EXPECT_EQ(data_home(), "/data/inlay");
}

TEST_F(Locate, TheOrder) {
  const std::string id = default_model().id;
  const fs::path shared = snapshot("sentence-transformers--all-MiniLM-L6-v2", 'a', "main");
  EXPECT_EQ(locate("").folder, shared);
  EXPECT_EQ(locate("minilm").folder, shared);
  EXPECT_EQ(locate("minilm").name, id);
  EXPECT_EQ(locate(id).folder, shared);
  const fs::path own = home_ / ".local/share/inlay/models/sentence-transformers/all-MiniLM-L6-v2";
  fs::create_directories(own);
  EXPECT_EQ(locate("minilm").folder, own);
  EXPECT_EQ(find_local(id, ""), own);
  // A revision pins: Inlay's own copies have none.
  EXPECT_EQ(locate(id + "@main").folder, shared);
  fs::create_directories(home_ / id);  // a relative folder of that name wins, as in the field
  EXPECT_EQ(locate(id).folder, id);
  EXPECT_EQ(locate(id).name, id);
  fs::create_directories(home_ / "here");
  EXPECT_EQ(locate("here").folder, "here");
  EXPECT_EQ(locate("./here/").folder, "./here/");
  EXPECT_EQ(locate((home_ / "here").string()).folder, home_ / "here");
}

TEST_F(Locate, RevisionsByRefAndCommit) {
  const fs::path first = snapshot("org--name", '1', "main");
  const fs::path second = snapshot("org--name", '2', "refs/pr/7");
  const fs::path third = snapshot("org--name", '3', "");
  EXPECT_EQ(locate("org/name").folder, first);
  EXPECT_EQ(locate("org/name@main").folder, first);
  EXPECT_EQ(locate("org/name@refs/pr/7").folder, second);
  EXPECT_EQ(locate("org/name@" + std::string(40, '3')).folder, third);
  EXPECT_EQ(locate("org/name").name, "org/name");
  expect_error([] { locate("org/name@v2"); }, ErrorCode::kNotFound,
               {"org/name at revision v2", "refs/v2", "org/name@" + std::string(40, '1')});
  expect_error([] { locate("org/name@" + std::string(40, '4')); }, ErrorCode::kNotFound,
               {"snapshots/4444"});
  EXPECT_TRUE(find_local("org/name", "v2").empty());
  home_.write(".cache/huggingface/hub/models--org--name/refs/main", "../../../../etc");
  expect_error([] { locate("org/name"); }, ErrorCode::kBadInput,
               {"refs/main", "40 hexadecimal digits"});
}

TEST_F(Locate, NotFoundTellsPlacesAndRemedy) {
  expect_error([] { locate("minilm"); }, ErrorCode::kNotFound,
               {".local/share/inlay/models/sentence-transformers/all-MiniLM-L6-v2",
                ".cache/huggingface/hub/models--sentence-transformers--all-MiniLM-L6-v2/refs/main",
                "tools/fetch_model.py minilm", "-m FOLDER", "HF_HUB_OFFLINE"});
  expect_error([] { locate("minilm", Ask::kNever); }, ErrorCode::kNotFound,
               {"tools/fetch_model.py minilm", "-m FOLDER", "inlay model get"});
  expect_error([] { locate("org/other"); }, ErrorCode::kNotFound, {"org/other", "-m FOLDER"});
  EXPECT_EQ(error_of([] { locate("org/other"); })->exit_code(), 66);
  for (const char* path : {"./x", "/x", "../x/y", "a/b/c", "org/../x", "org/name/"}) {
    expect_error([&] { locate(path); }, ErrorCode::kNotFound, {path, "where no folder is"});
  }
}

TEST_F(Locate, OtherTextsAreUsage) {
  home_.write("file.bin", "x");
  home_.write("org/file", "x");
  for (const char* text : {"nothing", "a b", "minilm@v1", "x@y@z", "file.bin", "org/file"}) {
    expect_error([&] { locate(text); }, ErrorCode::kUsage, {"--model"});
  }
  expect_error([] { locate(std::string_view("a\0b", 3)); }, ErrorCode::kUsage, {"--model"});
  expect_error([] { locate(std::string(5000, 'a')); }, ErrorCode::kUsage, {"4096"});
  expect_error([] { locate(std::string(4000, 'a')); }, ErrorCode::kUsage, {"--model"});
  EXPECT_TRUE(find_local("../..", "").empty());
  EXPECT_TRUE(find_local("a/b", "../../x").empty());
  EXPECT_TRUE(find_local("", "").empty());
}

}  // namespace
}  // namespace inlay::files

// The table's own consistency, and that its words are those of the other folders.
#include "files/known_models.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "files/places.h"

namespace inlay::files {
namespace {

TEST(KnownModels, RowsAreConsistent) {
  EXPECT_GE(known_models().size(), 100U);
  std::set<std::string> ids, names;
  const std::set<std::string> tasks{"dense", "sparse", "rerank", "late"};
  for (const KnownModel& model : known_models()) {
    const std::string id = model.id;
    EXPECT_TRUE(ids.insert(id).second) << id;
    const std::size_t slash = id.find('/');
    ASSERT_NE(slash, std::string::npos) << id;
    EXPECT_TRUE(plain_name(id.substr(0, slash)) && plain_name(id.substr(slash + 1))) << id;
    EXPECT_TRUE(tasks.contains(model.task)) << id;
    EXPECT_EQ(find_known_model(id), &model) << id;
    EXPECT_GT(model.millions, 1) << id;
    EXPECT_GT(model.dimensions, 0) << id;
    EXPECT_GE(model.max_tokens, 0) << id;
    EXPECT_STRNE(model.family, "") << id;
    if (*model.short_name != '\0') {
      EXPECT_TRUE(names.insert(model.short_name).second) << id;
      EXPECT_EQ(std::string(model.short_name).find('/'), std::string::npos) << id;
    }
  }
}

TEST(KnownModels, TheDefaultIsMiniLm) {
  EXPECT_STREQ(default_model().short_name, "minilm");
  EXPECT_TRUE(default_model().real_weights);
}

TEST(KnownModels, IdsHaveNoCase) {
  ASSERT_NE(find_known_model("snowflake/Snowflake-Arctic-Embed-XS"), nullptr);
  EXPECT_STREQ(find_known_model("baai/bge-small-en-v1.5")->query,
               "Represent this sentence for searching relevant passages: ");
  EXPECT_EQ(find_known_model("BAAI/bge-small-en-v1.5x"), nullptr);
  EXPECT_EQ(find_known_model(""), nullptr);
}

}  // namespace
}  // namespace inlay::files

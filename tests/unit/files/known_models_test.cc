// The table's own consistency, and that its words are those of the other folders.
#include "files/known_models.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "files/places.h"
#include "files/word_lists.h"

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
    EXPECT_TRUE(model.millions > 1 || !needs_files(model)) << id;
    const bool hashes = id.starts_with("Qdrant/");  // their indices are of no vocabulary
    EXPECT_TRUE(model.dimensions > 0 || hashes) << id;
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

TEST(KnownModels, NamesOfFastembed) {
  EXPECT_EQ(hub_id("qdrant/bm42-all-minilm-l6-v2-attentions"),
            "Qdrant/all_miniLM_L6_v2_with_attentions");
  EXPECT_EQ(hub_id("Qdrant/bm25"), "Qdrant/bm25");
  EXPECT_FALSE(needs_files(*find_known_model("Qdrant/bm25")));
  EXPECT_EQ(word_files("Qdrant/bm25").size(), 17U);
  EXPECT_TRUE(word_files("org/other").empty());
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

// BM25 vectors; hashes recorded from mmh3 5.3.1, stems from py_rust_stemmers 0.1.8.
#include "task/bm25.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "inlay/inlay.hpp"
#include "task/stemmer.h"
#include "task/word_vector.h"

namespace inlay::task {
namespace {

TEST(Bm25, HashIsMurmur3) {
  EXPECT_EQ(murmur3(""), 0);
  EXPECT_EQ(murmur3("a"), 1009084850);
  EXPECT_EQ(murmur3("ab"), -1681926305);
  EXPECT_EQ(murmur3("abc"), -1277324294);
  EXPECT_EQ(murmur3("abcd"), 1139631978);
  EXPECT_EQ(murmur3("hello world"), 1586663183);
}

TEST(Bm25, IndexIsTheHashWithoutItsSign) {
  EXPECT_EQ(word_index("a"), 1009084850);
  EXPECT_EQ(word_index("ab"), 1681926305);
}

TEST(Bm25, StemsAreThoseOfPyRustStemmers) {
  constexpr std::array<std::array<const char*, 3>, 13> kStems{{{"french", "héroïque", "héroïqu"},
                                                               {"french", "naïfs", "naïf"},
                                                               {"french", "contiguë", "contigu"},
                                                               {"french", "aiguë", "aiguë"},
                                                               {"french", "canoë", "canoë"},
                                                               {"french", "chevaux", "cheval"},
                                                               {"danish", "cli11", "cli1"},
                                                               {"danish", "venner", "ven"},
                                                               {"finnish", "1999", "199"},
                                                               {"finnish", "nro1a", "nro1a"},
                                                               {"finnish", "taloissa", "talo"},
                                                               {"russian", "ёлка", "ёлка"},
                                                               {"english", "running", "run"}}};
  for (const auto& [language, word, stem] : kStems) {
    std::string got = word;
    Stemmer(language).stem(&got);
    EXPECT_EQ(got, stem) << language << " " << word;
  }
}

TEST(Bm25, CountsStemsWithoutStopWords) {
  const Bm25 bm25({}, {"the"});
  const auto document = [&](const char* text) { return bm25.document(bm25.terms(text), true); };
  SparseVector v = document("The quick, QUICK foxes running: _");
  ASSERT_EQ(v.indices, (std::vector<std::int32_t>{243905464, 771291085, 1621867415}));
  const double norm = 1.2 * (1 - 0.75 + 0.75 * 4 / 256);
  EXPECT_NEAR(v.values[0], 2.2 / (1 + norm), 1e-6);
  EXPECT_NEAR(v.values[1], 4.4 / (2 + norm), 1e-6);
  EXPECT_EQ(v.words, (std::vector<std::string>{"run", "quick", "fox"}));
  v = bm25.query(bm25.terms("quick the quick"), false);
  EXPECT_EQ(v.indices, std::vector<std::int32_t>{771291085});
  EXPECT_TRUE(v.words.empty());
  EXPECT_EQ(v.values, std::vector<float>{1.0F});
  v = document("the");
  EXPECT_TRUE(v.indices.empty() && v.values.empty());
}

TEST(Bm25, RefusesOptionsOutOfRange) {
  Bm25Options options;
  options.avg_len = 0;
  EXPECT_THROW(Bm25(options, {}), Error);
  options = {};
  options.language = "klingon";
  EXPECT_THROW(Bm25(options, {}), Error);
}

}  // namespace
}  // namespace inlay::task

// The words and the bar.
#include "io/progress.h"

#include <gtest/gtest.h>

namespace inlay::io {
namespace {

TEST(ProgressText, RateAndRemainingTime) {
  EXPECT_EQ(progress_text({200, 4000, 25, 100}, 10, 0),
            " 25% 200 texts, 20 texts/s, 400 tokens/s, 0:30 left");
  EXPECT_EQ(progress_text({1, 2, 1, 7200}, 1, 0),
            "  0% 1 texts, 1 texts/s, 2 tokens/s, 1:59:59 left");
}

TEST(ProgressText, WithoutATotalThereIsNoShare) {
  EXPECT_EQ(progress_text({200, 4000, 25, -1}, 10, 80), "200 texts, 20 texts/s, 400 tokens/s");
  EXPECT_EQ(progress_text({0, 0, 0, 0}, 0, 80), "0 texts, 0 texts/s, 0 tokens/s");
}

TEST(ProgressText, ADownloadCountsBytes) {
  EXPECT_EQ(progress_text({0, 0, 25'000'000, 100'000'000, "model.safetensors"}, 10, 0),
            " 25% model.safetensors: 25.0 of 100.0 MB, 2.5 MB/s, 0:30 left");
  EXPECT_EQ(progress_text({0, 0, 0, 0, "config.json"}, 0, 0),
            "config.json: 0.0 of 0.0 MB, 0.0 MB/s");
}

TEST(ProgressText, TheBarFitsTheTerminal) {
  for (int columns = 0; columns < 200; ++columns) {
    const std::string text = progress_text({200, 4000, 50, 100}, 10, columns);
    if (text[0] == '[') {
      EXPECT_LE(static_cast<int>(text.size()), columns);
    }
  }
  EXPECT_EQ(progress_text({200, 4000, 50, 100}, 10, 200).substr(0, 42),
            "[====================                    ]");
}

}  // namespace
}  // namespace inlay::io

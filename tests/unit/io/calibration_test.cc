// Calibration files: what is written is read back, and nothing else is believed.
#include "io/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "io/output_file.h"

namespace inlay::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CalibrationTest : public testing::Test {
 protected:
  std::string path_ =
      testing::TempDir() + "inlay_calibration_" + std::to_string(::getpid()) + ".json";
  void TearDown() override { std::filesystem::remove(path_); }
  std::string failure(const std::string& json, std::int64_t dim = 2) {
    write_file(path_, json);
    try {
      read_calibration(path_, dim);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      return error.what();
    }
    return "no error";
  }
};

TEST_F(CalibrationTest, RangesOfVectorsComeBack) {
  Calibration calibration;
  calibration.model = "m";
  Result result;
  result.dim = 2;
  result.vectors = {0.1F, -3.0F, 1e30F, 1e30F, -0.2F, 5.0F};
  result.texts.resize(3);
  result.texts[1].error = "not finite";
  calibration.add(result);
  EXPECT_EQ(calibration_json(calibration),
            "{\"model\":\"m\",\"dim\":2,\"count\":2,\"minimum\":[-0.2,-3],\"maximum\":[0.1,5]}\n");
  write_file(path_, calibration_json(calibration));
  const Calibration back = read_calibration(path_, 2);
  EXPECT_EQ(back.model, "m");
  EXPECT_EQ(back.count, 2);
  EXPECT_THAT(back.minimum, ElementsAre(-0.2F, -3.0F));
  EXPECT_THAT(back.maximum, ElementsAre(0.1F, 5.0F));
}

TEST_F(CalibrationTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(failure("{\"dim\":3,\"minimum\":[0,0,0],\"maximum\":[1,1,1]}"),
              HasSubstr("expected 2"));
  EXPECT_THAT(failure("{\"dim\":2,\"minimum\":[0],\"maximum\":[1,1]}"), HasSubstr("/minimum"));
  EXPECT_THAT(failure("{\"dim\":2,\"minimum\":[0,0],\"maximum\":[1,\"1\"]}"),
              HasSubstr("/maximum/1"));
  EXPECT_THAT(failure("{\"dim\":2,\"minimum\":[0,0],\"maximum\":[1,1e300]}"),
              HasSubstr("/maximum/1"));
  EXPECT_THAT(failure("{\"dim\":2,\"minimum\":[0,2],\"maximum\":[1,1]}"), HasSubstr("/minimum/1"));
  EXPECT_THAT(failure("{\"dim\":2}"), HasSubstr("minimum"));
  EXPECT_THAT(failure("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(failure("{"), HasSubstr("expected valid JSON"));
}

TEST_F(CalibrationTest, AMissingFileIsNamed) {
  try {
    read_calibration("no/such/file.json", 2);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("no/such/file.json"));
  }
}

}  // namespace
}  // namespace inlay::io

// Reading whole inputs in tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "io/text_reader.h"

namespace inlay::io {

inline std::vector<std::string> read_all(const std::string& bytes, InputFormat format,
                                         const std::string& field = "text",
                                         std::int64_t max_line = 1000) {
  const auto reader = read_texts(LineReader(open_memory(bytes), "in", max_line), format, field);
  std::vector<std::string> texts;
  std::string text;
  while (reader->next(&text)) texts.push_back(text);
  return texts;
}

// The message of the kBadInput that reading ends with.
inline std::string failure(const std::string& bytes, InputFormat format,
                           const std::string& field = "text", std::int64_t max_line = 1000) {
  try {
    read_all(bytes, format, field, max_line);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

}  // namespace inlay::io

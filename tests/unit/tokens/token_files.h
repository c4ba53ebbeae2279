// What the tests of whole tokenizers share: the committed files, and small tokenizer.json texts to
// break.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "tokens/tokenizer.h"

namespace inlay::tokens {

inline std::string read_data(const std::string& name) {
  std::ifstream file(std::string(INLAY_TEST_DATA) + "/tokens/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Tokenizer load_family(const std::string& name) {
  return Tokenizer::from_json(read_data(name + ".json"), name + ".json");
}

// A tokenizer.json whose members are given as JSON text.
struct FileText {
  std::string model = R"({"type":"WordLevel","vocab":{"[UNK]":0,"a":1,"b":2},"unk_token":"[UNK]"})";
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null",
              decoder = "null";
  std::string added_tokens = "[]";

  std::string text() const {
    return R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)" + added_tokens +
           R"(,"normalizer":)" + normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer +
           R"(,"post_processor":)" + post_processor + R"(,"decoder":)" + decoder + R"(,"model":)" +
           model + "}";
  }
  Tokenizer load() const { return Tokenizer::from_json(text(), "tokenizer.json"); }
};

inline std::string added_token(const std::string& content, const std::string& flag = "") {
  const auto is = [&](const char* name) { return flag == name ? "true" : "false"; };
  return R"({"id":9,"content":")" + content + R"(","single_word":)" + is("single_word") +
         R"(,"lstrip":)" + is("lstrip") + R"(,"rstrip":)" + is("rstrip") + R"(,"normalized":)" +
         is("normalized") + R"(,"special":)" + is("special") + "}";
}

}  // namespace inlay::tokens

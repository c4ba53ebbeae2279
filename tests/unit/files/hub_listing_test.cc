// Which files of a repository are fetched, and what a hostile listing cannot do.
#include "files/hub_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temp_folder.h"

namespace inlay::files {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> needed(const std::vector<std::string>& paths) {
  HubListing listing;
  for (const std::string& path : paths) listing.files.push_back({path, 1, ""});
  std::vector<std::string> out;
  for (const HubFile& file : needed_files(listing)) out.push_back(file.path);
  return out;
}

TEST(HubListing, SentenceTransformers) {
  EXPECT_THAT(
      needed({".gitattributes",
              "1_Pooling/config.json",
              "2_Dense/config.json",
              "2_Dense/model.safetensors",
              "2_Dense/pytorch_model.bin",
              "README.md",
              "config.json",
              "config_sentence_transformers.json",
              "data_config.json",
              "model.safetensors",
              "modules.json",
              "onnx/model.onnx",
              "openvino/openvino_model.bin",
              "pytorch_model.bin",
              "rust_model.ot",
              "sentence_bert_config.json",
              "special_tokens_map.json",
              "tf_model.h5",
              "tokenizer.json",
              "tokenizer_config.json",
              "train_script.py",
              "vocab.txt"}),
      ElementsAre("1_Pooling/config.json", "2_Dense/config.json", "config.json",
                  "config_sentence_transformers.json", "modules.json", "sentence_bert_config.json",
                  "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
                  "2_Dense/model.safetensors", "model.safetensors"));
}

TEST(HubListing, OneFormOfWeights) {
  EXPECT_THAT(needed({"config.json", "pytorch_model.bin", "model.onnx"}),
              ElementsAre("config.json", "pytorch_model.bin"));
  EXPECT_THAT(needed({"config.json", "onnx/model.onnx", "onnx/model.onnx_data",
                      "onnx/model_quantized.onnx"}),
              ElementsAre("config.json", "onnx/model.onnx", "onnx/model.onnx_data"));
  EXPECT_THAT(needed({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                      "model.safetensors.index.json", "pytorch_model-00001-of-00001.bin",
                      "model-of-x.safetensors", "modelling.safetensors"}),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_THAT(needed({"pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"}),
              ElementsAre("pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"));
  // The graph counts as the weights where only a module has others.
  EXPECT_THAT(needed({"onnx/model.onnx", "2_Dense/model.safetensors"}),
              ElementsAre("onnx/model.onnx", "2_Dense/model.safetensors"));
}

TEST(HubListing, FoldersOfModules) {
  EXPECT_THAT(
      needed({"0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json",
              "query_0_SparseStaticEmbedding/config.json", "document_1_SpladePooling/config.json",
              "lora/config.json", "1_Pooling/deep/config.json", "1_/config.json",
              "_Pooling/config.json", "checkpoint_500/config.json"}),
      ElementsAre("0_StaticEmbedding/tokenizer.json", "query_0_SparseStaticEmbedding/config.json",
                  "document_1_SpladePooling/config.json", "0_StaticEmbedding/model.safetensors"));
}

TEST(HubListing, NamesThatLeadOutAreNotChosen) {
  EXPECT_THAT(needed({"../config.json", "a/../config.json", "config.json"}),
              ElementsAre("config.json"));
  for (const char* path : {"/config.json", "1_a\\b/config.json"}) {
    expect_error([&] { needed({path}); }, ErrorCode::kBadInput, {"listing"});
  }
}

TEST(HubListing, HashesAndSizes) {
  const std::string commit(40, 'a'), sha1(40, '1'), sha256(64, '2');
  const HubListing listing = parse_listing(
      R"({"sha":")" + commit + R"(","siblings":[{"rfilename":"a","size":3,"blobId":")" + sha1 +
          R"("},{"rfilename":"b","size":130,"blobId":")" + sha1 + R"(","lfs":{"sha256":")" +
          sha256 + R"(","size":7}},{"rfilename":"c"},{"rfilename":"d","size":1,"blobId":"../x"}]})",
      "hub");
  ASSERT_EQ(listing.files.size(), 4U);
  EXPECT_EQ(listing.commit, commit);
  EXPECT_EQ(listing.files[0].etag, sha1);
  EXPECT_EQ(listing.files[0].size, 3);
  EXPECT_EQ(listing.files[1].etag, sha256);
  EXPECT_EQ(listing.files[1].size, 7);
  EXPECT_EQ(listing.files[2].etag, "");
  EXPECT_EQ(listing.files[2].size, -1);
  EXPECT_EQ(listing.files[3].etag, "");
  EXPECT_EQ(clean_etag("W/\"" + sha1 + "\""), sha1);
  EXPECT_EQ(clean_etag("\"../../x\""), "");
  for (const char* text : {"[]", "{}", R"({"sha":"main","siblings":[]})", "<html>"}) {
    expect_error([&] { parse_listing(text, "hub"); }, ErrorCode::kBadInput, {"hub"});
  }
}

}  // namespace
}  // namespace inlay::files

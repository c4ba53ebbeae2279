// Whole folders: layouts of the field, links, shards, and folders that are damaged or hostile.
#include "files/model_files.h"

#include <sys/stat.h>

#include <string>
#include <vector>

#include "temp_folder.h"

namespace inlay::files {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"({"model_type":"bert","architectures":["BertModel"]})";

std::string modules(std::string_view transformer_path, std::string_view more = "") {
  return R"([{"idx":0,"name":"0","path":")" + std::string(transformer_path) +
         R"(","type":"sentence_transformers.models.Transformer"})" + std::string(more) + "]";
}

// A folder that opens and loads: one tensor, no modules.
void fill(const TempFolder& folder, std::string_view below = "") {
  const std::string prefix(below);
  folder.write(prefix + "config.json", kConfig);
  folder.write(prefix + "model.safetensors", tiny_safetensors({"x"}));
  folder.write(prefix + "vocab.txt", "[PAD]\n");
}

TEST(ModelFiles, BareFolder) {
  TempFolder folder;
  fill(folder);
  // Without modules.json sentence-transformers reads neither of these.
  folder.write("sentence_bert_config.json", R"({"max_seq_length":7})");
  folder.write("1_Pooling/config.json", R"({"pooling_mode":"cls"})");
  const ModelFiles model = ModelFiles::open(folder.path());
  EXPECT_EQ(model.folder(), folder.path());
  EXPECT_EQ(model.name(), folder.path().filename());
  EXPECT_EQ(ModelFiles::open(folder.path(), "given").name(), "given");
  EXPECT_EQ(model.revision(), "");
  EXPECT_EQ(model.model_type(), "bert");
  EXPECT_EQ(model.architectures(), std::vector<std::string>{"BertModel"});
  EXPECT_FALSE(model.has_modules());
  EXPECT_FALSE(model.pooling().has_value());
  EXPECT_FALSE(model.max_seq_length().has_value());
  EXPECT_EQ(model.load_weights()->entries().size(), 1U);
  EXPECT_EQ(model.weight_bytes(), static_cast<std::int64_t>(tiny_safetensors({"x"}).size()));
  EXPECT_EQ(model.tokenizer().vocab, "[PAD]\n");
  EXPECT_TRUE(model.tokenizer().json.empty());
}

TEST(ModelFiles, GoldenFolderWithDenseModules) {
  const ModelFiles model = ModelFiles::open(INLAY_SOURCE_DIR "/tests/golden/models/bert-dense");
  ASSERT_EQ(model.modules().size(), 5U);
  const DenseConfig dense = model.dense(model.modules()[2]);
  EXPECT_EQ(dense.activation, "Tanh");
  EXPECT_EQ(dense.weights->find("linear.weight")->tensor.shape,
            (Shape{dense.out_features, dense.in_features}));
  EXPECT_FALSE(model.tokenizer().json.empty());
  EXPECT_EQ(model.tokenizer().model_max_length, 48);
  EXPECT_EQ(model.similarity_fn_name(), "cosine");
}

TEST(ModelFiles, TransformerInItsOwnFolder) {
  TempFolder folder;
  fill(folder, "0_Transformer/");
  folder.write("modules.json",
               modules("0_Transformer",
                       R"(,{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
                                            {"path":"2_Normalize","type":"sentence_transformers.models.Normalize"})"));
  folder.write("1_Pooling/config.json",
               R"({"word_embedding_dimension":4,"pooling_mode_cls_token":true})");
  folder.write("0_Transformer/sentence_bert_config.json",
               R"({"max_seq_length":128,"do_lower_case":true})");
  folder.write("config_sentence_transformers.json",
               R"({"prompts":{"query":"q: "},"truncate_dim":2})");
  const ModelFiles model = ModelFiles::open(folder.path());
  EXPECT_EQ(model.modules().size(), 3U);  // the folder 2_Normalize need not exist
  EXPECT_EQ(model.modules()[2].type, "Normalize");
  EXPECT_EQ(model.pooling()->modes, std::vector<std::string>{"cls"});
  EXPECT_EQ(model.max_seq_length(), 128);
  EXPECT_TRUE(model.do_lower_case());
  EXPECT_EQ(model.truncate_dim(), 2);
  EXPECT_EQ(model.prompts().size(), 1U);
  EXPECT_EQ(model.load_weights()->entries().size(), 1U);
  EXPECT_EQ(model.tokenizer().vocab_path, (folder / "0_Transformer/vocab.txt").string());
}

TEST(ModelFiles, StaticTables) {
  const auto tokenizer = [](const char* truncation) {
    return R"({"truncation":)" + std::string(truncation) + R"(,"model":{}})";
  };
  {
    TempFolder folder;  // sentence-transformers: no config.json, tokenizer.json alone
    folder.write(
        "modules.json",
        R"([{"path":"0_StaticEmbedding","type":"sentence_transformers.StaticEmbedding"}])");
    folder.write("0_StaticEmbedding/tokenizer.json", tokenizer(R"({"max_length":9})"));
    folder.write("0_StaticEmbedding/tokenizer_config.json", R"({"model_max_length":5})");
    folder.write("0_StaticEmbedding/model.safetensors", tiny_safetensors({"embedding.weight"}));
    const ModelFiles model = ModelFiles::open(folder.path());
    EXPECT_TRUE(model.is_static_table());
    EXPECT_FALSE(model.drops_unknown_tokens());
    EXPECT_EQ(model.model_type(), "");
    EXPECT_EQ(model.tokenizer().model_max_length, 9);
    EXPECT_TRUE(model.tokenizer().config.empty());
    EXPECT_NE(model.load_weights()->find("embedding.weight"), nullptr);
    folder.write("0_StaticEmbedding/tokenizer.json", tokenizer("null"));
    EXPECT_FALSE(model.tokenizer().model_max_length.has_value());
    folder.write("0_StaticEmbedding/tokenizer.json", tokenizer(R"({"max_length":-1})"));
    expect_error([&] { (void)model.tokenizer(); }, ErrorCode::kBadInput, {"max_length", "-1"});
  }
  {
    TempFolder folder;  // model2vec's own
    folder.write("config.json", R"({"model_type":"model2vec","normalize":true})");
    const ModelFiles model = ModelFiles::open(folder.path());
    EXPECT_TRUE(model.is_static_table());
    EXPECT_TRUE(model.drops_unknown_tokens());
    EXPECT_FALSE(model.has_modules());
    ASSERT_EQ(model.modules().size(), 2U);
    EXPECT_EQ(model.modules()[1].type, "Normalize");
    EXPECT_EQ(model.max_seq_length(), 512);
    folder.write("config.json", R"({"model_type":"model2vec","max_length":null})");
    EXPECT_FALSE(ModelFiles::open(folder.path()).max_seq_length().has_value());
    EXPECT_EQ(ModelFiles::open(folder.path()).modules().size(), 1U);
    folder.write("config.json", R"({"model_type":"model2vec","max_length":7})");
    EXPECT_EQ(ModelFiles::open(folder.path()).max_seq_length(), 7);
  }
}

TEST(ModelFiles, EverySentenceConfigIsFound) {
  for (const char* kind :
       {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet", "mpnet"}) {
    TempFolder folder;
    fill(folder);
    folder.write("modules.json", modules(""));
    folder.write("sentence_" + std::string(kind) + "_config.json", R"({"max_seq_length":33})");
    folder.write("sentence_zzz_config.json", R"({"max_seq_length":44})");
    EXPECT_EQ(ModelFiles::open(folder.path()).max_seq_length(), 33) << kind;
  }
}

TEST(ModelFiles, MissingPiecesAreNamed) {
  const auto expect = [](const TempFolder& folder, ErrorCode code,
                         std::initializer_list<std::string_view> parts) {
    expect_error([&] { ModelFiles::open(folder.path()); }, code, parts);
  };
  TempFolder folder;
  expect(folder, ErrorCode::kNotFound, {"config.json", "got no such file"});
  folder.write("config.json", kConfig);
  const ModelFiles bare = ModelFiles::open(folder.path());
  expect_error([&] { bare.load_weights(); }, ErrorCode::kNotFound,
               {"model.safetensors, model.safetensors.index.json, pytorch_model.bin, "
                "pytorch_model.bin.index.json"});
  expect_error([&] { bare.weight_bytes(); }, ErrorCode::kNotFound, {"model.safetensors"});
  expect_error([&] { bare.tokenizer(); }, ErrorCode::kNotFound, {"tokenizer.json nor vocab.txt"});
  folder.write("tokenizer.json", "");
  expect_error([&] { bare.tokenizer(); }, ErrorCode::kBadInput, {"tokenizer.json", "empty file"});
  folder.write("modules.json", modules("", R"(,{"path":"1_Pooling","type":"x.Pooling"})"));
  expect(folder, ErrorCode::kNotFound, {"1_Pooling/config.json"});
  folder.write("1_Pooling/config.json", "{}");
  folder.write(
      "modules.json",
      modules("",
              R"(,{"path":"1_Pooling","type":"x.Pooling"},{"path":"1_Pooling","type":"Pooling"})"));
  expect(folder, ErrorCode::kUnsupported, {"one Pooling module"});
  folder.write("modules.json", modules("0_Transformer"));
  expect(folder, ErrorCode::kNotFound, {"0_Transformer/config.json"});
  folder.write("modules.json", R"([{"path":"","type":"x.CLIPModel"}])");
  expect(folder, ErrorCode::kUnsupported, {"CLIPModel"});
  expect_error([&] { ModelFiles::open(folder / "nowhere"); }, ErrorCode::kNotFound, {"nowhere"});
  expect_error([&] { ModelFiles::open(folder / "config.json"); }, ErrorCode::kBadInput,
               {"got a file"});
}

TEST(ModelFiles, DenseTensorsMustFitTheirConfig) {
  TempFolder folder;
  fill(folder);
  folder.write("modules.json", modules("", R"(,{"path":"2_Dense","type":"x.Dense"})"));
  const ModelFiles model = ModelFiles::open(folder.path());
  const Module& dense = model.modules()[1];
  expect_error([&] { model.dense(dense); }, ErrorCode::kNotFound, {"2_Dense/config.json"});
  folder.write("2_Dense/config.json", R"({"in_features":1,"out_features":1})");
  expect_error([&] { model.dense(dense); }, ErrorCode::kNotFound, {"2_Dense", "model.safetensors"});
  folder.write("2_Dense/model.safetensors", tiny_safetensors({"linear.weight", "linear.bias"}));
  expect_error([&] { model.dense(dense); }, ErrorCode::kBadInput,
               {"linear.weight of shape [1, 1]", "got [1]"});
}

TEST(Shards, EveryTensorInItsShardOnce) {
  TempFolder folder;
  fill(folder);
  fs::remove(folder / "model.safetensors");
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  const ModelFiles model = ModelFiles::open(folder.path());
  const auto load = [&] { model.load_weights(); };
  expect_error(load, ErrorCode::kNotFound, {"m-1.safetensors", "model.safetensors.index.json"});
  folder.write("m-1.safetensors", tiny_safetensors({"a"}));
  folder.write("m-2.safetensors", tiny_safetensors({"c"}));
  expect_error(load, ErrorCode::kBadInput, {"m-2.safetensors", "tensor \"b\""});
  folder.write("m-2.safetensors", tiny_safetensors({"a", "b"}));
  expect_error(load, ErrorCode::kBadInput, {"tensor \"a\"", "m-1.safetensors"});
  // All tensors are there, but not where the index says.
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"b":"m-1.safetensors","a":"m-2.safetensors"}})");
  folder.write("m-2.safetensors", tiny_safetensors({"b"}));
  expect_error(load, ErrorCode::kBadInput, {"tensor \"b\"", "m-1.safetensors"});
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  EXPECT_EQ(model.load_weights()->entries().size(), 2U);
  EXPECT_EQ(model.weight_bytes(), static_cast<std::int64_t>(2 * tiny_safetensors({"a"}).size()));
  // One whole file comes before shards.
  folder.write("model.safetensors", tiny_safetensors({"whole"}));
  EXPECT_NE(model.load_weights()->find("whole"), nullptr);
}

TEST(Shards, PickledToo) {
  TempFolder folder;
  folder.write("config.json", kConfig);
  folder.write("pytorch_model.bin.index.json",
               R"({"weight_map":{"weight":"part-1.bin","bias":"part-1.bin"}})");
  folder.write("part-1.bin", slurp(INLAY_TEST_DATA "/files/linear.bin"));
  const ModelFiles model = ModelFiles::open(folder.path());
  EXPECT_EQ(model.load_weights()->find("weight")->tensor.shape, (Shape{3, 2}));
  folder.write("pytorch_model.bin", slurp(INLAY_TEST_DATA "/files/mixed.bin"));
  EXPECT_NE(model.load_weights()->find("a.weight"), nullptr);
}

TEST(Links, OutOfTheFolderAreRefused) {
  TempFolder outside;
  const fs::path secret = outside.write("secret", tiny_safetensors({"x"}));
  outside.write("config.json", kConfig);
  for (const char* name : {"config.json", "modules.json", "config_sentence_transformers.json"}) {
    TempFolder folder;
    fill(folder);
    fs::remove(folder / name);
    folder.link(secret.string(), name);
    expect_error([&] { ModelFiles::open(folder.path()); }, ErrorCode::kBadInput,
                 {name, "got a link to"});
  }
  TempFolder folder;
  fill(folder);
  const ModelFiles model = ModelFiles::open(folder.path());
  fs::remove(folder / "model.safetensors");
  folder.link(secret.string(), "model.safetensors");
  expect_error([&] { model.load_weights(); }, ErrorCode::kBadInput,
               {"model.safetensors", "got a link to"});
  fs::remove(folder / "model.safetensors");
  folder.link(secret.string(), "m-1.safetensors");
  folder.write("model.safetensors.index.json", R"({"weight_map":{"x":"m-1.safetensors"}})");
  expect_error([&] { model.load_weights(); }, ErrorCode::kBadInput,
               {"m-1.safetensors", "got a link to"});
  folder.link((outside / "secret").string(), "tokenizer.json");
  expect_error([&] { model.tokenizer(); }, ErrorCode::kBadInput,
               {"tokenizer.json", "got a link to"});
  // A module's folder that is a link, and one that leads through a link.
  folder.link(outside.path().string(), "1_Pooling");
  for (const char* path : {"1_Pooling", "1_Pooling/deeper"}) {
    folder.write("modules.json",
                 modules("", R"(,{"path":")" + std::string(path) + R"(","type":"x.Pooling"})"));
    expect_error([&] { ModelFiles::open(folder.path()); }, ErrorCode::kBadInput,
                 {"modules.json", path});
  }
}

TEST(Links, InsideTheFolderAreFollowed) {
  TempFolder folder;
  fill(folder);
  fs::rename(folder / "model.safetensors", folder / "real.safetensors");
  folder.link("real.safetensors", "model.safetensors");
  EXPECT_EQ(ModelFiles::open(folder.path()).load_weights()->entries().size(), 1U);
  fs::remove(folder / "model.safetensors");
  folder.link("gone.safetensors", "model.safetensors");  // dangling
  expect_error([&] { ModelFiles::open(folder.path()).load_weights(); }, ErrorCode::kBadInput,
               {"model.safetensors"});
  fs::remove(folder / "model.safetensors");
  folder.link("model.safetensors", "model.safetensors");  // a circle
  expect_error([&] { ModelFiles::open(folder.path()).load_weights(); }, ErrorCode::kBadInput,
               {"model.safetensors"});
}

TEST(Links, SnapshotsLeadToBlobs) {
  const std::string commit(40, 'c');
  TempFolder cache;
  const std::string repository = "models--org--name/";
  const std::string snapshot = repository + "snapshots/" + commit + "/";
  cache.write(repository + "blobs/1", kConfig);
  cache.link("../../blobs/1", snapshot + "config.json");
  // A blob that is itself a link into the store that repositories share.
  cache.write("blobs/ab/2", tiny_safetensors({"x"}));
  cache.link("../../blobs/ab/2", repository + "blobs/2");
  cache.link("../../blobs/2", snapshot + "model.safetensors");
  cache.write(repository + "blobs/3", R"({"pooling_mode":"cls"})");
  cache.link("../../../blobs/3", snapshot + "1_Pooling/config.json");
  cache.write(repository + "blobs/4", modules("", R"(,{"path":"1_Pooling","type":"x.Pooling"})"));
  cache.link("../../blobs/4", snapshot + "modules.json");
  const ModelFiles model = ModelFiles::open(cache / snapshot);
  EXPECT_EQ(model.revision(), commit);
  EXPECT_EQ(model.pooling()->modes, std::vector<std::string>{"cls"});
  EXPECT_EQ(model.load_weights()->entries().size(), 1U);
  // Even there only the blob stores count.
  cache.write("models--org--other/snapshots/" + commit + "/vocab.txt", "x\n");
  cache.link("../../../models--org--other/snapshots/" + commit + "/vocab.txt",
             snapshot + "vocab.txt");
  expect_error([&] { model.tokenizer(); }, ErrorCode::kBadInput, {"vocab.txt", "got a link to"});
}

TEST(Hostile, OtherKindsOfFilesNeverBlock) {
  TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "config.json").c_str(), 0600), 0);
  expect_error([&] { ModelFiles::open(folder.path()); }, ErrorCode::kBadInput,
               {"config.json", "regular file"});
  fs::remove(folder / "config.json");
  fs::create_directory(folder / "config.json");
  expect_error([&] { ModelFiles::open(folder.path()); }, ErrorCode::kBadInput,
               {"config.json", "regular file"});
}

TEST(Hostile, EnormousConfigIsRefusedBeforeReading) {
  TempFolder folder;
  fill(folder);
  fs::resize_file(folder / "config.json", std::uintmax_t{1} << 40U);
  expect_error([&] { ModelFiles::open(folder.path()); }, ErrorCode::kBadInput,
               {"config.json", "1099511627776"});
}

// Each small file cut at every byte: a typed error, or (tokenizer files are whole for their own
// readers) nothing lost.
TEST(Hostile, TruncatedConfigsAreErrors) {
  const fs::path golden = INLAY_SOURCE_DIR "/tests/golden/models/bert-dense";
  for (const char* name : {"config.json", "modules.json", "1_Pooling/config.json",
                           "2_Dense/config.json", "sentence_bert_config.json",
                           "config_sentence_transformers.json", "tokenizer_config.json"}) {
    TempFolder folder;
    fs::copy(golden, folder.path(), fs::copy_options::recursive);
    const std::string whole = slurp(golden / name);
    const std::size_t end = whole.find_last_not_of(" \n") + 1;
    for (std::size_t size = 0; size < end; size += INLAY_SANITIZED ? 4 : 1) {
      folder.write(name, whole.substr(0, size));
      const auto error = error_of([&] {
        const ModelFiles model = ModelFiles::open(folder.path());
        model.dense(model.modules()[2]);
        model.tokenizer();
      });
      ASSERT_TRUE(error.has_value()) << name << " at " << size;
      ASSERT_EQ(error->code(), ErrorCode::kBadInput) << error->what();
      ASSERT_NE(std::string_view(error->what()).find(name), std::string_view::npos)
          << error->what();
    }
  }
  TempFolder folder;
  fs::copy(fs::path(INLAY_SOURCE_DIR "/tests/golden/models/camembert-mean"), folder.path(),
           fs::copy_options::recursive);
  const std::string whole = slurp(folder / "model.safetensors.index.json");
  const ModelFiles model = ModelFiles::open(folder.path());
  ASSERT_FALSE(error_of([&] { model.load_weights(); }).has_value());
  for (std::size_t size = 0; size + 1 < whole.find_last_not_of(" \n"); ++size) {
    folder.write("model.safetensors.index.json", whole.substr(0, size));
    const auto error = error_of([&] { model.load_weights(); });
    ASSERT_TRUE(error.has_value()) << size;
    ASSERT_EQ(error->code(), ErrorCode::kBadInput) << error->what();
  }
}

}  // namespace
}  // namespace inlay::files

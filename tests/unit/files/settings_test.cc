// The small JSON files in every spelling seen in the field, and what is refused in them.
#include "files/settings.h"

#include <string>
#include <vector>

#include "temp_folder.h"

namespace inlay::files {
namespace {

using Names = std::vector<std::string>;

TEST(Modules, LastSegmentOfTheClassCounts) {
  const auto modules = parse_modules(R"([
      {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
      {"idx": 1, "name": "1", "path": "1_Pooling",
       "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
      {"idx": 2, "name": "2", "path": "2_Dense", "type": "pylate.models.Dense.Dense", "kwargs": ["x"]},
      {"idx": 3, "name": "3", "path": "./3_Normalize/", "type": "Normalize"}])",
                                     "modules.json");
  ASSERT_EQ(modules.size(), 4U);
  EXPECT_EQ(modules[0].type, "Transformer");
  EXPECT_EQ(modules[0].path, "");
  EXPECT_EQ(modules[1].type, "Pooling");
  EXPECT_EQ(modules[2].type, "Dense");
  EXPECT_EQ(modules[3].type, "Normalize");
}

TEST(Modules, PathsStayInside) {
  const std::string long_name(4096, 'a');
  for (const std::string& path :
       {std::string("../x"), std::string("/etc"), std::string("a/../../b"), std::string("a/.."),
        std::string(".."), std::string("a//b"), std::string("a\\\\b"), std::string("a\\u0000b"),
        std::string("a\\nb"), long_name, std::string("/"),
        std::string("a/") + std::string(300, 'b')}) {
    expect_error(
        [&] { parse_modules(R"([{"type":"x.Pooling","path":")" + path + "\"}]", "modules.json"); },
        ErrorCode::kBadInput, {"modules.json: /0/path"});
  }
}

TEST(Modules, WrongShapesAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{}", "modules.json: /"},
      {"[]", "1 to 64 modules"},
      {"[1]", "modules.json: /0"},
      {R"([{"path":""}])", "\"type\""},
      {R"([{"type":"Pooling"}])", "\"path\""},
      {R"([{"type":1,"path":""}])", "/0/type"},
      {R"([{"type":"x.","path":""}])", "/0/type"},
      {R"([{"type":"x","path":0}])", "/0/path"},
      {"[" + std::string(64, '[') + std::string(64, ']') + "]", "modules.json: /0"},
  };
  for (const auto& broken : cases) {
    expect_error([&] { parse_modules(broken.first, "modules.json"); }, ErrorCode::kBadInput,
                 {broken.second});
  }
  std::string many = "[";
  for (int i = 0; i < 65; ++i) many += std::string(i == 0 ? "" : ",") + R"({"type":"x","path":""})";
  expect_error([&] { parse_modules(many + "]", "modules.json"); }, ErrorCode::kBadInput,
               {"got 65"});
}

TEST(Pooling, BothForms) {
  struct Case {
    const char* json;
    Names modes;
    std::int64_t width;
    bool include_prompt;
  };
  const std::vector<Case> cases{
      {R"({"word_embedding_dimension":384,"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true,
           "pooling_mode_max_tokens":false,"pooling_mode_mean_sqrt_len_tokens":false})",
       {"mean"},
       384,
       true},
      // Several: in sentence-transformers' order, not the file's.
      {R"({"word_embedding_dimension":8,"pooling_mode_lasttoken":true,"pooling_mode_weightedmean_tokens":true,
           "pooling_mode_mean_sqrt_len_tokens":true,"pooling_mode_mean_tokens":true,"pooling_mode_max_tokens":true,
           "pooling_mode_cls_token":true,"include_prompt":false})",
       {"cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"},
       8,
       false},
      // None: mean.
      {R"({"word_embedding_dimension":8,"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":false})",
       {"mean"},
       8,
       true},
      {R"({"word_embedding_dimension":8})", {"mean"}, 8, true},
      {R"({"embedding_dimension":32,"pooling_mode":"cls","include_prompt":true})",
       {"cls"},
       32,
       true},
      // The new form's list is taken as it stands, and wins over left-overs of the old one.
      {R"({"embedding_dimension":32,"pooling_mode":["mean","cls"],"pooling_mode_max_tokens":true})",
       {"mean", "cls"},
       32,
       true},
      {R"({"embedding_dimension":32,"word_embedding_dimension":16,"pooling_mode":"lasttoken"})",
       {"lasttoken"},
       32,
       true},
      {R"({"pooling_mode":null,"pooling_mode_cls_token":true})", {"cls"}, 0, true},
  };
  for (const Case& expected : cases) {
    const PoolingConfig pooling = parse_pooling(expected.json, "1_Pooling/config.json");
    EXPECT_EQ(pooling.modes, expected.modes) << expected.json;
    EXPECT_EQ(pooling.embedding_dimension, expected.width) << expected.json;
    EXPECT_EQ(pooling.include_prompt, expected.include_prompt) << expected.json;
  }
}

TEST(Pooling, Refused) {
  const auto refuse = [](const char* json, ErrorCode code, std::string_view part) {
    expect_error([&] { parse_pooling(json, "1_Pooling/config.json"); }, code, {part});
  };
  refuse("[]", ErrorCode::kBadInput, "expected a JSON object, got an array");
  refuse("", ErrorCode::kBadInput, "expected valid JSON");
  refuse(R"({"pooling_mode":"median"})", ErrorCode::kUnsupported, "\"median\"");
  refuse(R"({"pooling_mode":["cls","attention"]})", ErrorCode::kUnsupported, "/pooling_mode/1");
  refuse(R"({"pooling_mode":[]})", ErrorCode::kBadInput, "1 to 6");
  refuse(R"({"pooling_mode":1})", ErrorCode::kBadInput, "/pooling_mode");
  refuse(R"({"pooling_mode_cls_token":1})", ErrorCode::kBadInput, "/pooling_mode_cls_token");
  refuse(R"({"word_embedding_dimension":0})", ErrorCode::kBadInput, "/word_embedding_dimension");
  refuse(R"({"embedding_dimension":1e9})", ErrorCode::kBadInput, "/embedding_dimension");
  refuse(R"({"embedding_dimension":-3})", ErrorCode::kBadInput, "got -3");
}

TEST(Dense, ActivationsAndDefaults) {
  const DenseConfig plain = parse_dense(R"({"in_features":4,"out_features":2})", "f");
  EXPECT_EQ(plain.activation, "Tanh");
  EXPECT_TRUE(plain.bias);
  const DenseConfig full = parse_dense(
      R"({"in_features":4,"out_features":2,"bias":false,"activation_function":"torch.nn.modules.linear.Identity",
          "module_input_name":"sentence_embedding","module_output_name":null,"use_residual":false,"more":1})",
      "f");
  EXPECT_EQ(full.activation, "Identity");
  EXPECT_FALSE(full.bias);
  EXPECT_EQ(full.in_features, 4);
  EXPECT_EQ(full.out_features, 2);
  EXPECT_EQ(full.input, "sentence_embedding");
  EXPECT_FALSE(full.residual);
  const DenseConfig late = parse_dense(
      R"({"in_features":4,"out_features":2,"module_input_name":"token_embeddings","use_residual":true})",
      "f");
  EXPECT_EQ(late.input, "token_embeddings");
  EXPECT_TRUE(late.residual);
  const auto refuse = [](const char* json, ErrorCode code, std::string_view part) {
    expect_error([&] { parse_dense(json, "2_Dense/config.json"); }, code,
                 {"2_Dense/config.json", part});
  };
  refuse(R"({"out_features":2})", ErrorCode::kBadInput, "in_features");
  refuse(R"({"in_features":0,"out_features":2})", ErrorCode::kBadInput, "/in_features");
  refuse(R"({"in_features":4,"out_features":1000000000000})", ErrorCode::kBadInput,
         "/out_features");
  refuse(R"({"in_features":4,"out_features":2.5})", ErrorCode::kBadInput, "/out_features");
  refuse(R"({"in_features":4,"out_features":2,"activation_function":"my.code.Tanh"})",
         ErrorCode::kUnsupported, "my.code.Tanh");
  refuse(R"({"in_features":4,"out_features":2,"activation_function":null})",
         ErrorCode::kUnsupported, "null");
  refuse(R"({"in_features":4,"out_features":2,"module_input_name":"image_embeddings"})",
         ErrorCode::kUnsupported, "image_embeddings");
  refuse(R"({"in_features":4,"out_features":2,"module_input_name":"token_embeddings",
             "module_output_name":"sentence_embedding"})",
         ErrorCode::kUnsupported, "token_embeddings");
}

TEST(SentenceConfig, LengthAndCase) {
  EXPECT_EQ(
      parse_sentence_config(R"({"max_seq_length":256,"do_lower_case":false})", "f").max_seq_length,
      256);
  EXPECT_TRUE(
      parse_sentence_config(R"({"max_seq_length":null,"do_lower_case":true})", "f").do_lower_case);
  EXPECT_FALSE(parse_sentence_config(R"({"transformer_task":"feature-extraction"})", "f")
                   .max_seq_length.has_value());
  for (const char* json :
       {R"({"max_seq_length":0})", R"({"max_seq_length":-1})", R"({"max_seq_length":1e30})",
        R"({"max_seq_length":"512"})", R"({"do_lower_case":"no"})", "7"}) {
    expect_error([&] { parse_sentence_config(json, "sentence_bert_config.json"); },
                 ErrorCode::kBadInput, {"sentence_bert_config.json"});
  }
}

TEST(CollectionConfig, Prompts) {
  const CollectionConfig config = parse_collection_config(
      R"({"__version__":{},"prompts":{"query":"query: ","passage":""},"default_prompt_name":"passage",
          "similarity_fn_name":"dot","truncate_dim":64})",
      "f");
  ASSERT_EQ(config.prompts.size(), 2U);
  EXPECT_EQ(config.prompts[0].name, "query");
  EXPECT_EQ(config.prompts[0].text, "query: ");
  EXPECT_EQ(config.default_prompt_name, "passage");
  EXPECT_EQ(config.similarity_fn_name, "dot");
  EXPECT_EQ(config.truncate_dim, 64);
  const CollectionConfig none = parse_collection_config(
      R"({"prompts":null,"default_prompt_name":null,"similarity_fn_name":null,"truncate_dim":null})",
      "f");
  EXPECT_TRUE(none.prompts.empty());
  EXPECT_FALSE(none.default_prompt_name.has_value());
  EXPECT_FALSE(none.truncate_dim.has_value());
  for (const char* json :
       {R"({"prompts":[]})", R"({"prompts":{"a":1}})", R"({"default_prompt_name":"missing"})",
        R"({"default_prompt_name":3})", R"({"truncate_dim":0})", R"({"truncate_dim":true})",
        R"({"similarity_fn_name":[]})", "null"}) {
    expect_error([&] { parse_collection_config(json, "c.json"); }, ErrorCode::kBadInput,
                 {"c.json"});
  }
}

TEST(TokenizerConfig, LengthGuard) {
  EXPECT_EQ(parse_model_max_length(R"({"model_max_length":512})", "f"), 512);
  EXPECT_EQ(parse_model_max_length(R"({"model_max_length":512.0})", "f"), 512);
  for (const char* json :
       {"{}", R"({"model_max_length":null})", R"({"model_max_length":1e30})",
        // As Python writes int(1e30): no parser of 64-bit integers takes it as it is.
        R"({"model_max_length": 1000000000000000019884624838656})",
        R"({"model_max_length": 9223372036854775807})"}) {
    EXPECT_FALSE(parse_model_max_length(json, "f").has_value()) << json;
  }
  for (const char* json : {R"({"model_max_length":0})", R"({"model_max_length":-5})",
                           R"({"model_max_length":1.5})", R"({"model_max_length":"512"})", "[]"}) {
    expect_error([&] { parse_model_max_length(json, "tokenizer_config.json"); },
                 ErrorCode::kBadInput, {"tokenizer_config.json"});
  }
}

TEST(WeightIndex, GroupsByShard) {
  const auto shards = parse_weight_index(
      R"({"metadata":{"total_size":1},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})",
      "f");
  ASSERT_EQ(shards.size(), 2U);
  EXPECT_EQ(shards.at("m-1.safetensors"), (Names{"a", "c"}));
  EXPECT_EQ(shards.at("m-2.safetensors"), (Names{"b"}));
}

TEST(WeightIndex, ShardsArePlainNames) {
  const std::string long_name(4096, 'a');
  for (const std::string& name :
       {std::string("../m.safetensors"), std::string("/etc/passwd"),
        std::string("sub/m.safetensors"), std::string(".."), std::string("."), std::string(""),
        std::string("a\\\\b"), std::string("m\\u0000.safetensors"), long_name}) {
    expect_error(
        [&] {
          parse_weight_index(R"({"weight_map":{"a":")" + name + "\"}}",
                             "model.safetensors.index.json");
        },
        ErrorCode::kBadInput, {"model.safetensors.index.json: /weight_map/a", "plain name"});
  }
  for (const char* json : {"{}", R"({"weight_map":{}})", R"({"weight_map":[]})",
                           R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":"x","a":"y"}})"}) {
    expect_error([&] { parse_weight_index(json, "i.json"); }, ErrorCode::kBadInput, {"i.json"});
  }
}

TEST(Config, TypesOfWhatIsRead) {
  EXPECT_EQ(parse_config(R"({"model_type":"bert"})", "f").root().string_or("model_type", ""),
            "bert");
  for (const char* json : {"[]", "", R"({"model_type":1})", R"({"architectures":"BertModel"})",
                           R"({"architectures":[1]})"}) {
    expect_error([&] { parse_config(json, "config.json"); }, ErrorCode::kBadInput, {"config.json"});
  }
}

}  // namespace
}  // namespace inlay::files

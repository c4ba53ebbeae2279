// The option table: what it says is unique, its kinds refuse what they must, docs/options.md is
// current.
#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/options_text.h"

namespace inlay {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const char* name, const std::string& value) {
  OptionValues values;
  try {
    values.set(*find_option(name), value, "--" + std::string(name));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(Options, WithNamesTheOutputsBesideDenseVectors) {
  const auto joint = [](const char* list) {
    OptionValues values;
    values.set(*find_option("with"), list, "--with");
    values.set(*find_option("dimensions"), "7", "--dimensions");
    return values.joint_options();
  };
  EXPECT_TRUE(joint("sparse").sparse.has_value());
  EXPECT_FALSE(joint("sparse").late.has_value());
  EXPECT_TRUE(joint("late,sparse").sparse && joint("late,sparse").late);
  EXPECT_EQ(joint("late").dense.dimensions, 7);
  for (const char* bad : {"dense", "sparse late", ",sparse", "late,,sparse"})
    EXPECT_THROW(joint(bad), Error) << bad;
}

TEST(OptionTable, NamesAreUniqueAndDerive) {
  std::map<std::string, std::uint32_t> names;
  std::set<char> letters;
  for (const OptionSpec& option : option_table()) {
    // One name, two meanings: never to one command.
    std::uint32_t& commands = names[option.name];
    EXPECT_EQ(commands & option.commands, 0U) << option.name;
    if (commands == 0) {
      EXPECT_EQ(find_option(key_name(option)), &option);
    }
    commands |= option.commands;
    if (option.letter != 0) {
      EXPECT_TRUE(letters.insert(option.letter).second) << option.name;
    }
    EXPECT_NE(option.commands, 0U) << option.name;
    EXPECT_EQ(option.kind == OptionKind::kChoice || option.kind == OptionKind::kFlagOrChoice,
              *option.choices != '\0')
        << option.name;
    EXPECT_EQ(option.kind == OptionKind::kFlag, *option.metavar == '\0') << option.name;
    EXPECT_EQ(option.kind == OptionKind::kFlag, *option.fallback == '\0') << option.name;
  }
  const OptionSpec& option = *find_option("batch-tokens");
  EXPECT_EQ(flag_name(option), "--batch-tokens");
  EXPECT_EQ(environment_name(option), "INLAY_BATCH_TOKENS");
  EXPECT_EQ(key_name(option), "batch_tokens");
  EXPECT_EQ(find_option("bogus"), nullptr);
}

TEST(OptionTable, AFlagThatTakesAWordOrNone) {
  const OptionSpec& measure = *find_option("measure");
  OptionValues values;
  EXPECT_FALSE(values.flag("measure"));
  values.set(measure, "", "--measure");
  EXPECT_TRUE(values.flag("measure"));
  EXPECT_EQ(values.text("measure"), "");
  values.set(measure, "all", "--measure");
  EXPECT_TRUE(values.flag("measure"));
  EXPECT_EQ(values.text("measure"), "all");
  EXPECT_THAT(refusal("measure", "some"), HasSubstr("expected all"));
}

TEST(OptionTable, EngineKeysGoToAnotherProcess) {
  OptionValues values;
  values.set(*find_option("device"), "cuda:1", "--device");
  values.set(*find_option("threads"), "3", "--threads");
  values.set(*find_option("quiet"), "true", "--quiet");
  const auto keys = values.engine_keys();
  EXPECT_EQ(keys, (std::vector<std::pair<std::string, std::string>>{{"device", "cuda:1"},
                                                                    {"threads", "3"}}));
}

TEST(OptionTable, Sizes) {
  EXPECT_EQ(parse_size("300MB", "x"), 300'000'000);
  EXPECT_EQ(parse_size("2GiB", "x"), std::int64_t{2} << 30U);
  EXPECT_EQ(parse_size("1.5k", "x"), 1536);
  EXPECT_EQ(parse_size("12", "x"), 12);
  EXPECT_EQ(parse_size("7 mb", "x"), 7'000'000);
  EXPECT_EQ(parse_size("8388607TiB", "x"), std::int64_t{8388607} << 40U);
  for (const char* bad : {"", "0", "-1", "MB", "1XB", "1e3", "nan", "inf", "8388608TiB",
                          "99999999999999999999999", "1 2", "0.5", "0x10", "+5MB"}) {
    EXPECT_THROW(parse_size(bad, "x"), Error) << bad;
  }
}

TEST(OptionTable, Integers) {
  EXPECT_EQ(parse_integer("12", 1, 20, "x"), 12);
  for (const char* bad :
       {"", "0", "21", "-3", "1.5", "12a", " 1", "+1", "99999999999999999999", "0x1"}) {
    EXPECT_THROW(parse_integer(bad, 1, 20, "x"), Error) << bad;
  }
  EXPECT_EQ(refusal("threads", "0"), "[--threads] expected an integer from 1 to 4096, got \"0\".");
  EXPECT_THAT(refusal("max-length", "99999999999"),
              StartsWith("[--max-length] expected an integer"));
}

TEST(OptionTable, ChoicesWithSuffixes) {
  const char* devices = find_option("device")->choices;
  for (const char* good : {"auto", "ref", "cpu", "cuda", "cuda:0", "cuda:12", "cuda:0,1,12",
                           "onnxruntime", "onnxruntime:coreml", "mlx:gpu", "torch:mps"}) {
    EXPECT_TRUE(matches_choice(devices, good)) << good;
  }
  for (const char* bad : {"", "cp", "cpux", "cpu:", "cpu:0", "cuda:", "cuda:x", "cuda:-1",
                          "mlx:cuda", "torch:", "CPU", "cuda:0123456789", "cuda:1,", "cuda:,1",
                          "cuda:1,a", "auto|ref", "N", ":N"}) {
    EXPECT_FALSE(matches_choice(devices, bad)) << bad;
  }
  EXPECT_THAT(refusal("device", "tpu"),
              StartsWith("[--device] expected auto|ref|cpu|cuda[:N,...]"));
  EXPECT_THAT(refusal("model", ""), StartsWith("[--model] expected MODEL"));
  EXPECT_THAT(refusal("quiet", "maybe"), StartsWith("[--quiet] expected true or false"));
}

TEST(OptionValues, BecomeEngineOptions) {
  OptionValues values;
  const auto set = [&](const char* name, const char* value) {
    values.set(*find_option(name), value, name);
  };
  EXPECT_EQ(values.engine_options().device, EngineOptions().device);
  EXPECT_FALSE(values.embed_options().normalize.has_value());
  set("model", "m");
  set("device", "cpu");
  set("threads", "3");
  set("truncate", "left");
  set("memory-limit", "1KiB");
  set("no-normalize", "true");
  set("dimensions", "64");
  const EngineOptions engine = values.engine_options();
  EXPECT_EQ(engine.model, "m");
  EXPECT_EQ(engine.device, "cpu");
  EXPECT_EQ(engine.threads, 3);
  EXPECT_EQ(engine.truncate, Truncate::kLeft);
  EXPECT_EQ(engine.memory_limit, 1024);
  EXPECT_EQ(values.embed_options().normalize, false);
  EXPECT_EQ(values.embed_options().dimensions, 64);
  set("no-normalize", "false");
  EXPECT_FALSE(values.embed_options().normalize.has_value());
}

TEST(OptionValues, ChunkOptionsNeedChunk) {
  OptionValues values;
  const auto set = [&](const char* name, const char* value) {
    values.set(*find_option(name), value, name);
  };
  EXPECT_FALSE(values.embed_options().chunk.has_value());
  set("chunk-tokens", "7");
  EXPECT_THROW(values.embed_options(), Error);
  set("chunk", "true");
  set("chunk-overlap", "3");
  set("window-overlap", "0");
  ChunkOptions chunk = values.embed_options().chunk.value();
  EXPECT_EQ(chunk.by, ChunkBy::kTokens);
  EXPECT_EQ(chunk.tokens, 7);
  EXPECT_EQ(chunk.overlap, 3);
  EXPECT_EQ(chunk.window_overlap, 0);
  set("chunk-sentences", "2");
  EXPECT_THROW(values.embed_options(), Error);
  set("chunk-by", "sentences");
  EXPECT_EQ(values.embed_options().chunk->by, ChunkBy::kSentences);
  EXPECT_EQ(values.embed_options().chunk->sentences, 2);
  set("chunk-by", "spans");
  EXPECT_THROW(values.embed_options(), Error);
}

TEST(OptionValues, TheEnvironmentFillsWhatIsNotGiven) {
  ::setenv("INLAY_DEVICE", "ref", 1);
  ::setenv("INLAY_THREADS", "5", 1);
  ::setenv("INLAY_DTYPE", "", 1);
  OptionValues values;
  values.set(*find_option("device"), "cpu", "--device");
  values.fill_from_environment([](const OptionSpec&, std::uint32_t) { return true; }, 0);
  EXPECT_EQ(values.text("device"), "cpu");
  EXPECT_EQ(values.integer("threads", 0), 5);
  EXPECT_FALSE(values.has("dtype"));
  ::setenv("INLAY_THREADS", "many", 1);
  OptionValues others;
  try {
    others.fill_from_environment([](const OptionSpec&, std::uint32_t) { return true; }, 0);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), StartsWith("[INLAY_THREADS] expected an integer"));
  }
  for (const char* name : {"INLAY_DEVICE", "INLAY_THREADS", "INLAY_DTYPE"}) ::unsetenv(name);
}

TEST(OptionsText, HelpNamesTheOptionsOfTheCommand) {
  for (const CommandInfo& command : command_table()) {
    const std::string help = command_help(command);
    for (const OptionSpec& option : option_table()) {
      std::string entry = option.letter != 0 ? std::string("\n  -") + option.letter + ", " : "\n  ";
      entry += flag_name(option);
      const bool named = help.find(entry + " ") != std::string::npos ||
                         help.find(entry + "\n") != std::string::npos;
      std::uint32_t commands = 0;  // of every meaning of the name
      for (const OptionSpec& other : option_table())
        if (std::string_view(other.name) == option.name) commands |= other.commands;
      EXPECT_EQ(named, (commands & command.bit) != 0) << command.name << " " << option.name;
    }
    EXPECT_THAT(general_help(), HasSubstr(command.name));
  }
}

TEST(OptionsText, ThePageIsCurrent) {
  const std::string path = std::string(INLAY_SOURCE_DIR) + "/docs/options.md";
  if (std::getenv("INLAY_UPDATE_DOCS") != nullptr)
    std::ofstream(path, std::ios::binary) << options_markdown();
  std::ostringstream page;
  page << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_EQ(page.str(), options_markdown()) << "run this test with INLAY_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace inlay

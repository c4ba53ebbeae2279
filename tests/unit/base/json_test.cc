// JSON as this project reads it: strict, with places in messages, and numbers as Python writes
// them.
#include "base/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace inlay {
namespace {

// what() of the error that `call` throws; empty when it returns.
template <typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput) << error.what();
    EXPECT_FALSE(std::string(error.what()).empty());
    return error.what();
  }
  return "";
}
std::string parse_error(std::string_view text) {
  return message_of([&] { JsonDocument::parse(text, "f.json"); });
}
bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Json, ReadsEveryType) {
  const JsonDocument document = JsonDocument::parse(
      R"({"s":"aé\n😀","i":-7,"u":9223372036854775807,"d":0.5,"t":true,"f":false,"n":null,"a":[1,[2]],"o":{"k":1}})",
      "f.json");
  const JsonValue root = document.root();
  EXPECT_TRUE(root.is_object());
  EXPECT_EQ(root.at("s").string(), "a\xc3\xa9\n\xf0\x9f\x98\x80");
  EXPECT_EQ(root.at("i").integer(), -7);
  EXPECT_EQ(root.at("u").integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(root.at("d").number(), 0.5);
  EXPECT_EQ(root.at("i").number(), -7.0);
  EXPECT_TRUE(root.at("t").boolean());
  EXPECT_FALSE(root.bool_or("f", true));
  EXPECT_FALSE(root.find("n").has_value());
  EXPECT_TRUE(root.contains("n"));
  EXPECT_FALSE(root.contains("m"));
  EXPECT_EQ(root.at("a").size(), 2U);
  EXPECT_EQ(root.at("a").items()[1].items()[0].integer(), 2);
  EXPECT_EQ(root.at("a").items()[1].where(), "f.json: /a/1");
  EXPECT_EQ(root.size(), 9U);
  const auto members = root.members();
  EXPECT_EQ(members.front().first, "s");
  EXPECT_EQ(members.back().first, "o");
  EXPECT_EQ(members.back().second.at("k").where(), "f.json: /o/k");
  EXPECT_EQ(root.string_or("missing", "x"), "x");
  EXPECT_EQ(root.integer_or("n", 5), 5);
  EXPECT_EQ(root.number_or("missing", 1.5), 1.5);
  EXPECT_EQ(root.where(), "f.json: /");
}

TEST(Json, ScalarsAreDocumentsToo) {
  EXPECT_EQ(JsonDocument::parse("\"x\"", "f").root().string(), "x");
  EXPECT_EQ(JsonDocument::parse(" 12 ", "f").root().integer(), 12);
  EXPECT_TRUE(JsonDocument::parse("null", "f").root().is_null());
}

TEST(Json, AValueOutlivesTheDocumentThatMovedAway) {
  JsonDocument first =
      JsonDocument::parse(R"({"a":"text that is longer than any small string"})", "f.json");
  const JsonValue value = first.root().at("a");
  const JsonDocument second = std::move(first);
  EXPECT_EQ(value.string(), "text that is longer than any small string");
}

TEST(Json, WrongTypesNamePlaceAndBoth) {
  const JsonDocument document =
      JsonDocument::parse(R"({"a":{"b":"x","r":1.5,"big":1e300,"l":[]}})", "f.json");
  const JsonValue a = document.root().at("a");
  EXPECT_EQ(message_of([&] { a.at("b").integer(); }),
            "[f.json: /a/b] expected an integer, got a string.");
  EXPECT_EQ(message_of([&] { a.at("b").boolean(); }),
            "[f.json: /a/b] expected true or false, got a string.");
  EXPECT_EQ(message_of([&] { a.string(); }), "[f.json: /a] expected a string, got an object.");
  EXPECT_EQ(message_of([&] { a.items(); }), "[f.json: /a] expected an array, got an object.");
  EXPECT_EQ(message_of([&] { a.at("l").members(); }),
            "[f.json: /a/l] expected an object, got an array.");
  EXPECT_EQ(message_of([&] { a.at("l").find("x"); }),
            "[f.json: /a/l] expected an object, got an array.");
  EXPECT_EQ(message_of([&] { a.at("b").number(); }),
            "[f.json: /a/b] expected a number, got a string.");
  EXPECT_EQ(message_of([&] { a.at("b").size(); }),
            "[f.json: /a/b] expected an array or object, got a string.");
  EXPECT_TRUE(contains(message_of([&] { a.at("r").integer(); }), "/a/r"));
  EXPECT_TRUE(contains(message_of([&] { a.at("big").integer(); }), "/a/big"));
  EXPECT_TRUE(contains(message_of([&] { a.at("missing"); }), "\"missing\""));
}

TEST(Json, IntegersAsPythonWritesThem) {
  const auto integer = [](std::string_view text) {
    return JsonDocument::parse(text, "f").root().integer();
  };
  EXPECT_EQ(integer("1.0"), 1);
  EXPECT_EQ(integer("1e3"), 1000);
  EXPECT_EQ(integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  // Beyond 64 bits: a real, wherever it stands.
  const JsonDocument document = JsonDocument::parse(
      R"({"a":1000000000000000019884624838656,"text":"1000000000000000019884624838656 \" 1","b":[-123456789012345678901234567890],
          "c":12345678901234567890123e-3,"d":1.12345678901234567890123,"e":99999999999999999999999})",
      "f.json");
  const JsonValue root = document.root();
  EXPECT_EQ(root.at("a").number(), 1e30);
  EXPECT_EQ(root.at("text").string(), "1000000000000000019884624838656 \" 1");
  EXPECT_EQ(root.at("b").items()[0].number(), -123456789012345678901234567890.0);
  EXPECT_EQ(root.at("c").number(), 12345678901234567890.123);
  EXPECT_EQ(root.at("d").number(), 1.12345678901234567890123);
  EXPECT_TRUE(contains(message_of([&] { root.at("a").integer(); }), "an integer in 64 bits"));
  EXPECT_NE(parse_error("[1e400]"), "");
  EXPECT_NE(parse_error("[1000000000000000019884624838656, 01]"), "");
  EXPECT_NE(parse_error("[1000000000000000019884624838656.]"), "");
}

TEST(Json, RefusesWhatIsNotStrictJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":1,}",
                           "{'a':1}",
                           "[1] [2]",
                           "[01]",
                           "[+1]",
                           "[.5]",
                           "[1.]",
                           "[NaN]",
                           "[Infinity]",
                           "// c\n1",
                           "\"a\nb\"",
                           "\"\\x\"",
                           "\xef\xbb\xbf{}",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "tru",
                           "{\"a\" 1}",
                           "[\"a]"}) {
    const std::string message = parse_error(text);
    EXPECT_TRUE(contains(message, "[f.json] expected valid JSON")) << text << ": " << message;
  }
}

TEST(Json, RefusesRepeatedKeysAndLoneSurrogates) {
  EXPECT_TRUE(contains(parse_error(R"({"a":1,"b":2,"a":3})"), "a second \"a\""));
  EXPECT_TRUE(contains(parse_error(R"([{"x":{"\u0061":1,"a":2}}])"), "a second \"a\""));
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(contains(parse_error(many + "\"k500\":0}"), "a second \"k500\""));
  EXPECT_EQ(parse_error(many + "\"k1000\":0}"), "");
  for (const char* text :
       {R"(["\ud800"])", R"(["\udc00x"])", R"({"\ud800":1})", R"(["\ud83d\u0041"])"}) {
    EXPECT_TRUE(contains(parse_error(text), "f.json")) << text;
  }
  EXPECT_EQ(parse_error(R"(["\ud83d\ude00"])"), "");
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(parse_error(nested(200)), "");
  EXPECT_TRUE(contains(parse_error(nested(300)), "expected valid JSON"));
  EXPECT_TRUE(contains(parse_error(nested(1'000'000)), "expected valid JSON"));
  EXPECT_TRUE(contains(parse_error(std::string(1'000'000, '[')), "expected valid JSON"));
  // The second look at long integers keeps the bound.
  EXPECT_TRUE(contains(parse_error("[123456789012345678901234567890," + nested(300) + "]"),
                       "expected valid JSON"));
}

TEST(Json, TruncatedAnywhereIsAnError) {
  const std::string whole = R"({"a":[1,2.5,"x\u00e9é"],"b":{"c":null,"d":true}})";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(parse_error(whole.substr(0, size)), "") << size;
  }
  EXPECT_EQ(parse_error(whole), "");
}

TEST(Json, RemedyEndsTheMessage) {
  const std::string message =
      message_of([] { JsonDocument::parse("{", "f.json", "Write it again."); });
  EXPECT_TRUE(message.ends_with(" Write it again.")) << message;
}

TEST(JsonWrite, StringsReadBack) {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  all += "\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80";
  std::string out;
  json_append_string(out, all);
  EXPECT_EQ(JsonDocument::parse(out, "f").root().string(), all);
  for (const char c : out) EXPECT_GE(static_cast<unsigned char>(c), 0x20U);
}

TEST(JsonWrite, FloatsReadBackInTheirShortestForm) {
  const auto text = [](float value) {
    std::string out;
    json_append_float(out, value);
    return out;
  };
  EXPECT_EQ(text(0.1F), "0.1");
  EXPECT_EQ(text(-1.0F), "-1");
  EXPECT_EQ(text(1e-45F), "1e-45");
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    const double back = JsonDocument::parse(text(value), "f").root().number();
    ASSERT_EQ(static_cast<float>(back), value) << text(value);
  }
  std::string out;
  json_append_double(out, 0.1);
  EXPECT_EQ(out, "0.1");
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(json_append_double(out, bad), Error);
    EXPECT_THROW(json_append_float(out, static_cast<float>(bad)), Error);
  }
}

}  // namespace
}  // namespace inlay

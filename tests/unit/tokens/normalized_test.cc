// NormalizedString by itself: alignment through each operation, slices, the quirks that the header
// names.
#include "tokens/normalized.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace inlay::tokens {
namespace {

// The original bytes of each character: "a<0,1> ..."
std::string show(const NormalizedString& text) {
  std::string out;
  for (std::uint32_t at = 0; at < text.text().size();) {
    const std::uint32_t end = at + utf8_decode(text.text(), at).bytes;
    const Range from = text.to_original({at, end}).value();
    out += std::string(text.text().substr(at, end - at)) + "<" + std::to_string(from.begin) + "," +
           std::to_string(from.end) + ">";
    at = end;
  }
  return out;
}

TEST(Normalized, StartsAsTheOriginal) {
  const NormalizedString text("aé");
  EXPECT_EQ(show(text), "a<0,1>é<1,3>");
  EXPECT_EQ(text.text().data(), text.original().data()) << "nothing was copied";
}

TEST(Normalized, TransformKeepsTheReferencesAlignment) {
  NormalizedString text("abcd");
  NormalizedString::Transform change(text, 1);  // a goes
  change.emit(U'x', 0);                         // for b
  change.emit(U'é', 1);                         // new
  change.emit(U'y', -1);                        // for c, and d goes
  change.finish();
  EXPECT_EQ(show(text), "x<1,2>é<1,2>y<2,3>");
  EXPECT_EQ(text.to_original({0, 4}), (Range{1, 3}));
}

TEST(Normalized, InsertedFirstBelongsToNothing) {
  NormalizedString text("ab");
  NormalizedString::Transform change(text);
  change.emit(U'x', 1);
  change.emit(U'a', 0);
  change.emit(U'b', 0);
  change.finish();
  EXPECT_EQ(show(text), "x<0,0>a<0,1>b<1,2>");
}

TEST(Normalized, FilterAndMap) {
  NormalizedString text("-a--é-");
  text.filter([](char32_t c) { return c != U'-'; });
  EXPECT_EQ(show(text), "a<1,2>é<4,6>");
  text.map([](char32_t c) { return c == U'a' ? U'日' : c; });
  EXPECT_EQ(show(text), "日<1,2>é<4,6>");
  text.filter([](char32_t) { return false; });
  EXPECT_EQ(text.text(), "");
}

TEST(Normalized, PrependAndAppendShareTheNeighbour) {
  NormalizedString text("éb");
  text.prepend("xy");
  text.append("z");
  EXPECT_EQ(show(text), "x<0,2>y<0,2>é<0,2>b<2,3>z<2,3>");
  NormalizedString empty("");
  empty.prepend("x");
  EXPECT_EQ(empty.text(), "");
}

TEST(Normalized, Strip) {
  NormalizedString text(" \u3000a é\n");
  text.strip(true, false);
  EXPECT_EQ(show(text), "a<4,5> <5,6>é<6,8>\n<8,9>");
  text.strip(false, true);
  EXPECT_EQ(show(text), "a<4,5> <5,6>é<6,8>");
  NormalizedString blank(" \t ");
  blank.strip(true, true);
  EXPECT_EQ(blank.text(), "");
}

TEST(Normalized, LowercaseMayGrow) {
  NormalizedString text("A\u0130B");
  text.lowercase();
  EXPECT_EQ(show(text), "a<0,1>i<1,3>\u0307<1,3>b<3,4>");
}

TEST(Normalized, ReplaceAlignsToTheEndOfTheMatch) {
  NormalizedString text("a--b");
  text.replace("--", "+é");
  EXPECT_EQ(show(text), "a<0,1>+<2,3>é<2,3>b<3,4>");
  text.replace("", "|");
  EXPECT_EQ(text.text(), "|a|+|é|b|");
}

TEST(Normalized, TextBeforeTheStartStaysOutOfTransformations) {
  NormalizedString text("A\u0301\u0301\u0301");
  const std::vector<Range> start{{0, 0}};
  text.replace(start, "x");
  EXPECT_TRUE(text.has_prefix());
  text.filter([](char32_t c) { return c != 0x301; });
  EXPECT_EQ(text.text(), "xxA");  // as the wheel answers
}

TEST(Normalized, SliceKeepsItsPlace) {
  NormalizedString text(" éa日");
  text.strip(true, false);
  NormalizedString piece;
  text.slice({2, 6}, &piece);
  EXPECT_EQ(piece.text(), "a日");
  EXPECT_EQ(piece.original(), "a日");
  EXPECT_EQ(piece.shift(), 3U);
  EXPECT_EQ(show(piece), "a<0,1>日<1,4>");
  NormalizedString inner;
  piece.slice({1, 4}, &inner);
  EXPECT_EQ(inner.original_range(), (Range{4, 7}));
}

TEST(Normalized, RangesOutsideHaveNoOriginal) {
  const NormalizedString text("ab");
  EXPECT_EQ(text.to_original({1, 1}), (Range{1, 1}));
  EXPECT_EQ(text.to_original({2, 1}), std::nullopt);
  EXPECT_EQ(text.to_original({0, 3}), std::nullopt);
}

TEST(Normalized, MovesAndReuses) {
  NormalizedString text("A");
  text.lowercase();
  NormalizedString moved(std::move(text));
  EXPECT_EQ(moved.text(), "a");  // a short string lives inside the object
  moved.reset("Bc", false);
  EXPECT_FALSE(moved.tracking());
  moved.lowercase();
  EXPECT_EQ(moved.text(), "bc");
}

TEST(Normalized, RefusesWhatOffsetsCannotName) {
  NormalizedString text;
  EXPECT_THROW(text.reset("abc", false, 0xFFFFFFFEU), Error);
}

}  // namespace
}  // namespace inlay::tokens

// The normalization forms over Transform. The order in which characters come out, and with which
// change, is what the reference's alignment hangs on, so the two machines below keep its order:
// decomposition hands out a character as soon as a starter follows, composition hands out the
// starter first and then the marks that it did not take in.
#include "tokens/normalization_forms.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "tokens/unicode.h"

namespace inlay::tokens {
namespace {

using Pending = NormalizedString::Pending;
using Transform = NormalizedString::Transform;

// Calls emit(character, change): 0 for the first, 1 for those that follow it.
template <typename Emit>
void decompose(char32_t c, bool compatible, Emit&& emit) {
  using hangul::kSyllable, hangul::kSyllables, hangul::kLead, hangul::kVowel, hangul::kTrail;
  using hangul::kVowels, hangul::kTrails;
  if (c - kSyllable < kSyllables) {
    const char32_t index = c - kSyllable;
    emit(kLead + index / (kVowels * kTrails), 0);
    emit(kVowel + index % (kVowels * kTrails) / kTrails, 1);
    if (index % kTrails != 0) emit(kTrail + index % kTrails, 1);
    return;
  }
  const std::u32string_view parts =
      compatible ? compatibility_decomposition(c) : canonical_decomposition(c);
  if (parts.empty()) emit(c, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) emit(parts[i], i == 0 ? 0 : 1);
}

// Stable, by combining class.
void sort_marks(Pending* begin, Pending* end, std::vector<Pending>& sorted) {
  const auto by_class = [](const Pending& a, const Pending& b) { return a.order < b.order; };
  if (std::is_sorted(begin, end, by_class)) return;
  if (end - begin <= 16) {
    for (Pending* next = begin + 1; next != end; ++next) {
      const Pending moved = *next;
      Pending* hole = next;
      for (; hole != begin && moved.order < hole[-1].order; --hole) *hole = hole[-1];
      *hole = moved;
    }
    return;
  }
  std::array<std::size_t, 256> place{};
  for (const Pending* mark = begin; mark != end; ++mark) ++place[mark->order];
  std::size_t sum = 0;
  for (auto& count : place) {
    const std::size_t here = count;
    count = sum;
    sum += here;
  }
  sorted.resize(static_cast<std::size_t>(end - begin));
  for (const Pending* mark = begin; mark != end; ++mark) sorted[place[mark->order]++] = *mark;
  std::copy(sorted.begin(), sorted.end(), begin);
}

// End of the stretch of characters that have `flag`. All of ASCII has every flag asked for here.
std::size_t safe_end(std::string_view text, std::size_t at, std::uint32_t flag) noexcept {
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      at = utf8_ascii_end(text, at + 1);
      continue;
    }
    const CodePoint c = utf8_decode(text, at);
    if (!has(c.value, flag)) break;
    at += c.bytes;
  }
  return at;
}

void to_decomposed(NormalizedString& text, bool compatible, std::size_t first_unsafe) {
  const std::uint32_t flag = compatible ? kNfkdSafe : kNfdSafe;
  const std::string_view old = text.text();
  auto& [pending, sorted, blocked, matches] = text.scratch();
  Transform out(text);
  out.keep(0, first_unsafe);
  pending.clear();
  const auto flush = [&, &pending = pending, &sorted = sorted] {
    if (pending.empty()) return;
    sort_marks(pending.data(), pending.data() + pending.size(), sorted);
    for (const Pending& mark : pending) out.emit(mark.c, mark.change);
    pending.clear();
  };
  for (std::size_t at = first_unsafe; at < old.size();) {
    const CodePoint c = utf8_decode(old, at);
    at += c.bytes;
    decompose(c.value, compatible, [&, &pending = pending](char32_t part, std::int32_t change) {
      const std::uint32_t order = char_record(part).combining_class;
      if (order == 0) {
        flush();
        out.emit(part, change);
      } else {
        pending.push_back({part, change, order});
      }
    });
    const std::size_t end = safe_end(old, at, flag);
    if (end == at) continue;
    flush();
    out.keep(at, end);
    at = end;
  }
  flush();
  out.finish();
}

// One stretch in canonical order, recomposed.
void recompose(const std::vector<Pending>& stretch, std::vector<Pending>& blocked, Transform& out) {
  bool has_starter = false;
  Pending starter{};
  std::uint32_t last_order = 0;  // of the last blocked mark; 0: none
  const auto release = [&] {
    for (const Pending& mark : blocked) out.emit(mark.c, mark.change);
    blocked.clear();
    last_order = 0;
  };
  blocked.clear();
  for (const Pending& next : stretch) {
    if (!has_starter) {
      if (next.order != 0) {
        out.emit(next.c, next.change);
      } else {
        starter = next;
        has_starter = true;
      }
      continue;
    }
    if (last_order == 0 || last_order < next.order) {
      const char32_t composite = compose(starter.c, next.c);
      if (composite != 0) {
        starter.c = composite;
        starter.change += next.change - 1;
        continue;
      }
    }
    if (next.order == 0) {
      out.emit(starter.c, starter.change);
      starter = next;
      release();
    } else {
      blocked.push_back(next);
      last_order = next.order;
    }
  }
  if (has_starter) out.emit(starter.c, starter.change);
  release();
}

void to_composed(NormalizedString& text, bool compatible, std::size_t first_unsafe) {
  const std::uint32_t flag = compatible ? kNfkcSafe : kNfcSafe;
  const std::string_view old = text.text();
  auto& [stretch, sorted, blocked, matches] = text.scratch();
  Transform out(text);
  // A stretch is a safe character and the unsafe ones behind it; nothing joins across its ends.
  std::size_t done = 0;
  for (std::size_t at = first_unsafe; at < old.size(); at = safe_end(old, at, flag)) {
    const std::size_t begin = at > done ? utf8_before(old, at) : at;
    out.keep(done, begin);
    stretch.clear();
    std::size_t run = 0;  // where the marks that are still to be sorted begin
    const auto sort_run = [&, &stretch = stretch, &sorted = sorted] {
      sort_marks(stretch.data() + run, stretch.data() + stretch.size(), sorted);
    };
    bool first = true;
    for (at = begin; at < old.size(); first = false) {
      const CodePoint c = utf8_decode(old, at);
      if (!first && has(c.value, flag)) break;
      at += c.bytes;
      decompose(c.value, compatible, [&, &stretch = stretch](char32_t part, std::int32_t change) {
        const std::uint32_t order = char_record(part).combining_class;
        if (order == 0) sort_run();
        stretch.push_back({part, change, order});
        if (order == 0) run = stretch.size();
      });
    }
    sort_run();
    recompose(stretch, blocked, out);
    done = at;
  }
  out.keep(done, old.size());
  out.finish();
}

}  // namespace

void normalize_form(NormalizationForm form, NormalizedString& text) {
  const bool compatible = form == NormalizationForm::kNfkd || form == NormalizationForm::kNfkc;
  const bool composed = form == NormalizationForm::kNfc || form == NormalizationForm::kNfkc;
  const std::uint32_t flag =
      composed ? (compatible ? kNfkcSafe : kNfcSafe) : (compatible ? kNfkdSafe : kNfdSafe);
  const std::size_t first_unsafe = safe_end(text.text(), 0, flag);
  if (first_unsafe == text.text().size() && !text.has_prefix()) return;
  if (composed) {
    to_composed(text, compatible, first_unsafe);
  } else {
    to_decomposed(text, compatible, first_unsafe);
  }
}

Decomposed decompose_canonical(char32_t c) noexcept {
  Decomposed result{{}, 0};
  decompose(c, false, [&](char32_t part, std::int32_t) {
    if (result.size < 4) result.c[result.size++] = part;
  });
  return result;
}

}  // namespace inlay::tokens

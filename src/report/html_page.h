// Pages that need nothing but themselves: no script, no font, no request. Light or dark as the
// reader's system is, and readable at the width of a phone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inlay::report {

std::string html_escape(std::string_view text);
// Sentences, in which a line never ends inside the name of an option.
std::string html_words(std::string_view text);

// A whole page; `body` is HTML.
std::string html_page(std::string_view title, std::string_view body);

// Rows of HTML cells, the first row heads. Wider than the page, it scrolls by itself. Cells of
// columns from `numbers_from` on stand to the right. A table of words alone (no such column) stands
// line below line on a phone, without its heads.
std::string html_table(const std::vector<std::vector<std::string>>& rows, std::size_t numbers_from);

struct Bar {
  std::string label;
  std::vector<double> values;  // one a series; 0: none, and no bar
  std::string note;            // behind the values, as text
};

// Horizontal bars as inline SVG, a group a label, a colour a series, each with its value. All share
// one scale, which begins at 0.
std::string svg_bars(std::string_view title, std::string_view unit,
                     const std::vector<std::string>& series, const std::vector<Bar>& bars);

// Numbers as people read them: three digits that count.
std::string short_number(double value);

}  // namespace inlay::report

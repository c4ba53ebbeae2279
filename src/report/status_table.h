// `inlay status` for people, made from the same JSON that --json prints, so that the two cannot
// differ.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::report {

// `json` as status_json() gives it. Throws kBadInput when a member has another type than the
// contract says.
std::string status_table(std::string_view json);

// Columns of text, each as wide as its widest cell (counted in code points), two spaces apart.
class TextTable {
 public:
  void add_row(std::initializer_list<std::string> cells);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace inlay::report

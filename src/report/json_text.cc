// Works on the text, so that numbers and strings stay exactly as they were written.
#include "report/json_text.h"

#include <cstddef>

namespace inlay::report {
namespace {

constexpr std::size_t kColumns = 100;

// Past a string or a whole array or object that begins at `at`.
std::size_t skip_value(std::string_view json, std::size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < json.size(); ++at) {
    const char c = json[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) return at + 1;
    }
  }
  return at;
}

// One line: a space after each colon and comma, none elsewhere.
std::string one_line(std::string_view json) {
  std::string out;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) out += json[++i];
      if (c == '"') in_string = false;
    } else if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
      in_string = c == '"';
      out += c;
      if (c == ',' || c == ':') out += ' ';
    }
  }
  return out;
}

}  // namespace

std::string pretty_json(std::string_view json) {
  std::string out;
  std::size_t depth = 0, column = 0;
  const auto new_line = [&] {
    out.append("\n").append(depth * 2, ' ');
    column = depth * 2;
  };
  for (std::size_t i = 0; i < json.size();) {
    const char c = json[i];
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      ++i;
    } else if (c == '{' || c == '[') {
      const std::size_t end = skip_value(json, i);
      const std::string line = one_line(json.substr(i, end - i));
      if (line.size() <= 2 || (depth > 0 && column + line.size() < kColumns)) {
        out += line;
        column += line.size();
        i = end;
      } else {
        out += c;
        ++depth;
        new_line();
        ++i;
      }
    } else if (c == '}' || c == ']') {
      --depth;
      new_line();
      out += c;
      ++i;
    } else if (c == ',') {
      out += c;
      new_line();
      ++i;
    } else if (c == ':') {
      out += ": ";
      column += 2;
      ++i;
    } else {  // a string, a number or a word
      std::size_t end = i + 1;
      if (c == '"') {
        while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
        ++end;
      } else {
        end = json.find_first_of(",:]} \n\r\t", i);
      }
      const std::string_view word = json.substr(i, end - i);
      out += word;
      column += word.size();
      i += word.size();
    }
  }
  return out + '\n';
}

}  // namespace inlay::report

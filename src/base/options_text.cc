// Help and the options page, written from the option table.
#include "base/options_text.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace inlay {
namespace {

constexpr std::size_t kWidth = 100;  // columns of help
constexpr std::size_t kIndent = 26;  // where the explanation of an option begins

// Appends words of `text` from column `column`, broken at kWidth, later lines at kIndent.
void append_wrapped(std::string& out, std::size_t column, std::string_view text) {
  bool first = true;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (!first && column + 1 + word.size() > kWidth) {
      out.append("\n").append(kIndent, ' ');
      column = kIndent;
      first = true;
    }
    if (!first) out += ' ';
    out += word;
    column += word.size() + (first ? 0 : 1);
    first = false;
  }
  out += '\n';
}

void append_entry(std::string& out, const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  if (line.size() + 1 > kIndent) {
    out += line + '\n';
    line.clear();
  }
  line.resize(kIndent, ' ');
  out += line;
  append_wrapped(out, kIndent, right);
}

std::string shown_value(const OptionSpec& option) {
  return option.kind == OptionKind::kFlag ? "" : std::string(" ") + option.metavar;
}

std::string explanation(const OptionSpec& option) {
  std::string text = option.help;
  if (option.kind == OptionKind::kChoice) text += std::string("; ") + option.choices;
  if (*option.fallback != '\0') text += std::string(" (default: ") + option.fallback + ")";
  return text;
}

std::string escaped_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string commands_of(const OptionSpec& option) {
  std::string names;
  for (const CommandInfo& command : command_table()) {
    if ((option.commands & command.bit) == 0) continue;
    if (!names.empty()) names += ", ";
    names += command.name;
  }
  return names;
}

}  // namespace

std::string general_help() {
  std::string out =
      "inlay: text to vectors, on the machine it runs on\n\nusage: inlay COMMAND "
      "[OPTIONS]\n\ncommands:\n";
  for (const CommandInfo& command : command_table()) {
    append_entry(out, std::string(command.name) + ' ' + command.arguments, command.help);
  }
  out += "\noptions:\n";
  append_entry(out, "-h, --help", "print this, or the options of a command after its name");
  append_entry(out, "--version", "print the version");
  out += "\nexit codes: ";
  out +=
      "0 done, 1 verify: disagrees, 2 usage, 65 bad input, 66 file or model missing,\n"
      "  69 device unavailable, 70 internal, 71 memory limit, 73 cannot write, 130 interrupted\n";
  return out;
}

std::string command_help(const CommandInfo& command) {
  std::string out = std::string("usage: inlay ") + command.name;
  if (*command.arguments != '\0') out += std::string(" ") + command.arguments;
  out += std::string(" [OPTIONS]\n") + command.help + "\n\noptions:\n";
  bool environment = false;
  for (const OptionSpec& option : option_table()) {
    if ((option.commands & command.bit) == 0) continue;
    std::string left = option.letter != 0 ? std::string("-") + option.letter + ", " : "";
    left += flag_name(option) + shown_value(option);
    append_entry(out, left, explanation(option));
    environment = environment || option.environment;
  }
  append_entry(out, "--", "what follows is text, even when it begins with -");
  if (environment) {
    out += "\nenvironment (a flag wins):";
    std::size_t column = kWidth;
    for (const OptionSpec& option : option_table()) {
      if (!option.environment || (option.commands & command.bit) == 0) continue;
      const std::string name = environment_name(option);
      if (column + 1 + name.size() > kWidth) {
        out += "\n ";
        column = 1;
      }
      out += ' ' + name;
      column += 1 + name.size();
    }
    out += '\n';
  }
  return out;
}

std::string options_markdown() {
  std::string out =
      "# Options\n\n"
      "Written from the option table (`src/base/options.cc`); do not edit. A test compares the "
      "two, and the same test\n"
      "with `INLAY_UPDATE_DOCS=1` writes this page anew.\n\n"
      "A flag wins over its environment variable. C keys are for `inlay_engine_create()`.\n\n"
      "| Flag | Value | Default | What it does | Environment | C key | Commands |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const OptionSpec& option : option_table()) {
    std::string flag = "`" + flag_name(option) + "`";
    if (option.letter != 0) flag = std::string("`-") + option.letter + "` " + flag;
    std::string value = option.kind == OptionKind::kFlag ? "" : option.metavar;
    if (option.kind == OptionKind::kChoice) value = "`" + escaped_cell(option.choices) + "`";
    if (option.kind == OptionKind::kInteger) {
      value += ", " + std::to_string(option.minimum) + " to " + std::to_string(option.maximum);
    }
    const std::string fallback = option.kind == OptionKind::kFlag ? "off" : option.fallback;
    out += "| " + flag + " | " + value + " | " + fallback + " | " + escaped_cell(option.help) +
           " | " + (option.environment ? "`" + environment_name(option) + "`" : "") + " | " +
           (option.engine_key ? "`" + key_name(option) + "`" : "") + " | " + commands_of(option) +
           " |\n";
  }
  return out;
}

}  // namespace inlay

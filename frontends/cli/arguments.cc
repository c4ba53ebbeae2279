// CLI11 splits the words into options and texts; kinds and ranges are checked by the option table.
// Texts are taken from what CLI11 leaves over: as a positional it would split "[a,b]" at the comma.
#include "arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"

namespace inlay::cli {
namespace {

std::string known_commands() {
  std::string names;
  for (const CommandInfo& command : command_table()) {
    if (!names.empty()) names += ", ";
    names += command.name;
  }
  return names;
}

// One option of one command, as CLI11 sees it.
struct Slot {
  const OptionSpec* option;
  std::string value;
  CLI::Option* parsed = nullptr;
};

void add_slot(CLI::App& app, Slot& slot) {
  std::string names = flag_name(*slot.option);
  if (slot.option->letter != 0) names = std::string("-") + slot.option->letter + "," + names;
  if (slot.option->kind == OptionKind::kFlag) {
    slot.parsed = app.add_flag(names);
  } else if (slot.option->kind == OptionKind::kFlagOrChoice) {
    slot.parsed = app.add_option(names, slot.value)->expected(0, 1);
  } else {
    slot.parsed =
        app.add_option(names, slot.value)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  }
}

bool belongs_to(const OptionSpec& option, std::uint32_t command) {
  return (option.commands & command) != 0;
}

}  // namespace

const CommandInfo& find_command(const std::vector<std::string>& words, std::size_t* used) {
  for (const CommandInfo& command : command_table()) {
    std::string name;
    *used = 0;
    for (const std::string& word : words) {
      name += (name.empty() ? "" : " ") + word;
      ++*used;
      if (name == command.name) return command;
      if (*used == 2) break;
    }
  }
  std::string got = words.empty() ? "none" : "\"" + printable(words.front()) + "\"";
  if (words.size() > 1 && words.front() == "model") got = "\"model " + printable(words[1]) + "\"";
  fail(ErrorCode::kUsage, "command",
       "expected a command of this build (" + known_commands() + "), got " + got +
           ". See inlay --help.");
}

OptionValues parse_options(const CommandInfo& command, std::vector<std::string> words,
                           std::vector<std::string>* texts) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::unique_ptr<Slot>> slots;
  for (const OptionSpec& option : option_table()) {
    if (!belongs_to(option, command.bit)) continue;
    slots.push_back(std::make_unique<Slot>(Slot{&option, "", nullptr}));
    add_slot(app, *slots.back());
  }
  // The first -- ends the options, wherever it stands.
  const auto separator = std::find(words.begin(), words.end(), "--");
  std::vector<std::string> after(separator == words.end() ? separator : separator + 1, words.end());
  words.erase(separator, words.end());
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    fail(ErrorCode::kUsage, std::string("inlay ") + command.name,
         std::string(error.what()) + ". See inlay " + command.name + " --help.");
  }
  for (const std::string& word : app.remaining()) {
    if (word.size() > 1 && word.front() == '-') {
      fail(ErrorCode::kUsage, std::string("inlay ") + command.name,
           "expected an option of this command, got \"" + printable(word) + "\". See inlay " +
               command.name + " --help; a text that begins with - goes after --.");
    }
    texts->push_back(word);
  }
  texts->insert(texts->end(), after.begin(), after.end());
  OptionValues values;
  for (const auto& slot : slots) {
    if (slot->parsed->count() > 0) {
      values.set(*slot->option, slot->parsed->results().back(), flag_name(*slot->option));
    }
  }
  if (!values.flag("help")) values.fill_from_environment(belongs_to, command.bit);
  return values;
}

}  // namespace inlay::cli

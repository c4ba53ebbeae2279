// The machine member by member, then one row a device.
#include "report/status_table.h"

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "base/utf8.h"

namespace inlay::report {
namespace {

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !utf8_continues(c); }));
}

std::string size_text(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
  return text;
}

// A scalar, a list of scalars joined by commas, or empty.
std::string value_text(std::string_view key, const JsonValue& value) {
  if (value.is_string()) return std::string(value.string());
  if (value.is_bool()) return value.boolean() ? "yes" : "no";
  if (value.is_number()) {
    if (key.size() > 6 && key.substr(key.size() - 6) == "_bytes") return size_text(value.number());
    std::string out;
    json_append_double(out, value.number());
    return out;
  }
  std::string out;
  if (value.is_array()) {
    for (const JsonValue& item : value.items()) {
      if (!out.empty()) out += ", ";
      out += value_text({}, item);
    }
  }
  if (value.is_object()) {
    for (const auto& [name, item] : value.members()) {
      if (!out.empty()) out += ", ";
      out += std::string(name) + " " + value_text(name, item);
    }
  }
  return out;
}

// "memory_bytes" to "memory".
std::string label(std::string_view key) {
  if (key.size() > 6 && key.substr(key.size() - 6) == "_bytes") key.remove_suffix(6);
  std::string out(key);
  std::replace(out.begin(), out.end(), '_', ' ');
  return out;
}

void append_section(std::string& out, const char* title, const JsonValue& value) {
  out += std::string(title) + ":";
  if (!value.is_object()) {
    out += " " + value_text({}, value) + "\n";
    return;
  }
  TextTable table;
  for (const auto& [key, member] : value.members()) {
    if (!member.is_null()) table.add_row({"  " + label(key), value_text(key, member)});
  }
  out += "\n" + table.text();
}

std::string member_text(const JsonValue& object, const char* key) {
  const auto value = object.find(key);
  return value ? value_text(key, *value) : "";
}

// "dense 1.93 ms a text, 0.41 of the CPU's time, least cosine 0.9999987".
std::string figures_text(std::string_view task, const JsonValue& figures) {
  char text[128];
  std::snprintf(text, sizeof text, " %.3g ms a text, %.3g of the CPU's time, least cosine %.7f",
                figures.at("ms_per_text").number(), figures.at("ratio_to_cpu").number(),
                figures.at("min_cosine").number());
  return std::string(task) + text;
}

}  // namespace

void TextTable::add_row(std::initializer_list<std::string> cells) { rows_.emplace_back(cells); }

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] + 2 - columns_of(row[i]), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string status_table(std::string_view json) {
  const JsonDocument document = JsonDocument::parse(json, "status");
  const JsonValue root = document.root();
  std::string out;
  append_section(out, "machine", root.at("machine"));
  if (const auto model = root.find("model")) append_section(out, "model", *model);
  out += "devices:\n";
  TextTable table;
  std::string notes;
  for (const JsonValue& device : root.at("devices").items()) {
    const std::string name = member_text(device, "device");
    table.add_row({"  " + name, member_text(device, "state"), member_text(device, "version"),
                   member_text(device, "isa"), member_text(device, "dtypes"),
                   member_text(device, "reason")});
    const std::string remedy = member_text(device, "remedy");
    if (!remedy.empty()) notes += "  " + name + ": " + remedy + "\n";
    const std::string missing = member_text(device, "missing_steps");
    if (!missing.empty()) notes += "  " + name + ": lacks the steps " + missing + "\n";
    if (const auto list =
            device.find("notes")) {  // --verbose: every candidate passed over, and why
      for (const JsonValue& note : list->items()) {
        notes += "  " + name + ": " + std::string(note.string()) + "\n";
      }
    }
    if (const auto tasks = device.find("tasks")) {
      for (const auto& [task, figures] : tasks->members())
        notes += "  " + name + ": " + figures_text(task, figures) + "\n";
    }
    for (const char* key : {"verdict", "recommend"}) {
      const std::string text = member_text(device, key);
      if (!text.empty()) notes += "  " + name + ": " + key + " " + text + "\n";
    }
  }
  out += table.text();
  if (!notes.empty()) out += "notes:\n" + notes;
  if (const auto not_kept = root.find("not_kept")) out += std::string(not_kept->string()) + "\n";
  return out;
}

}  // namespace inlay::report

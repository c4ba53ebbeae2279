// Devices as cards in words, then their figures as bars.
#include "report/status_html.h"

#include "base/json.h"
#include "report/html_page.h"

namespace inlay::report {
namespace {

std::string text_or_empty(const JsonValue& object, const char* key) {
  const auto value = object.find(key);
  return value && value->is_string() ? html_words(value->string()) : "";
}

std::string joined(const JsonValue& list) {
  std::string out;
  for (const JsonValue& item : list.items())
    out += (out.empty() ? "" : ", ") + html_escape(item.string());
  return out;
}

std::string machine(const JsonValue& root) {
  std::string out = "<dl>";
  for (const auto& [key, value] : root.at("machine").members()) {
    const bool memory = key == "memory_bytes";
    out += "<dt>" + std::string(memory ? "memory" : key) + "</dt><dd>";
    out += value.is_string() ? html_escape(value.string())
           : memory          ? short_number(value.number() / (1 << 30)) + " GiB"
                             : std::to_string(value.integer());
    out += "</dd>";
  }
  const auto model = root.find("model");
  if (model) out += "<dt>model</dt><dd>" + html_escape(model->string()) + "</dd>";
  return out + "</dl>\n";
}

std::string row_text(const JsonValue& device) {
  std::string text = text_or_empty(device, "reason");
  const std::string remedy = text_or_empty(device, "remedy");
  if (!remedy.empty()) text += "<br><span class=\"soft\">" + remedy + "</span>";
  for (const char* list : {"missing_steps", "notes"}) {
    const auto lines = device.find(list);
    if (!lines) continue;
    for (const JsonValue& line : lines->items())
      text += "<br><span class=\"soft\">" + html_words(line.string()) + "</span>";
  }
  const std::string verdict = text_or_empty(device, "verdict");
  if (!verdict.empty()) text += (text.empty() ? "" : "<br>") + verdict;
  if (const auto recommend = device.find("recommend")) {
    text += "<br><span class=\"soft\">recommended: batch " +
            std::to_string(recommend->at("batch").integer()) + ", threads " +
            std::to_string(recommend->at("threads").integer()) + ", " +
            html_escape(recommend->at("dtype").string()) + "</span>";
  }
  return text;
}

std::string plots(const JsonValue& root) {
  std::string out;
  for (const char* task : {"dense", "sparse", "rerank", "late"}) {
    std::vector<Bar> bars;
    for (const JsonValue& device : root.at("devices").items()) {
      const auto figures = device.at("tasks").find(task);
      if (!figures) continue;
      bars.push_back({std::string(device.at("device").string()),
                      {figures->at("ms_per_text").number()},
                      short_number(figures->at("ratio_to_cpu").number()) + " of the CPU's time"});
    }
    if (!bars.empty()) out += svg_bars(task, "ms a text", {"measured"}, bars);
  }
  return out.empty() ? out : "<h2>Measured</h2>\n<div class=\"plots\">" + out + "</div>\n";
}

}  // namespace

std::string status_html(std::string_view json) {
  const JsonDocument document = JsonDocument::parse(json, "status");
  const JsonValue root = document.root();
  std::string body =
      "<h1>Inlay status</h1>\n" + machine(root) + "<h2>Devices</h2>\n<div class=\"plots\">\n";
  for (const JsonValue& device : root.at("devices").items()) {
    const std::string state(device.at("state").string());
    const char* how = state == "ok" ? "good" : state == "refused" ? "bad" : "soft";
    body += "<figure><figcaption>" + text_or_empty(device, "device") + " <span class=\"" + how +
            "\">" + state + "</span></figcaption>";
    std::string facts = text_or_empty(device, "version");
    for (const std::string& part : {text_or_empty(device, "isa"), joined(device.at("dtypes"))})
      if (!part.empty()) facts += (facts.empty() ? "" : "; ") + part;
    if (!facts.empty()) body += "<p>" + facts + "</p>";
    body += "<p class=\"wrap\">" + row_text(device) + "</p></figure>\n";
  }
  body += "</div>\n" + plots(root);
  return html_page("Inlay status", body);
}

}  // namespace inlay::report

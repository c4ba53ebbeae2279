// One style sheet of variables for both colour schemes. Plots are 360 units wide, a phone's width,
// and stand side by side where there is room.
#include "report/html_page.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace inlay::report {
namespace {

constexpr std::string_view kStyle = R"(
:root{--paper:#fbfbfa;--ink:#1d2126;--soft:#5b6570;--line:#dcdfe3;--card:#ffffff;--a:#2563a8;--b:#9cc1e8;--good:#1a7f4b;--bad:#b3341f;--heat:37,99,168;--most:.55}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--soft:#98a2ad;--line:#2e343a;--card:#1c2024;--a:#6aa9ee;--b:#33587f;--good:#5bc08b;--bad:#f0836e;--heat:106,169,238;--most:.42}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 16px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}
p{margin:4px 0;max-width:75ch}.soft{color:var(--soft)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:12px 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px;align-items:start}
.wide{grid-template-columns:repeat(auto-fit,minmax(min(100%,600px),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}
figcaption{font-weight:600;margin-bottom:6px}figcaption .soft{font-weight:400}svg{display:block;width:100%;height:auto;max-width:400px}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin-bottom:4px}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px;vertical-align:-1px}
.s0{fill:var(--a);background:var(--a)}.s1{fill:var(--b);background:var(--b)}
svg text{fill:var(--ink);font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}svg .soft{fill:var(--soft)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:14px}th,td{padding:6px 10px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{color:var(--soft);font-weight:600;vertical-align:bottom}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.n{white-space:normal}.wrap{overflow-wrap:anywhere}.good{color:var(--good)}.bad{color:var(--bad)}
.heat{background:rgba(var(--heat),calc(var(--h)*var(--most)))}.heat .soft{color:inherit;opacity:.85}.o{white-space:nowrap}.best{outline:2px solid var(--a);outline-offset:-2px;font-weight:600}
@media(max-width:640px){.words tr{display:block;padding:8px 0;border-bottom:1px solid var(--line)}.words tr:first-child{display:none}.words tr:last-child{border-bottom:0}.words td{display:block;border:0;padding:1px 10px;overflow-wrap:anywhere}.words td:first-child{font-weight:600}}
)";

std::string coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string html_words(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    const bool option = word.starts_with("--") || word.starts_with("-D");
    out += option ? "<span class=\"o\">" + html_escape(word) + "</span>" : html_escape(word);
    text.remove_prefix(end);
    const std::size_t spaces = std::min(text.find_first_not_of(' '), text.size());
    out += text.substr(0, spaces);
    text.remove_prefix(spaces);
  }
  return out;
}

std::string html_page(std::string_view title, std::string_view body) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>";
  out += html_escape(title);
  out += "</title><style>";
  out += kStyle;
  out += "</style></head>\n<body><main>\n";
  out += body;
  out += "</main></body></html>\n";
  return out;
}

std::string html_table(const std::vector<std::vector<std::string>>& rows,
                       std::size_t numbers_from) {
  const bool words = !rows.empty() && numbers_from >= rows[0].size();
  std::string out =
      std::string("<div class=\"scroll\"><table") + (words ? " class=\"words\"" : "") + ">\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out += "<tr>";
    const std::string tag = i == 0 ? "th" : "td";
    for (std::size_t j = 0; j < rows[i].size(); ++j) {
      out += "<" + tag;
      if (j >= numbers_from) out += " class=\"n\"";
      out += ">" + rows[i][j] + "</" + tag + ">";
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string short_number(double value) {
  char text[32];
  const double size = std::abs(value);
  const char* format = size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3g";
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string svg_bars(std::string_view title, std::string_view unit,
                     const std::vector<std::string>& series, const std::vector<Bar>& bars) {
  constexpr double kWidth = 360, kBar = 14, kLabel = 18, kGap = 12, kRoom = 74;
  double largest = 0;
  for (const Bar& bar : bars)
    for (const double value : bar.values) largest = std::max(largest, value);
  std::string shapes;
  double y = 4;
  for (const Bar& bar : bars) {
    shapes += "<text x=\"0\" y=\"" + coordinate(y + 12) + "\">" + html_escape(bar.label);
    if (!bar.note.empty()) shapes += " <tspan class=\"soft\">" + html_escape(bar.note) + "</tspan>";
    shapes += "</text>";
    y += kLabel;
    for (std::size_t i = 0; i < bar.values.size(); ++i) {
      if (!(bar.values[i] > 0)) continue;
      const double width = std::max(1.0, bar.values[i] / largest * (kWidth - kRoom));
      shapes += "<rect class=\"s" + std::to_string(i % 2) + "\" x=\"0\" y=\"" + coordinate(y) +
                "\" width=\"" + coordinate(width) + "\" height=\"" + coordinate(kBar - 2) +
                "\" rx=\"2\"/><text x=\"" + coordinate(width + 5) + "\" y=\"" +
                coordinate(y + 10.5) + "\">" + short_number(bar.values[i]) + "</text>";
      y += kBar;
    }
    y += kGap;
  }
  std::string out = "<figure><figcaption>" + html_escape(title) + " <span class=\"soft\">" +
                    html_escape(unit) + "</span></figcaption>";
  out += "<div class=\"key\">";
  for (std::size_t i = 0; i < series.size(); ++i) {
    out += "<span><i class=\"s" + std::to_string(i % 2) + "\"></i>" + html_escape(series[i]) +
           "</span>";
  }
  out += "</div>";
  out += "<svg viewBox=\"0 0 " + coordinate(kWidth) + " " + coordinate(std::max(y - kGap, 20.0)) +
         "\" role=\"img\" aria-label=\"" + html_escape(title) + "\">" + shapes +
         "</svg></figure>\n";
  return out;
}

}  // namespace inlay::report

"""The page of bench/compare.py: a bar a row, time per text, with the time at the machine's peak marked in it. One
self-contained HTML file of inline SVG. Standard library only."""

import html
from pathlib import Path

COLORS = {"fp32": "#3b6ea5", "bf16": "#2a9d8f", "int8": "#d1782f"}
LABEL, BAR, ROW = 190, 510, 24  # pixels: names, the longest bar, a row's height

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Inlay beside its peers</title><style>
body {{ font: 14px/1.5 system-ui, sans-serif; max-width: 980px; margin: 2em auto; padding: 0 1em; color: #222; }}
h1 {{ font-size: 1.3em; }} h2 {{ font-size: 1.1em; margin-top: 2em; }} svg text {{ font: 12px system-ui, sans-serif; }}
.note {{ color: #666; }}
</style></head><body>
<h1>Inlay beside its peers</h1>
<p>{machine}</p>
<p class="note">Bars: time per text, shorter is better; solid: Inlay, pale: peers. The black line in a bar is what the
processor's own multiply-add instructions of that precision, measured in the same moment, would need for the same
work. Bars that run out of the picture are cut, their number is not.</p>
{sections}
</body></html>
"""


def bars(result: dict) -> str:
    rows = [row for row in result["rows"] if "not_run" not in row and not row["void"]]
    usual = [row["ms_per_text"] for row in rows if not row["default"]]
    scale = BAR / max(usual or [1.0])
    out = []
    for place, row in enumerate(sorted(rows, key=lambda row: row["ms_per_text"])):
        top = place * ROW
        color = COLORS.get(row["precision"], "#888")
        width = min(row["ms_per_text"] * scale, BAR + 40)
        opacity = 1 if row["ours"] else 0.4
        share = f", {100 * row['share']:.0f} % of peak" if row["share"] else ""
        share += ", disturbed" if row["disturbed"] else ""
        weight = ' font-weight="bold"' if row["ours"] else ""
        out.append(f'<text x="{LABEL - 8}" y="{top + 16}" text-anchor="end"{weight}>{html.escape(row["name"])}</text>')
        out.append(
            f'<rect x="{LABEL}" y="{top + 3}" width="{width:.1f}" height="{ROW - 6}" fill="{color}" opacity="{opacity}"/>'
        )
        if row["share"]:
            at = LABEL + row["ms_per_text"] * row["share"] * scale
            if at < LABEL + width:
                out.append(f'<path d="M{at:.1f} {top + 3}v{ROW - 6}" stroke="#000" stroke-width="2"/>')
        out.append(f'<text x="{LABEL + width + 6:.1f}" y="{top + 16}">{row["ms_per_text"]:.2f} ms{share}</text>')
    width, height = LABEL + BAR + 280, len(rows) * ROW
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">{"".join(out)}</svg>'


def section(result: dict) -> str:
    parts = [f"<h2>{html.escape(result['model'])} ({result['task']})</h2><p>{html.escape(result['texts'])}</p>"]
    parts.append(bars(result))
    lines = [
        f"{ratio['row']} over {ratio['over']} ({ratio['peer']}): <b>{ratio['ratio']:.2f}&times;</b>"
        + ("" if ratio["sound"] else " (disturbed: no measurement)")
        for ratio in result["ratios"]
    ]
    lines += [
        f"floor {floor['precision']}: reading the weights {floor['read_ms']:.3f} ms, computing {floor['compute_ms']:.3f} ms"
        for floor in result.get("floors", [])
    ]
    parts.append("<p>" + "<br>".join(lines) + "</p>")
    for row in result["rows"]:
        if "not_run" in row:
            parts.append(f'<p class="note">{html.escape(row["name"])}: not run: {html.escape(row["not_run"])}</p>')
        elif row["void"]:
            parts.append(f'<p class="note">{html.escape(row["name"])}: void, it processed other tokens</p>')
    return "\n".join(parts)


def write(path: Path, about: dict, results: list[dict]) -> None:
    kinds = ", ".join(f"{kind} {name}" for kind, name in about["instructions"].items() if name)
    machine = f"{about['cpu']} {about['numbers']}, {about['threads']} threads; ceilings: {kinds}"
    page = PAGE.format(machine=html.escape(machine), sections="\n".join(section(result) for result in results))
    path.write_text(page, encoding="utf-8")

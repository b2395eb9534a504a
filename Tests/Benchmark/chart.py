"""Bars as SVG: one picture a row, a bar for each contestant's median, a tick for each sample."""
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP, TOP = 760, 150, 22, 8, 46
COLOURS = {"own": "#1a6fb5", "base": "#7a7a7a", "peer": "#d0894f"}


def kind_of(name):
    return "base" if name in ("disk", "raw", "passthrough_ll") else "own" if name.startswith("pail") else "peer"


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def text(x, y, content, size=13, anchor="start", colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(content)}</text>")


def chart(row, samples, medians):
    """`samples` and `medians` by contestant's name."""
    scale = (WIDTH - LABEL - 90) / max(max(values) for values in samples.values())
    parts = [text(12, 22, row.name, 15), text(12, 38, f"{row.unit}, {row.better}", 11, colour="#666")]
    for number, name in enumerate(samples):
        y = TOP + number * (BAR + GAP)
        length = medians[name] * scale
        parts.append(text(LABEL - 8, y + BAR * 0.7, name, anchor="end"))
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[kind_of(name)]}"/>')
        for value in samples[name]:
            x = LABEL + value * scale
            parts.append(f'<path d="M{x:.1f} {y + 4}v{BAR - 8}" stroke="#222" stroke-opacity="0.6"/>')
        furthest = LABEL + max(samples[name]) * scale
        parts.append(text(furthest + 6, y + BAR * 0.7, figure(medians[name]), 12))
    height = TOP + len(samples) * (BAR + GAP) + 6
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n')


def file_name(row):
    """Letters, digits and hyphens."""
    words = "".join(letter if letter.isalnum() else " " for letter in row.name.lower()).split()
    return "-".join(words) + ".svg"

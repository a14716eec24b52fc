# SPDX-License-Identifier: ISC
"""The plot: an SVG by hand, of bars for what a session costs and of curves for how that grows."""

import math
import statistics
from html import escape

from claims import further, steps, values

WIDTH, PANEL, LEFT, GAP = 960, 440, 150, 40
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e5ea2", "#d68910", "#566573")
BAR, ROW = 13, 18
CURVE_HEIGHT = 250
FONT = 'font-family="sans-serif" font-size="12"'

BARS = (
    ("CPU seconds for 1000 messages of 4 KiB, in the clear", "plain-10", "cpu", 2),
    ("The same over TLS, full handshake", "tls-10", "cpu", 2),
    ("CPU seconds for 100 MB in one message, in the clear", "big-data", "cpu", 2),
    ("The same over TLS", "big-tls-data", "cpu", 2),
    ("Memory of an idle connection in the clear, KiB", "idle", "clear", 0),
    ("The same after TLS", "idle", "tls", 0),
)


def text(x, y, what, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(str(what))}</text>'


def colour(name):
    if name.startswith("postern"):
        return COLOURS[0]
    return "#9aa5ad" if name.startswith(("minimal", "forking")) else COLOURS[1]


def bars(figures, x, y, title, work, figure, digits):
    """One panel; the height that it took. A bar that is far too long is cut, its figure is not."""
    scale = 1e-3 if work.startswith("big") else 1
    found = [(name, [scale * v for v in values(figures, name, work, figure)]) for name in figures["servers"]]
    found = [(name, column) for name, column in found if column]
    parts = [text(x, y + 12, title, more='font-weight="bold"')]
    if not found:
        return parts + [text(x, y + 30, "not measured")], 2 * ROW
    medians = sorted(statistics.median(column) for _, column in found)
    full = min(medians[-1], 4 * medians[len(medians) // 2])
    room = PANEL - LEFT - 55
    for row, (name, column) in enumerate(found):
        top = y + 22 + row * ROW
        median = statistics.median(column)
        length = max(1.0, room * min(median, full) / full)
        parts.append(text(x + LEFT - 6, top + 11, name, "end"))
        parts.append(f'<rect x="{x + LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" '
                     f'fill="{colour(name)}"/>')
        if median > full:
            parts.append(f'<path d="M{x + LEFT + length - 12:.1f} {top + BAR + 1} l5 -{BAR + 2} h4 l-5 {BAR + 2} z" '
                         'fill="#ffffff"/>')
        elif len(column) > 1:
            low, high = (x + LEFT + room * min(value, full) / full for value in (min(column), max(column)))
            parts.append(f'<path d="M{low:.1f} {top + BAR / 2} H{high:.1f}" stroke="#000000"/>')
            length = max(length, high - x - LEFT)
        parts.append(text(x + LEFT + length + 5, top + 11, f"{max(0, median):.{digits}f}"))
    return parts, 30 + len(found) * ROW


def lines(figures, work, of):
    """For each server its points (step, figure); a logarithm has no place for others than these."""
    found = {name: [point for point in of(figures, name, work) if point[1] > 0] for name in figures["servers"]}
    return {name: points for name, points in found.items() if points}


def decades(low, high):
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def number(value):
    if value < 1_000_000:
        return f"{value // 1024} KiB" if value >= 1024 and value % 1024 == 0 else f"{value:,}"
    return f"{value / 1e6:g} MB"


def curves(x, y, title, painted, label):
    """Both axes logarithmic: what is level costs the same at each step."""
    parts = [text(x, y + 12, title, more='font-weight="bold"')]
    points = [point for _, line in painted.values() for point in line]
    if not points:
        return parts + [text(x, y + 30, "not measured")]
    left, right, top, bottom = x + 46, x + PANEL - 14, y + 26, y + CURVE_HEIGHT - 54
    steps = sorted({step for step, _ in points})
    rows = decades(min(v for _, v in points), max(v for _, v in points))
    if len(rows) == 1:
        rows = range(rows[0], rows[0] + 2)

    def across(step):
        span = math.log10(steps[-1] / steps[0]) or 1
        return left + (right - left) * math.log10(step / steps[0]) / span

    def down(value):
        return bottom - (bottom - top) * (math.log10(value) - rows[0]) / (rows[-1] - rows[0])

    for row in rows:
        parts.append(f'<path d="M{left} {down(10.0 ** row):.1f} H{right}" stroke="#d5d8dc"/>')
        parts.append(text(left - 6, down(10.0 ** row) + 4, f"{10.0 ** row:g}", "end"))
    for step in steps:
        parts.append(text(across(step), bottom + 16, number(step), "middle", 'font-size="11"'))
    parts.append(text((left + right) / 2, bottom + 31, label, "middle", 'font-size="11"'))
    for paint, line in painted.values():
        path = " L".join(f"{across(step):.1f} {down(value):.1f}" for step, value in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{paint}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(step):.1f}" cy="{down(value):.1f}" r="2.5" fill="{paint}"/>'
                  for step, value in line]
    return parts


def legend(x, y, names):
    parts = []
    for index, name in enumerate(names):
        top = y + index * ROW
        parts.append(f'<rect x="{x}" y="{top}" width="12" height="12" fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(text(x + 17, top + 11, name))
    return parts


def plot(figures):
    a = figures["about"]
    parts, y = [], 20
    parts.append(text(20, y + 6, "postern and others on the same work", more='font-size="16" font-weight="bold"'))
    parts.append(text(20, y + 24, f"{a['date']}, {a['cpu']}, Linux {a['kernel']}; medians of interleaved rounds, "
                                  "thin lines from least to most; all processes, children included"))
    y += 44
    for index in range(0, len(BARS), 2):
        heights = []
        for column, what in enumerate(BARS[index:index + 2]):
            drawn, height = bars(figures, 20 + column * (PANEL + GAP), y, *what)
            parts += drawn
            heights.append(height)
        y += max(heights) + 14
    panels = (("CPU ms of one message", lines(figures, "many", steps), "messages in the Maildir so far"),
              ("CPU ns of each octet more, in the clear", lines(figures, "sizes-plain", further),
               "octets of the message"),
              ("CPU ns of each octet more, over TLS", lines(figures, "sizes-tls", further),
               "octets of the message"))
    names = list(dict.fromkeys(name for _, drawn, _ in panels for name in drawn))
    for index, (title, drawn, label) in enumerate(panels):
        painted = {name: (COLOURS[names.index(name) % len(COLOURS)], line) for name, line in drawn.items()}
        parts += curves(20 + index % 2 * (PANEL + GAP), y + index // 2 * CURVE_HEIGHT, title, painted, label)
    parts += legend(20 + PANEL + GAP + 46, y + CURVE_HEIGHT + 60, names)
    y += 2 * CURVE_HEIGHT
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
                      f'height="{y}" {FONT}>', f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>',
                      *parts, "</svg>"])

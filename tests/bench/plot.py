"""Draws what an event costs by events in a request, as SVG."""
# SPDX-License-Identifier: Apache-2.0

import math

from report import machine

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 64, 72
INK, PALE, GRID, OURS, BARE, PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#0b69a3", "#b44d12", "#ffffff"
MICRO = "µs"


class Scale:
    """Logarithmic, from values to pixels."""

    def __init__(self, least, most, start, end):
        self.least, self.most = math.log10(least), math.log10(most)
        self.start, self.end = start, end

    def __call__(self, value):
        share = (math.log10(value) - self.least) / (self.most - self.least)
        return self.start + share * (self.end - self.start)


def text(x, y, words, anchor="middle", size=13, color=INK, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}" {more}>{words}</text>'


def line(x1, y1, x2, y2, color, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" {more}/>'


def points(results):
    """Events in a POST, and what one of them costs: as a multiple of bare's POST, measured just before, at the median
    cost of bare's; so what the machine was doing meanwhile is in none of them."""
    bare = results["single"]["bare_us"]
    cases = [results["single"], results["hundred"], *results["curve"].values()]
    return bare, sorted((case["events"], case["ratio"] * bare / case["events"]) for case in cases)


def number(value):
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def ticks(least, most):
    return [digit * 10.0 ** power for power in range(-2, 4) for digit in (1, 2, 5)
            if least <= digit * 10.0 ** power <= most]


def draw(results):
    bare, curve = points(results)
    costs = [cost for _, cost in curve]
    x = Scale(curve[0][0], curve[-1][0], LEFT + 24, WIDTH - RIGHT - 24)
    y = Scale(min(costs) / 1.6, max(*costs, bare) * 1.5, HEIGHT - BOTTOM, TOP)
    about = machine()
    title = "CPU of httpd for an event, from the request until Firehose has it"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" role="img" aria-labelledby="title">',
        f'<title id="title">{title}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        text(LEFT, 28, title, "start", 17, more='font-weight="600"'),
        text(LEFT, 48, f"{about['httpd']} with the event MPM, {about['cpus']} CPUs, {about['cpu']}", "start", 12, PALE),
    ]
    for cost in ticks(10 ** y.least, 10 ** y.most):
        parts += [line(LEFT, y(cost), WIDTH - RIGHT, y(cost), GRID),
                  text(LEFT - 10, y(cost) + 4.5, f"{number(cost)} {MICRO}", "end", color=PALE)]
    for events, _ in curve:
        parts += [line(x(events), TOP, x(events), HEIGHT - BOTTOM, GRID),
                  text(x(events), HEIGHT - BOTTOM + 22, events, color=PALE)]
    parts += [
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 20, "events in a POST"),
        line(LEFT, y(bare), WIDTH - RIGHT, y(bare), BARE, 'stroke-width="2" stroke-dasharray="6 5"'),
        text(WIDTH - RIGHT - 4, y(bare) - 8, f"httpd that answers and does nothing: {bare:.0f} {MICRO} a POST", "end",
             color=BARE),
        '<polyline fill="none" stroke-width="2.5" stroke-linejoin="round" '
        f'stroke="{OURS}" points="{" ".join(f"{x(events):.1f},{y(cost):.1f}" for events, cost in curve)}"/>',
    ]
    for place, (events, cost) in enumerate(curve):
        words = number(cost) if place else f"{cost:.0f} {MICRO}"
        parts += [f'<circle cx="{x(events):.1f}" cy="{y(cost):.1f}" r="4.5" fill="{OURS}" stroke="{PAPER}" '
                  'stroke-width="1.5"/>',
                  text(x(events) + 5, y(cost) - 9, words, "start", color=OURS, more='font-weight="600"')]
    return "\n".join([*parts, "</svg>", ""])


def write(path, results):
    path.write_text(draw(results), encoding="utf-8")

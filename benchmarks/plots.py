"""Curves as SVG, by hand: a few points over an axis of powers, or many over one that is even; the left from zero."""

from collections.abc import Sequence
from html import escape
from math import ceil, log10
from typing import Final

WIDTH: Final = 560
HEIGHT: Final = 300
LEFT: Final = 60
RIGHT: Final = 30
TOP: Final = 50
BOTTOM: Final = 55
INK: Final = "#3b3b3b"
GRID: Final = "#d9d9d9"
CURVE: Final = "#3f51b5"
BOUND: Final = "#c62828"


def plot(title: str, below: str, left: str, points: Sequence[tuple[float, float]], limit: float, note: str) -> str:
    """`points`: (x > 0, y >= 0), x rising, drawn on a logarithmic axis. `limit`: a dashed line at that y."""
    top = nice(max(limit, *(y for _, y in points)))
    xs = [across(x, points[0][0], points[-1][0]) for x, _ in points]
    ys = [up(y, top) for _, y in points]
    parts = [*frame(title, below, left, note), *grid(top), *marks([x for x, _ in points], xs)]
    parts += [dashed(up(limit, top)), polyline(xs, ys)]
    for (_, value), x, y in zip(points, xs, ys, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{CURVE}"/>')
        parts.append(text(x, y - 10, f"{value:.2f}", "middle"))
    return svg(title, parts)


def curve(title: str, below: str, left: str, points: Sequence[tuple[float, float]], limit: float, note: str) -> str:
    """As `plot`, on an axis that goes evenly from zero to the last x, without a mark at each point."""
    top = nice(max(limit, *(y for _, y in points)))
    ticks = [points[-1][0] * step / 4 for step in range(5)]
    ys = [up(y, top) for _, y in points]
    xs = [evenly(x, points[-1][0]) for x, _ in points]
    parts = [*frame(title, below, left, note), *grid(top), *marks(ticks, [evenly(x, ticks[-1]) for x in ticks])]
    return svg(title, [*parts, dashed(up(limit, top)), polyline(xs, ys)])


def svg(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">'
    return f'{head}\n<title>{escape(title)}</title>\n{body}\n</svg>\n'


def dashed(y: float) -> str:
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{BOUND}" stroke-dasharray="6 4"/>'
    )


def polyline(xs: Sequence[float], ys: Sequence[float]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{CURVE}" stroke-width="2"/>'


def frame(title: str, below: str, left: str, note: str) -> list[str]:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(LEFT, 20, title, "start", size=14),
        text(LEFT, 37, note, "start", size=10),
        text(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 15, below, "middle"),
        f'<g transform="rotate(-90 18 {middle})">{text(18, middle, left, "middle")}</g>',
    ]


def grid(top: float) -> list[str]:
    """Four lines and their values, from zero."""
    lines = []
    for step in range(5):
        value = top * step / 4
        y = up(value, top)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        lines.append(text(LEFT - 8, y + 4, f"{value:g}", "end"))
    return lines


def marks(values: Sequence[float], xs: Sequence[float]) -> list[str]:
    return [text(x, HEIGHT - BOTTOM + 18, f"{value:,.0f}", "middle") for value, x in zip(values, xs, strict=True)]


def across(x: float, first: float, last: float) -> float:
    """Points keep 5 % away from the frame."""
    share = (log10(x) - log10(first)) / (log10(last) - log10(first)) if last > first else 0.5
    return LEFT + (WIDTH - LEFT - RIGHT) * (0.05 + 0.9 * share)


def evenly(x: float, last: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * x / last


def up(y: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top


def nice(most: float) -> float:
    """The next of 1, 2, 4 or 8 times a power of ten."""
    power: float = 10.0 ** (ceil(log10(most)) - 1)
    return next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power >= most * 1.05)


def text(x: float, y: float, words: str, anchor: str, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="sans-serif" font-size="{size}" '
        f'fill="{INK}">{escape(words)}</text>'
    )

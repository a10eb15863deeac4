"""Figures as SVG text: lines, bands, points and bars on two labelled axes. Colours and letters come from the page's style."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 520, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 46


@dataclass(frozen=True)
class Line:
    """One curve: its name, colour (#rrggbb), places and values (None leaves a gap), and perhaps a band around it."""

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Point:
    """One mark with its name beside it."""

    name: str
    colour: str
    x: float
    y: float
    error: float = 0.0


@dataclass(frozen=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        a, b, v = (log10(t) for t in (self.low, self.high, max(value, self.low))) if self.log else (self.low, self.high, value)
        return self.start + (v - a) / ((b - a) or 1) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            return [10.0**n for n in range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1)]
        step = nice_step((self.high - self.low) / 5)
        return [n * step for n in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]


def nice_step(width: float) -> float:
    """The smallest of 1, 2, 5, 10 … that is no less than `width`."""
    if width <= 0 or not isfinite(width):
        return 1.0
    power = 10.0 ** floor(log10(width))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9)))


def lines(series: Sequence[Line], x: str, y: str, *, title: str, zero: bool = False, log_y: bool = False) -> str:
    """Curves over a common axis, described for those who do not see them by `title`."""
    values = [v for s in series for v in [*s.y, *(s.low or ()), *(s.high or ())] if v is not None and (v > 0 or not log_y)]
    places = [p for s in series for p in s.x]
    if not values or not places:
        return ""
    across = _Axis(min(places), max(places) if max(places) > min(places) else min(places) + 1, LEFT, WIDTH - RIGHT)
    low, high = _limits(values, zero)
    if log_y:
        low, high = 10.0 ** floor(log10(min(values))), 10.0 ** ceil(log10(max(values)))
        high = high if high > low else low * 10
    up = _Axis(low, high, HEIGHT - BOTTOM, TOP, log_y)
    drawn = []
    for s in series:
        if s.low is not None and s.high is not None:
            there = [f"{across(p):.1f},{up(v):.1f}" for p, v in zip(s.x, s.high, strict=True)]
            back = [f"{across(p):.1f},{up(v):.1f}" for p, v in zip(s.x, s.low, strict=True)]
            drawn.append(f'<polygon class="band" fill="{s.colour}" points="{" ".join(there + back[::-1])}"/>')
    for s in series:
        path, pen = [], "M"
        for p, v in zip(s.x, s.y, strict=True):
            if v is None or (log_y and v <= 0):
                pen = "M"
                continue
            path.append(f"{pen}{across(p):.1f} {up(v):.1f}")
            pen = "L"
        drawn.append(f'<path class="line" stroke="{s.colour}" d="{"".join(path)}"/>')
    return _figure(across, up, drawn, x, y, title) + legend([(s.name, s.colour) for s in series])


def points(marks: Sequence[Point], x: str, y: str, *, title: str) -> str:
    """Named marks; the axis along is logarithmic."""
    if not marks:
        return ""
    places = [max(m.x, 1e-6) for m in marks]
    low, high = 10.0 ** floor(log10(min(places))), 10.0 ** ceil(log10(max(places)))
    across = _Axis(low, high if high > low else low * 10, LEFT, WIDTH - RIGHT - 60, True)
    bottom, top = _limits([m.y + e for m in marks for e in (-m.error, m.error)], False)
    up = _Axis(bottom, top, HEIGHT - BOTTOM, TOP)
    drawn: list[str] = []
    taken: list[tuple[float, float]] = []
    for m in sorted(marks, key=lambda m: -m.y):
        px, py = across(max(m.x, 1e-6)), up(m.y)
        if m.error:
            drawn.append(
                f'<path class="error" stroke="{m.colour}" d="M{px:.1f} {up(m.y - m.error):.1f}L{px:.1f} {up(m.y + m.error):.1f}"/>'
            )
        drawn.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5.5" fill="{m.colour}"/>')
        words = py + 4
        while any(abs(words - other) < 13 and abs(px - left) < 90 for left, other in taken):
            words += 13
        taken.append((px, words))
        drawn.append(f'<text class="mark" x="{px + 10:.1f}" y="{words:.1f}">{escape(m.name)}</text>')
    return _figure(across, up, drawn, x, y, title)


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names with their colours, as HTML."""
    items = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in entries)
    return f'<div class="legend">{items}</div>'


def _limits(values: Sequence[float], zero: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if zero:
        low = min(0.0, low)
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    step = nice_step((high - low) / 5)
    return floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step


def _figure(across: _Axis, up: _Axis, drawn: Sequence[str], x: str, y: str, title: str) -> str:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">']
    for value in up.ticks():
        at = up(value)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for value in across.ticks():
        at = across(value)
        parts.append(f'<path class="stub" d="M{at:.1f} {HEIGHT - BOTTOM}v4"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{number(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text class="label" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x)}</text>')
    parts.append(f'<text class="label" x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y)}</text>')
    return "".join([*parts, *drawn, "</svg>"])


def number(value: float) -> str:
    """A number as short as it can be said."""
    if value == 0 or abs(value) < 1e-12:
        return "0"
    if abs(value) >= 1e5 or abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{raised}" if mantissa == "1" else f"{mantissa}·10{raised}"
    return f"{value:.6g}"

"""An overlay as a figure: the plane in grey, beside it the same with the overlay, a scale bar and the colour key."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.explain.overlay import Overlay
from lithoscope.explain.palettes import coloured, pixels
from lithoscope.explain.place import AXES, Place, plane_box
from lithoscope.explain.sheet import LETTERS, Sheet, text_width
from lithoscope.picture import bar_length, grey
from lithoscope.volume.blocks import read
from lithoscope.volume.images import window_of

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

PANEL = 520
"""About how many pixels the longer side of a panel has."""
MARGIN = 14
OPACITY = 0.72
_FRAME, _OUTLINE, _AT = "#4dd0ff", "#ffffff", "#ff3b30"


def figure(scan: "Scan", overlays: list[Overlay], *, image: str | None = None, opacity: float = OPACITY) -> Sheet:
    """One sheet for overlays of the same plane: the plane, then each overlay over it."""
    place = overlays[0].place
    box = plane_box(place.axis, place.index, scan.shape)
    plane = grey(np.squeeze(read(scan.array(image), box), place.axis), window_of(scan, image))
    size = (1.0, 1.0, 1.0) if scan.voxel is None else scan.voxel.size
    a, b = place.along
    tall, wide = plane.shape[0] * size[a], plane.shape[1] * size[b]
    per = PANEL / max(tall, wide)  # pixels of the sheet a unit of length
    panel = (max(40.0, wide * per), max(40.0, tall * per))
    lines = max(1 + _wrapped(o, panel[0]) for o in overlays)
    top = MARGIN + 2 * (LETTERS + 4)
    sheet = Sheet(
        round((len(overlays) + 1) * (panel[0] + MARGIN) + MARGIN), round(top + panel[1] + MARGIN + 30 + lines * (LETTERS + 4) + MARGIN)
    )
    sheet.text(f"{scan.name} · {AXES[place.axis]} {place.index}", (MARGIN, MARGIN))
    shade = np.repeat(plane[..., None], 3, axis=2)
    for number in range(len(overlays) + 1):
        left = MARGIN + number * (panel[0] + MARGIN)
        sheet.picture(shade, (left, top), panel, smooth=plane.shape[1] > panel[0])
        if number:
            _draw(sheet, overlays[number - 1], plane.shape, (left, top), panel, opacity)
            sheet.text(overlays[number - 1].title, (left, MARGIN + LETTERS + 4))
            _key(sheet, overlays[number - 1], (left, top + panel[1] + 8), panel[0])
    if scan.voxel is not None:
        below = 0 if panel[1] > 90 else LETTERS + 24  # a bar on a thin plane would hide it
        _bar(sheet, (MARGIN, top + panel[1] + below), panel[0], wide, scan.voxel.symbol)
    return sheet


def _draw(
    sheet: Sheet, overlay: Overlay, shape: tuple[int, ...], at: tuple[float, float], panel: tuple[float, float], opacity: float
) -> None:
    """The overlay where it lies, cut at the plane's ends."""
    place, shown = overlay.place, pixels(overlay)
    shown, place = _cut(shown, place, shape)
    shown = shown.copy()
    shown[..., 3] = (shown[..., 3] * opacity).astype(np.uint8)
    per = (panel[1] / shape[0], panel[0] / shape[1])
    corner = [(f - place.pitch / 2 + 0.5) * p for f, p in zip(place.first, per, strict=True)]
    sides = [n * place.pitch * p for n, p in zip(shown.shape, per, strict=False)]
    sheet.picture(shown, (at[0] + corner[1], at[1] + corner[0]), (sides[1], sides[0]))
    if overlay.outline is not None:
        first = [(f - overlay.place.pitch / 2 + 0.5) * p for f, p in zip(overlay.place.first, per, strict=True)]
        step = [overlay.place.pitch * p for p in per]
        edges = outline_edges(overlay.outline) * [step[1], step[0]] + [at[0] + first[1], at[1] + first[0]]
        low, high = np.array(at), np.array(at) + panel
        sheet.lines(np.clip(edges, low, high), colour=_OUTLINE)
    a, b = place.along
    if overlay.frame is not None:
        start, extent = overlay.frame.start, overlay.frame.shape
        sheet.box(
            (at[0] + start[b] * per[1], at[1] + start[a] * per[0]), (extent[b] * per[1], extent[a] * per[0]), line=_FRAME, dashed=True
        )
    if overlay.at is not None and overlay.at[place.axis] == place.index:
        r, c = overlay.place.cell(overlay.at)
        half = overlay.place.pitch / 2
        y, x = (f + n * overlay.place.pitch - half + 0.5 for f, n in zip(overlay.place.first, (r, c), strict=True))
        side = (overlay.place.pitch * per[1], overlay.place.pitch * per[0])
        sheet.box((at[0] + x * per[1], at[1] + y * per[0]), side, line=_AT, thick=2.5)


def _cut(shown: npt.NDArray[np.uint8], place: Place, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.uint8], Place]:
    """What of an overlay lies on the plane: the last cells are cut at its ends by repeating every cell as finely as is needed."""
    over = [f + (n - 0.5) * place.pitch + 0.5 - s for f, n, s in zip(place.first, shown.shape, shape, strict=False)]
    if max(over) <= 1e-6:
        return shown, place
    fine = 1 if place.pitch <= 1 else round(place.pitch)
    many = np.repeat(np.repeat(shown, fine, 0), fine, 1)
    step = place.pitch / fine
    first = [f - place.pitch / 2 + step / 2 for f in place.first]
    keep = [max(1, n - max(0, int(np.ceil(o / step - 1e-6)))) for n, o in zip(many.shape, over, strict=False)]
    return many[: keep[0], : keep[1]], Place(place.axis, place.index, (first[0], first[1]), step)


def outline_edges(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The borders between marked cells and others as lines (n, 2 ends, x and y), in cells from the upper left corner."""
    padded = np.pad(mask, 1)
    down = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])  # above row r
    across = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    made = [np.stack([np.stack([c, r], 1), np.stack([c + 1, r], 1)], 1) for r, c in [down.T]]
    made += [np.stack([np.stack([c, r], 1), np.stack([c, r + 1], 1)], 1) for r, c in [across.T]]
    return np.concatenate(made).astype(np.float64).reshape(-1, 2, 2)


def _key(sheet: Sheet, overlay: Overlay, at: tuple[float, float], width: float) -> None:
    """The colour key and the notes."""
    x, y = at
    if overlay.coloured:
        for number, (colour, name) in enumerate((("#e0503c", "1st"), ("#3fae4b", "2nd"), ("#3a6fe0", "3rd"))):
            sheet.box((x + 52 * number, y + 2), (13, 13), fill=colour)
            sheet.text(name, (x + 52 * number + 18, y))
        sheet.text("component", (x + 160, y))
    else:
        ramp = coloured(np.linspace(0, 1, 128, dtype=np.float32)[None], (0, 1), overlay.colours)[..., :3]
        low, high = overlay.ends
        left = x + text_width(low) + 8
        sheet.text(low, (x, y))
        sheet.picture(np.ascontiguousarray(ramp), (left, y + 1), (120, LETTERS), smooth=True)
        sheet.text(high, (left + 128, y))
    for line, words in enumerate(_lines(overlay, width), 1):
        sheet.text(words, (x, y + 4 + line * (LETTERS + 4)), colour="#55575e")


def _lines(overlay: Overlay, width: float) -> list[str]:
    made: list[str] = []
    for note in (n for n in overlay.notes if n):
        if made and text_width(f"{made[-1]} · {note}") <= width:
            made[-1] = f"{made[-1]} · {note}"
        else:
            made.append(note)
    return made


def _wrapped(overlay: Overlay, width: float) -> int:
    return len(_lines(overlay, width))


def _bar(sheet: Sheet, corner: tuple[float, float], panel: float, extent: float, symbol: str) -> None:
    """A scale bar in the lower left corner of a panel that shows `extent` of the scan's unit."""
    length = bar_length(extent)
    long, words = length / extent * panel, f"{length:g} {symbol}"
    x, y = corner[0] + 10, corner[1] - 12
    sheet.box((x - 6, y - LETTERS - 12), (max(long, text_width(words)) + 12, LETTERS + 19), fill="#000000")
    sheet.box((x, y - 4), (long, 4), fill="#ffffff")
    sheet.text(words, (x, y - LETTERS - 9), colour="#ffffff")

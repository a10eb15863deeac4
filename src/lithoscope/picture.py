"""A slice of a scan beside the same slice with its classes, as a PNG that needs no display."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box
from lithoscope.volume.store import storage_errors
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from PIL.Image import Image

    from lithoscope.volume.scan import Scan

Plane = npt.NDArray[np.uint8]

PANEL = 640
"""About how many pixels wide and high each of the two panels is."""
_MARGIN = 12
_LETTERS = 16


def slice_picture(scan: "Scan", result: str, target: Path, *, z: int | None = None) -> Path:
    """The slice `z` of the scan (the middle one unless told) in grey and with the classes of a result, corrections included."""
    from lithoscope.labels.corrections import corrected
    from lithoscope.labels.results import open_result

    chosen = scan.shape[0] // 2 if z is None else z
    if not 0 <= chosen < scan.shape[0]:
        raise InputError(f"slice {chosen} does not lie within the scan's z axis, 0:{scan.shape[0]}")
    box = Box((chosen, 0, 0), (chosen + 1, *scan.shape[1:]))
    with corrected(scan, result, readonly=True) as labels:
        classes = read(labels, box)[0]
    table = open_result(scan, result).classes
    image = picture(read(scan.array(), box)[0], classes, table, window=scan.window, voxel=scan.voxel, title=f"{scan.name} · z {chosen}")
    with storage_errors(Path(target)):
        image.save(target, format="PNG")
    return Path(target)


def picture(
    plane: npt.NDArray[Any], labels: Plane, classes: ClassTable, *, window: tuple[float, float], voxel: Voxel | None, title: str = ""
) -> "Image":
    """A plane (y, x) and its labels side by side, with a scale bar and the fractions of the classes beneath."""
    from PIL import Image, ImageDraw, ImageFont

    size = _size(plane.shape)
    shade = Image.fromarray(grey(plane, window)).resize(
        size, Image.Resampling.BOX if size[0] < plane.shape[1] else Image.Resampling.NEAREST
    )
    shown = Image.fromarray(coloured(labels, classes)).resize(size, Image.Resampling.NEAREST)
    solid = Image.fromarray(((labels > 0) * np.uint8(120)).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    overlay = Image.composite(shown, shade.convert("RGB"), solid)
    font = ImageFont.load_default(size=_LETTERS)
    entries = _legend(labels, classes)
    draft = ImageDraw.Draw(overlay)
    widths = [draft.textlength(text, font=font) + _LETTERS + 2 * _MARGIN for _, text in entries]
    width = max(2 * size[0] + 3 * _MARGIN, round(sum(widths)) + 2 * _MARGIN)
    sheet = Image.new("RGB", (width, size[1] + 3 * _MARGIN + 2 * (_LETTERS + _MARGIN)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN // 2), title, fill="black", font=font)
    top = _LETTERS + _MARGIN + _MARGIN // 2
    sheet.paste(shade.convert("RGB"), (_MARGIN, top))
    sheet.paste(overlay, (2 * _MARGIN + size[0], top))
    if voxel is not None:
        _scale_bar(sheet, (_MARGIN, top + size[1]), size[0], voxel.size[2] * plane.shape[1] / size[0], voxel.symbol)
    x, y = float(_MARGIN), top + size[1] + _MARGIN
    for (colour, text), step in zip(entries, widths, strict=True):
        draw.rectangle((x, y + 1, x + _LETTERS, y + 1 + _LETTERS), fill=colour)
        draw.text((x + _LETTERS + 6, y), text, fill="black", font=font)
        x += step
    return sheet


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of a panel: whole multiples of small planes, parts of large ones."""
    longest = max(shape)
    factor = max(1, PANEL // longest) if longest <= PANEL else PANEL / longest
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))


def grey(plane: npt.NDArray[Any], window: tuple[float, float]) -> Plane:
    """A plane as it is shown: 8-bit grey between the limits of the window."""
    low, high = window
    scaled = (np.nan_to_num(plane.astype(np.float32), nan=low) - low) * (255 / max(high - low, 1e-12))
    shown: Plane = np.clip(scaled, 0, 255).astype(np.uint8)
    return shown


def coloured(labels: Plane, classes: ClassTable) -> Plane:
    """The colour (y, x, 3) of each label of a plane (y, x); black where there is none."""
    table = np.zeros((256, 3), np.uint8)
    for c in classes:
        table[c.id] = list(bytes.fromhex(c.colour[1:]))
    return np.take(table, labels, axis=0)


def _legend(labels: Plane, classes: ClassTable) -> list[tuple[str, str]]:
    """The colour and the words of each class."""
    total = max(1, int(np.count_nonzero(labels)))
    return [(c.colour, f"{c.name} {100 * np.count_nonzero(labels == c.id) / total:.1f} %") for c in classes]


def bar_length(width: float) -> float:
    """The longest of 1, 2, 5, 10 … that takes no more than a third of this width."""
    power = 10.0 ** np.floor(np.log10(width / 3))
    return float(max(step * power for step in (1, 2, 5) if step * power <= width / 3 * (1 + 1e-9)))


def _scale_bar(sheet: "Image", corner: tuple[int, int], width: int, pixel: float, symbol: str) -> None:
    """A bar in the lower left corner of a panel whose pixels are `pixel` wide."""
    from PIL import ImageDraw, ImageFont

    if width < 60:
        return
    length = bar_length(width * pixel)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_LETTERS)
    text = f"{length:g} {symbol.replace('µ', 'u')}"  # the font that comes with Pillow has no µ
    x, y = corner[0] + 10, corner[1] - 12
    pixels = round(length / pixel)
    half = max(pixels, round(draw.textlength(text, font=font))) + 12
    draw.rectangle((x - 6, y - _LETTERS - 14, x - 6 + half, y + 8), fill="black")
    draw.rectangle((x, y - 4, x + pixels, y), fill="white")
    draw.text((x, y - _LETTERS - 10), text, fill="white", font=font)

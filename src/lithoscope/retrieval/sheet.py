"""Contact sheets: rows of small pictures with a line of words below each, as one PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDE = 112
_LINE = 15
_GAP = 6
_HEAD = 26


@dataclass(frozen=True, eq=False)
class Cell:
    """One picture: `lines` stand below it; `frame` is the colour around it, if any."""

    picture: "Picture | None"
    lines: tuple[str, ...] = ()
    frame: str | None = None


def contact_sheet(rows: Sequence[Sequence[Cell]], title: str = "", *, side: int = SIDE) -> "Picture":
    """The rows below each other, white behind them."""
    from PIL import Image, ImageDraw, ImageFont

    font, small = ImageFont.load_default(size=15), ImageFont.load_default(size=11)
    tall = side + _LINE * max((len(cell.lines) for row in rows for cell in row), default=0) + 2 * _GAP
    wide = side + 2 * _GAP
    columns = max((len(row) for row in rows), default=1)
    sheet = Image.new("RGB", (max(columns * wide + _GAP, 240), _HEAD + len(rows) * tall + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 5), _drawable(title), fill="black", font=font)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            x, y = _GAP + j * wide, _HEAD + i * tall
            if cell.picture is None:
                draw.rectangle((x, y, x + side - 1, y + side - 1), outline="#bbb")
            else:
                fitted = _fitted(cell.picture, side)
                sheet.paste(fitted, (x + (side - fitted.width) // 2, y + (side - fitted.height) // 2))
            if cell.frame:
                draw.rectangle((x - 2, y - 2, x + side + 1, y + side + 1), outline=cell.frame, width=2)
            for number, line in enumerate(cell.lines):
                words = _drawable(line)
                while words and draw.textlength(words, font=small) > wide - 4:
                    words = words[:-2] + "…" if len(words) > 2 else ""
                draw.text((x, y + side + 3 + number * _LINE), _drawable(words), fill="#222", font=small)
    return sheet


def _fitted(picture: "Picture", side: int) -> "Picture":
    from PIL import Image

    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC if factor < 1 else Image.Resampling.NEAREST)


def _drawable(text: str) -> str:
    """What the font that comes with Pillow can draw."""
    return text.replace("µ", "u").replace("…", "..").replace("·", "-").replace("×", "x")

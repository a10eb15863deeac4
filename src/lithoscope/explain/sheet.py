"""A sheet that figures are drawn on once and written as PNG or SVG: pictures, lines, dots and words, in pixels from the upper left."""

import base64
import unicodedata
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.volume.store import storage_errors

Point = tuple[float, float]

LETTERS = 15
"""The height of words in pixels."""
FINE = 2
"""A PNG is drawn with so many pixels a pixel of the sheet, so that letters and lines are sharp in print."""
_SPELT = {"µ": "u", "μ": "u", "σ": "sd", "×": "x", "–": "-", "²": "2", "³": "3", "≥": ">=", "≤": "<="}


@dataclass
class Sheet:
    """What is drawn, in order. The ground is white."""

    width: int
    height: int
    items: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def picture(self, pixels: npt.NDArray[np.uint8], at: Point, size: Point, *, smooth: bool = False) -> None:
        """Colours (y, x, 3 or 4) filling a rectangle."""
        self.items.append(("picture", {"pixels": pixels, "at": at, "size": size, "smooth": smooth}))

    def text(self, words: str, at: Point, *, colour: str = "#1b1b1f", size: int = LETTERS, anchor: str = "start") -> None:
        """Words whose upper left (or middle, or right) end lies at a point."""
        self.items.append(("text", {"words": words, "at": at, "colour": colour, "size": size, "anchor": anchor}))

    def box(
        self, at: Point, size: Point, *, fill: str | None = None, line: str | None = None, thick: float = 1.5, dashed: bool = False
    ) -> None:
        """A rectangle."""
        self.items.append(("box", {"at": at, "size": size, "fill": fill, "line": line, "thick": thick, "dashed": dashed}))

    def lines(self, pairs: npt.NDArray[np.float64], *, colour: str, thick: float = 1.5) -> None:
        """Straight lines (n, 2 ends, x and y)."""
        self.items.append(("lines", {"pairs": pairs, "colour": colour, "thick": thick}))

    def dots(self, places: npt.NDArray[np.float64], colours: list[str], radius: float) -> None:
        """Dots (n, x and y)."""
        self.items.append(("dots", {"places": places, "colours": colours, "radius": radius}))

    def save(self, target: Path) -> Path:
        """Write a .png or .svg."""
        kind = target.suffix.lower()
        if kind not in (".png", ".svg"):
            raise InputError(f"figures are written as .png or .svg, not {kind or 'without an ending'}")
        with storage_errors(target):
            if kind == ".svg":
                target.write_text(self.svg(), encoding="utf-8")
            else:
                self.png().save(target, format="PNG", dpi=(96 * FINE, 96 * FINE))
        return target

    def png(self) -> Any:
        """The sheet as an image of Pillow's."""
        from PIL import Image, ImageDraw

        f = FINE
        image = Image.new("RGB", (self.width * f, self.height * f), "white")
        draw = ImageDraw.Draw(image)
        for kind, item in self.items:
            if kind == "picture":
                _paste(image, item, f)
            elif kind == "text":
                _letter(draw, item, f)
            elif kind == "box":
                (x, y), (w, h) = item["at"], item["size"]
                corners = [x * f, y * f, (x + w) * f - 1, (y + h) * f - 1]
                if item["dashed"]:
                    _dashed(draw, corners, item["line"], round(item["thick"] * f))
                else:
                    draw.rectangle(corners, fill=item["fill"], outline=item["line"], width=max(1, round(item["thick"] * f)))
            elif kind == "lines":
                for (a, b), (c, d) in item["pairs"]:
                    draw.line((a * f, b * f, c * f, d * f), fill=item["colour"], width=max(1, round(item["thick"] * f)))
            else:
                r = item["radius"] * f
                for (x, y), colour in zip(item["places"], item["colours"], strict=True):
                    draw.ellipse((x * f - r, y * f - r, x * f + r, y * f + r), fill=colour)
        return image

    def svg(self) -> str:
        """The sheet as SVG, its pictures within it."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}" '
            'font-family="Helvetica, Arial, sans-serif">',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        for kind, item in self.items:
            parts.append(getattr(_Svg, kind)(item))
        return "\n".join([*parts, "</svg>\n"])


class _Svg:
    """Each kind of item as SVG."""

    @staticmethod
    def picture(item: dict[str, Any]) -> str:
        from PIL import Image

        held = BytesIO()
        Image.fromarray(item["pixels"]).save(held, format="PNG", optimize=True)
        (x, y), (w, h) = item["at"], item["size"]
        look = "" if item["smooth"] else ' style="image-rendering:pixelated"'
        uri = base64.b64encode(held.getvalue()).decode()
        return (
            f'<image x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" preserveAspectRatio="none"{look} '
            f'href="data:image/png;base64,{uri}"/>'
        )

    @staticmethod
    def text(item: dict[str, Any]) -> str:
        x, y = item["at"]
        size = item["size"]
        return (
            f'<text x="{x:.2f}" y="{y + size * 0.82:.2f}" font-size="{size * 0.93:.1f}" fill="{item["colour"]}" '
            f'text-anchor="{item["anchor"]}">{escape(item["words"])}</text>'
        )

    @staticmethod
    def box(item: dict[str, Any]) -> str:
        (x, y), (w, h) = item["at"], item["size"]
        stroke = f' stroke="{item["line"]}" stroke-width="{item["thick"]:g}"' if item["line"] else ""
        dash = ' stroke-dasharray="6 4"' if item["dashed"] else ""
        return f'<rect x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" fill="{item["fill"] or "none"}"{stroke}{dash}/>'

    @staticmethod
    def lines(item: dict[str, Any]) -> str:
        path = "".join(f"M{a:.2f} {b:.2f}L{c:.2f} {d:.2f}" for (a, b), (c, d) in item["pairs"])
        return f'<path d="{path}" stroke="{item["colour"]}" stroke-width="{item["thick"]:g}" fill="none" stroke-linecap="square"/>'

    @staticmethod
    def dots(item: dict[str, Any]) -> str:
        r = item["radius"]
        made = [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" fill="{c}"/>' for (x, y), c in zip(item["places"], item["colours"], strict=True)
        ]
        return "<g>" + "".join(made) + "</g>"


def spelt(words: str) -> str:
    """Words in the letters that Pillow's own font has."""
    known = "".join(_SPELT.get(c, c) for c in words)
    plain = unicodedata.normalize("NFKD", known)
    return "".join(c for c in plain if ord(c) < 128 or c in "·…±°")


def text_width(words: str, size: int = LETTERS) -> float:
    """About how wide words are."""
    from PIL import ImageFont

    return float(ImageFont.load_default(size=size).getlength(spelt(words)))


def _paste(image: Any, item: dict[str, Any], f: int) -> None:
    from PIL import Image

    (x, y), (w, h) = item["at"], item["size"]
    left, top, right, bottom = round(x * f), round(y * f), round((x + w) * f), round((y + h) * f)
    pixels = item["pixels"]
    small = pixels.shape[1] > right - left
    how = Image.Resampling.BOX if small else Image.Resampling.BICUBIC if item["smooth"] else Image.Resampling.NEAREST
    shown = Image.fromarray(pixels).resize((max(1, right - left), max(1, bottom - top)), how)
    image.paste(shown, (left, top), shown if pixels.shape[-1] == 4 else None)


def _letter(draw: Any, item: dict[str, Any], f: int) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size=item["size"] * f)
    words = spelt(item["words"])
    x, y = item["at"]
    wide = font.getlength(words)
    x = x * f - {"start": 0, "middle": wide / 2, "end": wide}[item["anchor"]]
    draw.text((x, y * f), words, fill=item["colour"], font=font)


def _dashed(draw: Any, corners: list[float], colour: str, thick: int) -> None:
    x0, y0, x1, y1 = corners
    for a in np.arange(x0, x1, 20):
        for y in (y0, y1):
            draw.line((a, y, min(a + 12, x1), y), fill=colour, width=thick)
    for b in np.arange(y0, y1, 20):
        for x in (x0, x1):
            draw.line((x, b, x, min(b + 12, y1)), fill=colour, width=thick)

"""One plane of the scan and of each result, small enough to lie within the page."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.picture import bar_length, coloured, grey
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from PIL.Image import Image

    from lithoscope.volume.scan import Scan

MOST = 480
"""The most pixels an edge; larger planes are cut out of the middle, so that voxels stay voxels."""
OPACITY = 0.62


def plane_box(scan: "Scan", z: int | None = None) -> Box:
    """The part of a plane that is shown: its middle, at most `MOST` voxels an edge."""
    at = scan.shape[0] // 2 if z is None else z
    edges = [((n - min(n, MOST)) // 2, (n - min(n, MOST)) // 2 + min(n, MOST)) for n in scan.shape[1:]]
    return Box((at, edges[0][0], edges[1][0]), (at + 1, edges[0][1], edges[1][1]))


def grey_plane(scan: "Scan", box: Box) -> str:
    """The scan's grey values with a scale bar, as a data URI."""
    from PIL import Image

    image = Image.fromarray(grey(np.asarray(scan.array()[box.slices])[0], scan.window)).convert("RGB")
    return _uri(_with_bar(image, scan.voxel))


def label_plane(scan: "Scan", labels: Array3D, classes: ClassTable, box: Box) -> str:
    """The classes over the grey values, as a data URI."""
    from PIL import Image

    shade = grey(np.asarray(scan.array()[box.slices])[0], scan.window)[..., None]
    plane = np.asarray(labels[box.slices])[0]
    mixed = np.where(plane[..., None] > 0, (1 - OPACITY) * shade + OPACITY * coloured(plane, classes), shade)
    return _uri(Image.fromarray(mixed.round().astype(np.uint8)))


def shares(plane: npt.NDArray[np.uint8], ids: Sequence[int]) -> list[float]:
    """The part of each class among the labelled voxels of a plane."""
    total = max(1, int(np.count_nonzero(plane)))
    return [int(np.count_nonzero(plane == id)) / total for id in ids]


def _with_bar(image: "Image", voxel: Voxel | None) -> "Image":
    from PIL import ImageDraw, ImageFont

    if voxel is None or image.width < 60:
        return image
    pixel = voxel.size[2]
    length = bar_length(image.width * pixel)
    text = f"{length:g} {voxel.symbol.replace('µ', 'u')}"  # the font that comes with Pillow has no µ
    size = max(10, image.height // 22)
    font = ImageFont.load_default(size=size)
    draw = ImageDraw.Draw(image)
    pixels, bottom = round(length / pixel), image.height - size // 2
    width = max(pixels, round(draw.textlength(text, font=font))) + size
    draw.rectangle((size // 2, bottom - 2 * size - 2, size // 2 + width, bottom), fill="black")
    draw.rectangle((size, bottom - size // 2, size + pixels, bottom - size // 4), fill="white")
    draw.text((size, bottom - 2 * size), text, fill="white", font=font)
    return image


def _uri(image: "Image") -> str:
    held = BytesIO()
    image.save(held, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()

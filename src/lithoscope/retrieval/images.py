"""Folders of two-dimensional images: which images there are, what they are called, and how networks and scores see them.

Images are seen as the SCAMPI benchmark sees them: squashed to 256 × 256 (bicubic), the middle 224 × 224 kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.retrieval.metadata import Metadata

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
SQUASHED, KEPT = 256, 224
FINE = 16


@dataclass(frozen=True, order=True)
class ImageFile:
    """One image of a folder: `name` is its path below the folder, without its ending."""

    name: str
    path: Path

    @property
    def names(self) -> tuple[str, ...]:
        """What a table may call it: path, file, and the folder it is in."""
        return (self.name, f"{self.name}{self.path.suffix}", self.path.stem, self.path.name, self.path.parent.name)


def images_in(folder: Path) -> list[ImageFile]:
    """Every image in a folder and the folders in it, by name; what is hidden is left out."""
    if not folder.is_dir():
        raise MissingError(f"there is no folder of images at {folder}")
    found = [
        ImageFile(path.relative_to(folder).with_suffix("").as_posix(), path)
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS and not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file()
    ]
    if not found:
        raise MissingError(f"{folder} holds no images ({', '.join(ENDINGS)})")
    names = [image.name for image in found]
    if len(set(names)) < len(names):
        twice = sorted(name for name in set(names) if names.count(name) > 1)
        raise InputError(f"{folder} holds several images called {twice[0]} that differ in their ending only; rename them")
    return sorted(found)


def labels_of(images: Sequence[ImageFile], column: str | None, metadata: Metadata, *, what: str) -> list[str]:
    """What each image belongs to. `column`: one of the table; "name:6" the first six letters of its file; None or "folder" its folder."""
    if column in (None, "folder"):
        found = [str(Path(image.name).parent.as_posix()) for image in images]
        if set(found) == {"."}:
            raise InputError(f"no folders say the {what} of the images; name a column, or write name:6 for their first six letters")
        return found
    assert column is not None
    if column.startswith("name:"):
        letters = column.removeprefix("name:")
        if not letters.isdigit() or not int(letters):
            raise InputError(f"{what} {column!r} does not say how many letters of the name count; write name:6")
        return [image.path.stem[: int(letters)] for image in images]
    metadata.check(column)
    said = []
    for image in images:
        value = (metadata.of(image.names) or {}).get(column)
        if value is None:
            raise InputError(f"{metadata.source} does not say the {column} of {image.name}; add it, or leave the image out")
        said.append(str(value))
    return said


def opened(image: ImageFile) -> "Picture":
    """The picture in a file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(image.path) as picture:
            picture.load()
            return picture.copy()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnreadableError(f"{image.path} is not an image that can be read; remove or mend it") from None


def cropped(picture: "Picture") -> "Picture":
    """The middle 224 × 224 of a picture squashed to 256 × 256, in colour."""
    edge = (SQUASHED - KEPT) // 2
    return squashed(picture, SQUASHED).crop((edge, edge, edge + KEPT, edge + KEPT))


def squashed(picture: "Picture", edge: int) -> "Picture":
    """A picture in colour, squashed to a square of this edge."""
    from PIL import Image

    return _colour(picture).resize((edge, edge), Image.Resampling.BICUBIC)


def _colour(picture: "Picture") -> "Picture":
    """Eight bits in three colours; grey of more bits is spread over what there is."""
    if picture.mode in ("I", "I;16", "I;16L", "I;16B", "F"):
        from PIL import Image

        values = np.asarray(picture).astype(np.float32)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        grey = np.nan_to_num((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return picture.convert("RGB")


def pixels16(picture: "Picture") -> npt.NDArray[np.float64]:
    """256 grey values: the cropped picture in grey, averaged over boxes to 16 × 16. What every feature must beat."""
    from PIL import Image

    small = cropped(picture).convert("L").resize((FINE, FINE), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel()

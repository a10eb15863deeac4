"""What every reader gives: planes of a volume, its dtype, and what the file says of itself."""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lithoscope.errors import LithoscopeError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.voxel import Voxel

LONGEST = 1 << 20
"""No axis of a scan is longer; a longer one is a damaged header."""
LARGEST_PLANE = 1 << 33
"""No plane takes more bytes; a larger one is a damaged header."""

DAMAGE = (
    ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError, AttributeError, AssertionError, RuntimeError, EOFError,
    MemoryError, SyntaxError, BufferError,
)  # fmt: skip
"""What libraries raise when a file is not what it says."""


class Source(Protocol):
    """A volume in a file: `shape` (z, y, x), `dtype` as it will be stored, planes read in any order."""

    shape: Triple
    dtype: np.dtype[Any]
    voxel: Voxel | None
    metadata: dict[str, Any]

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x), of `dtype`."""
        ...

    def close(self) -> None: ...


def stored_dtype(dtype: Any, name: object) -> np.dtype[Any]:
    """How values of this type are kept: as they are, in the machine's byte order; bits become bytes, half floats floats."""
    kind: np.dtype[Any] = np.dtype(dtype)
    if kind.kind == "b":
        return np.dtype(np.uint8)
    if kind.kind == "f" and kind.itemsize == 2:
        return np.dtype(np.float32)
    if kind.kind in "iu" or (kind.kind == "f" and kind.itemsize in (4, 8)):
        return np.dtype(f"{kind.kind}{kind.itemsize}")
    raise UnreadableError(f"{name} holds values of type {kind}; a scan is of whole numbers or floats: convert it first")


def checked_shape(shape: tuple[int, ...], dtype: Any, name: object) -> Triple:
    """A shape (z, y, x) that can be a scan's, or an error that says why it cannot."""
    if len(shape) != 3:
        raise UnreadableError(f"{name} has {len(shape)} axes of {by(shape)}; a scan has three: z, y, x")
    if min(shape) < 1:
        raise UnreadableError(f"{name} is empty: it is {by(shape)} (z × y × x)")
    if max(shape) > LONGEST or shape[1] * shape[2] * np.dtype(dtype).itemsize > LARGEST_PLANE:
        raise UnreadableError(f"{name} says that it is {by(shape)} (z × y × x), which no scan is; the file is probably damaged")
    return (int(shape[0]), int(shape[1]), int(shape[2]))


@contextmanager
def understood(path: object) -> Iterator[None]:
    """A header that makes no sense in here becomes an `UnreadableError`."""
    try:
        yield
    except LithoscopeError:
        raise
    except (zlib.error, struct.error, *DAMAGE) as error:
        raise UnreadableError(f"{path} is damaged: {one_line(error)}; copy it again") from error


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sorting key that puts slice2 before slice10."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.casefold()) for part in re.split(r"(\d+)", name)]


def by(shape: tuple[int, ...]) -> str:
    """Sizes in words: "40 × 500 × 500"."""
    return " × ".join(str(n) for n in shape)


def one_line(error: BaseException) -> str:
    """What a library said, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "…"


PALETTE = (
    "is coloured by a palette, its values are not grey levels; convert it to grey first (Fiji: Image ▸ Type ▸ 8-bit), or, "
    "if they are classes, take them up as labels: lithoscope labels import"
)
COLOUR = "convert it to grey first (Fiji: Image ▸ Type ▸ 8-bit), or take one channel: --channel 0"
"""The way out of an image in colour."""

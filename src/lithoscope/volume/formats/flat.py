"""Files of bare values: headerless raw volumes, whose names often say what they hold, and NumPy arrays."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.source import DAMAGE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.formats.tiff import read_values
from lithoscope.volume.voxel import Voxel

_EDGE = r"(?<![A-Za-z0-9])"
_SIZES = re.compile(r"(?<!\d)(\d+)\s*[x×X]\s*(\d+)\s*[x×X]\s*(\d+)(?!\d)")
_LENGTH = re.compile(r"(?<![\d.])(\d+(?:[.p]\d+)?)\s*(nm|um|µm|μm|mm)(?![A-Za-z])", re.IGNORECASE)
_TYPE = re.compile(_EDGE + r"(u?int|float|u|i|s|f|real)[-_ ]?(8|16|32|64)(?:bit)?(?![0-9])", re.IGNORECASE)
_BITS = re.compile(r"(?<!\d)(8|16|32)[-_ ]?bits?(?:[-_ ]?(signed|unsigned|real|float))?", re.IGNORECASE)
_ORDER = re.compile(_EDGE + r"(be|le|big|little)(?:[-_ ]?endian)?(?![A-Za-z0-9])", re.IGNORECASE)
_KINDS = {"uint": "u", "u": "u", "int": "i", "i": "i", "s": "i", "float": "f", "f": "f", "real": "f"}


@dataclass(frozen=True, slots=True)
class RawProposal:
    """What the name of a raw file says: `shape` is (z, y, x), though names write x first."""

    shape: Triple | None
    dtype: np.dtype[Any] | None
    voxel: Voxel | None
    byte_order: str | None


def propose_raw(path: Path | str) -> RawProposal | None:
    """What a name such as `x_1000x1000x500_2.25um_uint16.raw` says of the file, or None when it says nothing."""
    name = Path(path).stem
    shape = dtype = voxel = order = None
    if sizes := _SIZES.search(name):
        x, y, z = (int(n) for n in sizes.groups())
        shape = (z, y, x)
    if kind := _TYPE.search(name):
        letter, bits = _KINDS[kind[1].lower()], int(kind[2])
        dtype = None if (letter, bits) == ("f", 8) else np.dtype(f"{letter}{bits // 8}")
    elif bits_only := _BITS.search(name):
        suffix = (bits_only[2] or "").lower()
        letter = "i" if suffix == "signed" else "f" if suffix in ("real", "float") or bits_only[1] == "32" else "u"
        dtype = None if (letter, bits_only[1]) == ("f", "8") else np.dtype(f"{letter}{int(bits_only[1]) // 8}")
    if length := _LENGTH.search(name):
        size = float(length[1].replace("p", "."))
        voxel = Voxel((size, size, size), length[2].lower()) if size > 0 else None
    if found := _ORDER.search(name):
        order = "big" if found[1].lower().startswith("b") else "little"
    return RawProposal(shape, dtype, voxel, order) if shape or dtype or voxel else None


class RawSource:
    """A headerless volume; what is not given is taken from its name. Whole planes beyond its shape are left out and noted."""

    def __init__(self, path: Path, shape: Triple | None = None, dtype: Any = None, byte_order: str | None = None) -> None:
        proposal = propose_raw(path) or RawProposal(None, None, None, None)
        shape, kind = shape or proposal.shape, proposal.dtype if dtype is None else value_type(dtype)
        if shape is None or kind is None:
            lacking = " and ".join(w for w, v in (("shape", shape), ("dtype", kind)) if v is None)
            raise InputError(
                f"the {lacking} of {path} must be given, since neither its name nor a header says it: --shape Z Y X --dtype uint16"
            )
        order = byte_order or proposal.byte_order or "little"
        if order not in ("little", "big"):
            raise InputError(f"byte order {order!r} is not known; use little or big")
        self.path = path
        self.shape = checked_shape(shape, kind, path)
        self.dtype = stored_dtype(kind, path)
        self._order = kind.newbyteorder("<" if order == "little" else ">")
        expected, found = int(np.prod(self.shape, dtype=object)) * kind.itemsize, path.stat().st_size
        spare = found - expected
        if spare < 0 or spare % (expected // self.shape[0]):
            what = "is cut short" if found < expected else "is longer than its shape"
            raise UnreadableError(
                f"{path} {what}: {by(self.shape)} (z × y × x) {kind} needs "
                f"{expected} bytes, the file has {found}; check --shape and --dtype"
            )
        self.voxel = proposal.voxel
        self.metadata: dict[str, Any] = {"format": "raw", "name": path.name, "dtype": str(kind), "byte_order": order}
        if spare:
            self.metadata["planes_left_out"] = spare // (expected // self.shape[0])

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        offset = z0 * self.shape[1] * self.shape[2] * self._order.itemsize
        return read_values(self.path, offset, (z1 - z0, *self.shape[1:]), self._order, self.dtype)

    def close(self) -> None: ...


def value_type(name: Any) -> np.dtype[Any]:
    """The dtype that a person named."""
    try:
        kind: np.dtype[Any] = np.dtype(name)
    except TypeError:
        raise InputError(f"dtype {name!r} is not known; use one of uint8, int8, uint16, int16, uint32, int32, float32, float64") from None
    return kind


class NpySource:
    """An array saved by NumPy; one of objects is refused, since reading it could run code."""

    def __init__(self, path: Path) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError:
            raise
        except DAMAGE as error:
            raise UnreadableError(f"{path} is damaged or not a plain array: {one_line(error)}") from error
        if not isinstance(array, np.ndarray):
            array.close()
            raise UnreadableError(f"{path} holds several arrays; save the one you mean as .npy")
        if array.ndim == 2:
            array = array[None]
        self.shape = checked_shape(array.shape, array.dtype, path)
        self.dtype = stored_dtype(array.dtype, path)
        self._array: npt.NDArray[Any] | None = array
        self.voxel: Voxel | None = None
        self.metadata: dict[str, Any] = {"format": "npy", "name": path.name, "dtype": str(array.dtype)}

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        assert self._array is not None
        return np.ascontiguousarray(self._array[z0:z1], dtype=self.dtype)

    def close(self) -> None:
        self._array = None

"""One change of labels with its old and new values, small enough to keep and to write down."""

import struct
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Box

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_HEAD = struct.Struct("<6IB")
_FULL, _ONE_OLD, _ONE_NEW, _ZIPPED = 1, 2, 4, 8
_ZIP_ABOVE = 128


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to the voxels of a box; `packed` holds which of them changed, from what, to what."""

    box: Box
    packed: bytes

    @classmethod
    def of(cls, box: Box, changed: Mask, old: Labels, new: Labels) -> Self:
        """The change of the voxels where `changed` (the shape of the box) from `old` to `new` (n,), in C order."""
        flags, parts = 0, []
        if old.size == box.size:
            flags |= _FULL
        else:
            parts.append(np.packbits(changed).tobytes())
        for values, flag in ((old, _ONE_OLD), (new, _ONE_NEW)):
            if (values == values[0]).all():
                flags |= flag
                parts.append(values[:1].tobytes())
            else:
                parts.append(values.tobytes())
        body = b"".join(parts)
        if len(body) > _ZIP_ABOVE:
            body, flags = zlib.compress(body, 1), flags | _ZIPPED
        return cls(box, _HEAD.pack(*box.start, *box.shape, flags) + body)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The change that was written down as `packed`."""
        a, b, c, d, e, f, _ = _HEAD.unpack_from(packed)
        return cls(Box((a, b, c), (a + d, b + e, c + f)), packed)

    def values(self) -> tuple[Mask, Labels, Labels]:
        """Which voxels of the box changed, their old values and their new ones (each (n,) or (1,) if all are equal)."""
        flags = self.packed[_HEAD.size - 1]
        body = self.packed[_HEAD.size :]
        if flags & _ZIPPED:
            body = zlib.decompress(body)
        data = np.frombuffer(body, np.uint8)
        at = 0
        if flags & _FULL:
            mask = np.ones(self.box.shape, bool)
            count = self.box.size
        else:
            at = (self.box.size + 7) // 8
            mask = np.unpackbits(data[:at], count=self.box.size).astype(bool).reshape(self.box.shape)
            count = int(np.count_nonzero(mask))
        length = 1 if flags & _ONE_OLD else count
        return mask, data[at : at + length], data[at + length :]

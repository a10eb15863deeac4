"""A result with what people changed in it: the prediction is never written to, corrections are laid over it as it is read."""

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.labels.changes import Labels, Mask
from lithoscope.labels.editable import EditableArray, as_labels
from lithoscope.labels.results import Result, corrections_folder, open_result
from lithoscope.labels.store import LabelStore
from lithoscope.volume.blocks import Array3D
from lithoscope.volume.box import Box, Triple

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

OUTSIDE = 255
"""How 0, "outside", is stored among corrections, in which 0 means "as predicted"."""

_EDGE = 64
_KEPT_BYTES = 64 << 20
_SMALL = 4 << 20
_AT_ONCE = 1 << 18


class Corrected(EditableArray):
    """The labels (z, y, x) of a prediction as corrected: reads, paints, undoes and redoes as the strokes do."""

    def __init__(self, prediction: Array3D, store: LabelStore) -> None:
        self.store = store
        self.shape = store.shape
        self._prediction = _Remembered(prediction, self.shape)

    def read(self, box: Box) -> Labels:
        labels = self._prediction.read(box)
        if box.size <= _AT_ONCE:
            return _laid_over(labels, self.store.read(box))
        for part in self.store.touched(box):
            common = part.intersect(box)
            _laid_over(labels[common.within(box).slices], self.store.read(common))
        return labels

    def predicted(self, box: Box) -> Labels:
        """The labels of a box as the method gave them."""
        return self._prediction.read(box)

    def write(self, box: Box, mask: Mask | None, value: npt.ArrayLike) -> Box | None:
        values = as_labels(value)
        if (values == OUTSIDE).any():
            raise InputError(f"{OUTSIDE} is not a class; classes are 1…254, and 0 is outside")
        if box.size > _SMALL * 4 and mask is None and values.ndim == 0:
            return self._write_large(box, values)
        changed = self.read(box) != values
        if mask is not None:
            changed &= mask
        return self.store.write(box, changed, np.where(values == 0, np.uint8(OUTSIDE), values)) if changed.any() else None

    def _write_large(self, box: Box, value: Labels) -> Box | None:
        """One value for a box too large to hold."""
        found: list[Box] = []
        with self.stroke():
            for z in range(box.start[0], box.stop[0], _EDGE):
                for y in range(box.start[1], box.stop[1], 256):
                    for x in range(box.start[2], box.stop[2], 256):
                        part = Box((z, y, x), (z + _EDGE, y + 256, x + 256)).intersect(box)
                        if changed := self.write(part, None, value):
                            found.append(changed)
        if not found:
            return None
        low = np.min([b.start for b in found], axis=0).tolist()
        high = np.max([b.stop for b in found], axis=0).tolist()
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def touched(self, box: Box | None = None) -> list[Box]:
        """Boxes of at most 64³ voxels that hold every corrected voxel (of a box); cheap, whatever the volume."""
        return self.store.touched(box)

    @property
    def changed_voxels(self) -> int:
        """How many voxels are other than predicted."""
        count = 0
        for box in self.store.touched():
            said = self.store.read(box)
            if said.any():
                predicted = self._prediction.read(box)
                count += int(np.count_nonzero(_laid_over(predicted.copy(), said) != predicted))
        return count

    def stroke(self) -> AbstractContextManager[None]:
        return self.store.stroke()

    def begin(self) -> None:
        """Start a stroke: what follows, up to `commit`, is undone as one."""
        self.store.begin()

    def commit(self) -> None:
        """End the stroke."""
        self.store.commit()

    def undo(self) -> Box | None:
        """Take the newest stroke back; the box that changed, or None when there is nothing to undo."""
        return self.store.undo()

    def redo(self) -> Box | None:
        """Do the stroke that was undone last again; the box that changed, or None when there is none."""
        return self.store.redo()

    @property
    def can_undo(self) -> bool:
        return self.store.can_undo

    @property
    def can_redo(self) -> bool:
        return self.store.can_redo

    @property
    def readonly(self) -> bool:
        return self.store.readonly

    @property
    def holder(self) -> str | None:
        """Who corrects it now, when this window cannot."""
        return self.store.holder

    @property
    def problem(self) -> str | None:
        """Why the last write to the disk failed; None when all is well."""
        return self.store.problem

    def flush(self) -> None:
        """Return when everything is on the disk; raises `StorageError` when it cannot be."""
        self.store.flush()

    def close(self) -> None:
        """Flush, and let others correct."""
        self.store.close()

    def __enter__(self) -> "Corrected":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Remembered:
    """A prediction of which what was read last is kept, so that a brush finds the plane that is shown in memory."""

    def __init__(self, array: Array3D, shape: Triple) -> None:
        self._array, self._shape = array, shape
        self._kept: list[tuple[Box, npt.NDArray[Any]]] = []
        self._lock = threading.Lock()

    def read(self, box: Box) -> Labels:
        """The prediction of a box, in an array of the caller's own."""
        if not box.size:
            return np.zeros(box.shape, np.uint8)
        with self._lock:
            for kept, values in self._kept:
                if kept.intersect(box) == box:
                    return values[box.within(kept).slices].copy()
        wanted = self._aligned(box) if box.size < _SMALL // 16 else box
        values = np.asarray(self._array[wanted.slices], dtype=np.uint8)
        if values.nbytes > _SMALL * 2:
            return values if values.flags.writeable else values.copy()
        with self._lock:
            self._kept.insert(0, (wanted, values))
            while sum(v.nbytes for _, v in self._kept) > _KEPT_BYTES:
                self._kept.pop()
        return values[box.within(wanted).slices].copy()

    def _aligned(self, box: Box) -> Box:
        """The whole chunks around a small box, which cost as much to read; the box itself if that is much more."""
        low = [a // _EDGE * _EDGE for a in box.start]
        high = [min(-(-b // _EDGE) * _EDGE, n) for b, n in zip(box.stop, self._shape, strict=True)]
        grown = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        return grown if grown.size <= _SMALL else box


def _laid_over(predicted: Labels, said: Labels) -> Labels:
    """The prediction, changed in place where something was said."""
    np.copyto(predicted, said, where=said != 0)
    np.copyto(predicted, np.uint8(0), where=said == OUTSIDE)
    return predicted


def corrected(scan: "Scan", result: "Result | str", *, readonly: bool = False) -> Corrected:
    """A result as corrected; read-only, with a `holder`, when another program is correcting it."""
    found = open_result(scan, result) if isinstance(result, str) else result
    if found.numbered:
        raise InputError(f"{found.name} holds numbered grains, not classes; choose the result that they were separated from")
    what = f"the corrections of {found.name} of {scan.name}"
    return Corrected(found.array, LabelStore(corrections_folder(scan, found.name), scan.shape, what=what, readonly=readonly))

"""One plane of labels as a layer of the whole volume: where it lies it is seen, everywhere else there is nothing.

A layer that holds the plane alone has to be moved with the slider, and given other data: napari then goes through the viewer's dimensions,
the layer list and a thumbnail, and builds the shaders again. Here the layer stays where it is, and only its values are exchanged.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.volume.box import Triple


class PlaneData:
    """Labels (z, y, x) that are 0 but for one plane: `planes` along `axis`, each as large as the one given (one thick along `axis`)."""

    ndim = 3

    def __init__(self, plane: npt.NDArray[Any], axis: int, index: int, planes: int) -> None:
        self.axis = axis
        self._shape: Triple = (*plane.shape[:axis], planes, *plane.shape[axis + 1 :])
        self._plane = plane.copy()  # the caller's may be painted over
        self._index = index

    @property
    def shape(self) -> Triple:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._plane.dtype

    @property
    def size(self) -> int:
        return int(np.prod(self._shape))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def index(self) -> int:
        """Where the plane lies along the axis."""
        return self._index

    @property
    def plane(self) -> npt.NDArray[Any]:
        """The plane (z, y, x; one thick)."""
        return self._plane

    def fits(self, plane: npt.NDArray[Any], axis: int, planes: int) -> bool:
        """Whether a plane can be put in the place of the present one."""
        return axis == self.axis and planes == self._shape[axis] and plane.shape == self._plane.shape and plane.dtype == self.dtype

    def put(self, plane: npt.NDArray[Any], index: int) -> None:
        """Show another plane, elsewhere or at the same place."""
        np.copyto(self._plane, plane)
        self._index = index

    def __len__(self) -> int:
        return self._shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self[:, :, :]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        """The values of any part, as numpy gives them."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if any(one is Ellipsis for one in keys):
            at = next(i for i, one in enumerate(keys) if one is Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        wanted = keys[self.axis]
        there = range(self._shape[self.axis])[wanted]
        if not isinstance(there, range):
            keys[self.axis] = 0
            found = self._plane[tuple(keys)]
            return found.copy() if there == self._index else np.zeros(found.shape, self.dtype)
        keys[self.axis] = slice(None)
        part = self._plane[tuple(keys)]
        # Whole numbers before the axis take their own axis away.
        axis = sum(isinstance(one, slice) for one in keys[: self.axis])
        values: npt.NDArray[Any] = np.zeros((*part.shape[:axis], len(there), *part.shape[axis + 1 :]), self.dtype)
        if self._index in there:
            place = there.index(self._index)
            values[(slice(None),) * axis + (slice(place, place + 1),)] = part
        return values

"""What is in a file or folder, and what of it must be chosen or said before it can be imported: for forms that ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from lithoscope.errors import ChoiceError, LithoscopeError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats import RAW, hdf5, open_source, propose_raw
from lithoscope.volume.formats.flat import RawProposal
from lithoscope.volume.formats.zarr_array import arrays_in, is_zarr
from lithoscope.volume.voxel import Voxel

NUMBERS = ("channel", "time")


@dataclass(frozen=True)
class Contents:
    """`choices`: by "dataset", "channel" or "time", what there is to choose and in words; `taken` is what is opened of the datasets.

    `shape` (z, y, x), `dtype` and `voxel` are those of the volume that the choices lead to; without a shape, `problem` says in one line
    what is wrong or lacking. `raw` is what the name of a headerless file says of it, None for files of other kinds.
    """

    shape: Triple | None = None
    dtype: np.dtype[Any] | None = None
    voxel: Voxel | None = None
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    taken: str = ""
    raw: RawProposal | None = None
    problem: str = ""

    @property
    def bytes(self) -> int:
        """How much the volume takes in memory; 0 while none is known."""
        return 0 if self.shape is None or self.dtype is None else int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def look_into(path: Path, wishes: Mapping[str, Any]) -> Contents:
    """What is in `path`, with the wishes of `open_source` that a person made so far. Raises nothing that a person could mend.

    Headers are read, and for folders of DICOM those of every slice.
    """
    raw = (propose_raw(path) or RawProposal(None, None, None, None)) if path.suffix.lower() in RAW else None
    choices: dict[str, Mapping[str, str]] = {}
    plain = {key: value for key, value in wishes.items() if key not in NUMBERS}
    try:
        if (named := _datasets(path)) and len(named) > 1:
            choices["dataset"] = named
        try:
            open_source(path, **plain).close()
        except ChoiceError as error:
            choices |= error.choices
        source = open_source(path, **wishes)
    except ChoiceError as error:
        words = " and a ".join("time point" if key == "time" else key for key in error.choices if key not in wishes)
        return Contents(choices=choices | dict(error.choices), raw=raw, problem=f"choose a {words}")
    except (LithoscopeError, OSError) as error:
        return Contents(choices=choices, raw=raw, problem=" ".join(str(error).split()))
    try:
        return Contents(source.shape, source.dtype, source.voxel, choices, str(source.metadata.get("dataset", "")), raw)
    finally:
        source.close()


def _datasets(path: Path) -> dict[str, str]:
    """The arrays in an HDF5 file or a Zarr group that is no image of its own."""
    if path.suffix.lower() in hdf5.SUFFIXES and path.is_file():
        return hdf5.datasets(path)
    if path.is_dir() and is_zarr(path):
        node = zarr.open(str(path), mode="r")
        if isinstance(node, zarr.Group) and not {"multiscales", "ome"} & set(node.attrs):
            return arrays_in(node)
    return {}

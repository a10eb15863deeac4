"""Opening files in napari: scans lazily as they lie on disk, TIFF stacks and folders of slices page by page.

Nothing is converted: the Scan dock offers that. Single pages, colour and small TIFFs are left to napari's own reader.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lithoscope.volume.formats import Source

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[Any], list[LayerData]]

SMALL = 64 << 20
"""TIFFs of fewer bytes than this are quickly read whole, by napari."""
TIFFS = (".tif", ".tiff", ".btf")
SLICES = (*TIFFS, ".png", ".jpg", ".jpeg")


def get_reader(path: "str | Path | Sequence[str | Path]") -> Reader | None:
    """A function that reads `path` as layers, or None to leave it to others. Never raises."""
    if not isinstance(path, (str, Path)):
        return None
    place = Path(path)
    try:
        if place.is_dir():
            if (place / "zarr.json").exists() or (place / ".zgroup").exists():
                return read_scan if _opens_as_scan(place) else None
            return read_slices if _holds_slices(place) else None
        if place.suffix.lower() in TIFFS and place.is_file():
            return read_slices if place.stat().st_size >= SMALL and _is_stack(place) else None
    except Exception:  # napari asks every reader about every file, and a reader must not raise
        return None
    return None


def read_scan(path: "str | Path") -> list[LayerData]:
    """A scan as a multiscale image, each level read as it is looked at."""
    from lithoscope._napari.layers import image_data
    from lithoscope.volume.scan import Scan

    return [image_data(Scan.open(path))]


def read_slices(path: "str | Path") -> list[LayerData]:
    """A TIFF stack or a folder of slices as an image whose planes are read as they are looked at."""
    import dask.array as da

    from lithoscope._napari.layers import KEY, placed
    from lithoscope.volume.formats import open_source

    place = Path(path)
    source = open_source(place)
    planes = Planes(source)
    data = da.from_array(
        planes, chunks=(1, *source.shape[1:]), name=f"{place}-{place.stat().st_mtime_ns}", meta=np.empty((0,) * 3, source.dtype)
    )
    keywords = {
        "name": place.stem if place.is_file() else place.name,
        "multiscale": False,
        "contrast_limits": planes.limits(),
        "metadata": {KEY: {"kind": "source", "source": str(place)}},
        **placed(source.voxel),
    }
    return [(data, keywords, "image")]


class Planes:
    """A source as an array (z, y, x) of which whole planes are read, by one thread at a time."""

    ndim = 3

    def __init__(self, source: "Source") -> None:
        self._source = source
        self._lock = threading.Lock()
        self.shape = source.shape
        self.dtype = np.dtype(source.dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        z, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(z, slice):
            start, stop, step = z.indices(self.shape[0])
            with self._lock:
                planes = self._source.planes(start, max(stop, start))
            return planes[(slice(None, None, step), *rest)]
        with self._lock:
            planes = self._source.planes(int(z), int(z) + 1)
        found: npt.NDArray[Any] = planes[(0, *rest)]
        return found

    def limits(self) -> tuple[float, float]:
        """Grey values between which three planes are well shown."""
        depth = self.shape[0]
        some = [self[z : z + 1, :, :] for z in sorted({depth // 4, depth // 2, 3 * depth // 4})]
        values = np.concatenate([plane[:, ::4, ::4].ravel() for plane in some])
        finite = values[np.isfinite(values)]
        if not finite.size:
            return (0.0, 1.0)
        low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5)))
        return (low, high) if high > low else (low, low + 1.0)


def _opens_as_scan(place: Path) -> bool:
    """Whether an image is there that is a scan; label images and other arrays are left to others."""
    from lithoscope.volume.scan import Scan

    Scan.open(place, readonly=True)
    return True


def _holds_slices(folder: Path) -> bool:
    """Whether a folder holds at least two slices and nothing but files."""
    from itertools import islice

    some = list(islice((entry for entry in folder.iterdir() if not entry.name.startswith(".")), 50))
    slices = [entry for entry in some if entry.suffix.lower() in SLICES]
    return len(slices) >= 2 and not any(entry.is_dir() for entry in some)


def _is_stack(place: Path) -> bool:
    """Whether a TIFF is a grey stack of several pages."""
    from lithoscope.volume.formats import open_source

    source = open_source(place)
    try:
        return source.shape[0] > 1
    finally:
        source.close()

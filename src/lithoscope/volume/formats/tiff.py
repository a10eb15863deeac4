"""TIFF stacks: plain, BigTIFF, OME-TIFF and ImageJ, by tifffile, with every way a damaged file can fail turned into one line."""

import logging
import re
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from lithoscope.errors import ChoiceError, InputError, UnreadableError
from lithoscope.volume.box import Triple
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.source import COLOUR, DAMAGE, PALETTE, by, checked_shape, one_line, stored_dtype
from lithoscope.volume.voxel import Voxel, in_unit, unit_named

SMALLEST_DIRECTORY = 30
"""Bytes that a page's directory takes at least; more pages than fit into the file are a loop."""
GREY = (0, 1)
"""MINISWHITE and MINISBLACK; a missing tag reads as the first."""
PRIVATE = 32768
"""Tags from here on belong to makers of software; a broken one does not harm the image."""
FEW_CHANNELS = 5
"""So many channels and no other axis are slices under a wrong name."""
_TAG = re.compile(r"TiffTag (\d+)")
TIFF_DAMAGE = (*DAMAGE, tifffile.TiffFileError, struct.error)


@contextmanager
def _understood(path: Path) -> Iterator[list[str]]:
    """Any way tifffile fails inside becomes an `UnreadableError`; yields what tifffile logs as wrong with pages and public tags."""
    said: list[str] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tag = _TAG.search(message := record.getMessage())
            if record.thread == thread and (tag is None or int(tag[1]) < PRIVATE):
                said.append(message)

    listener = Listener(logging.ERROR)
    logger = logging.getLogger("tifffile")
    logger.addHandler(listener)
    try:
        yield said
    except InputError:
        raise
    except (tifffile.TiffFileError, RuntimeError, ValueError, EOFError) as error:
        raise UnreadableError(
            f"{path} is damaged or of a kind that cannot be read: {one_line(error)}; save it again as plain TIFF"
        ) from error
    except TIFF_DAMAGE as error:
        raise UnreadableError(f"{path} is damaged: its header makes no sense; copy it again") from error
    finally:
        logger.removeHandler(listener)


class TiffSource:
    """The first image series of a TIFF file as (z, y, x)."""

    shape: Triple
    dtype: np.dtype[Any]
    voxel: Voxel | None
    metadata: dict[str, Any]

    def __init__(self, path: Path, wish: Wish = NOTHING) -> None:
        self.path, self._wish = path, wish
        self._file: tifffile.TiffFile | None = None
        self._pool: ThreadPoolExecutor | None = None
        try:
            with _understood(path) as said:
                self._file = tifffile.TiffFile(path)
                self._file.filehandle.set_lock(True)  # pages are decoded by several threads
                self._inspect(self._file, path.stat().st_size, said)
        except InputError:
            self.close()
            raise

    def _inspect(self, file: tifffile.TiffFile, size: int, said: list[str]) -> None:
        if len(file.pages) * SMALLEST_DIRECTORY > size:
            raise UnreadableError(f"{self.path} lists more pages than it can hold; it is damaged")
        if not file.series:
            raise UnreadableError(f"{self.path} holds no image")
        series, first = file.series[0], file.pages.first
        axes, sizes = str(series.axes), tuple(int(n) for n in series.shape)
        if 0 in sizes or not sizes:
            raise UnreadableError(f"{self.path} is empty: its image is {by(sizes) or '0'} pixels")
        if said:
            raise UnreadableError(f"{self.path} is damaged: {_plain(said[0])}; copy it again")
        self._sample: int | None = self._sample_of(first, axes, sizes)
        if len(file.series) > 1:
            others = ", ".join(by(tuple(s.shape)) for s in file.series[:4])
            if any(s.shape != series.shape or s.dtype != series.dtype for s in file.series):
                raise UnreadableError(
                    f"{self.path} holds images of different sizes or types ({others}); export the one you mean as a stack of its own"
                )
        raw = series.dtype
        if raw is None:
            raise UnreadableError(f"{self.path} does not say of which type its values are; it is damaged")
        self.dtype = stored_dtype(raw, self.path)
        self._pages: list[Any] = [page for s in file.series for page in s.pages]
        self.shape = checked_shape(self._volume(axes, sizes, len(file.series), shaped=series.kind == "shaped"), raw, self.path)
        self._raw = np.dtype(raw)
        self._refuse_absurd(first, size)
        contiguous = series.dataoffset is not None and len(file.series) == 1 and self._raw.kind in "iuf"
        contiguous = contiguous and self._raw.itemsize * 8 == first.bitspersample and first.fillorder == 1 and self._sample is None
        self._offset: int | None = int(series.dataoffset) if contiguous else None
        if contiguous and self._offset is not None:
            needed = self._offset + self._count * self.shape[1] * self.shape[2] * self._raw.itemsize
            if needed > size:
                raise UnreadableError(f"{self.path} is cut short: it should have {needed} bytes and has {size}; copy it again")
        self._order = np.dtype(raw).newbyteorder(file.byteorder)
        self.voxel = voxel_size(file)
        self.metadata = {"format": _kind(file), "name": self.path.name, "dtype": str(self._raw), **described(self._wish)}
        if first.bitspersample != self._raw.itemsize * 8:
            self.metadata["bits"] = int(first.bitspersample)
        if int(first.photometric) == 0 and 262 in first.tags:
            self.metadata["white_is_zero"] = True

    def _sample_of(self, first: Any, axes: str, sizes: tuple[int, ...]) -> int | None:
        """Which of several values a pixel to take, or None where there is one; colour is refused unless one was asked for."""
        photometric = getattr(first.photometric, "name", str(first.photometric))
        samples = sizes[axes.index("S")] if "S" in axes else 1
        if samples > 1 and self._wish.channel is not None:
            return chosen(self.path, [("c", samples)], Wish(self._wish.channel))[0]
        if samples > 1:
            problem = f"{self.path} has {samples} values a pixel ({photometric}), not one grey value; {COLOUR}"
            raise ChoiceError(problem, {"channel": {str(n): str(n) for n in range(samples)}})
        if int(first.photometric) == 3 and not self._wish.classes and not grey_ramp(first.colormap):
            raise UnreadableError(f"{self.path} {PALETTE}")
        if int(first.photometric) not in (0, 1, 3, 32803, 34892, 51177):
            raise UnreadableError(f"{self.path} is of the colour space {photometric}, not grey; {COLOUR}")
        return None

    def _refuse_absurd(self, first: Any, size: int) -> None:
        """A page that decodes to far more than the file could hold is damage; decoding it would take all memory."""
        plane = self.shape[1] * self.shape[2] * self._raw.itemsize
        if int(first.compression) == 1 and len(self._pages) <= 1 and plane // 8 * first.bitspersample // self._raw.itemsize > size + 8:
            raise UnreadableError(f"{self.path} is cut short: its image needs {plane} bytes and the file has {size}")
        if plane > 1 << 28 and plane > size * 5000:
            raise UnreadableError(f"{self.path} says that a page takes {plane} bytes, but the file has only {size}; it is damaged")

    def _volume(self, axes: str, sizes: tuple[int, ...], count: int, *, shaped: bool) -> tuple[int, ...]:
        """The (z, y, x) of a series: the one long axis beside y and x is z, whatever the file calls it, unless it was asked for."""
        self._first, self._stride = 0, 1
        self._count = int(np.prod([n for a, n in zip(axes, sizes, strict=True) if a not in "YXS"], initial=1)) * count
        if shaped and len(sizes) == 3 and count == 1 and self._sample is None:  # saved by tifffile as an array of three axes
            self._count = sizes[0]
            chosen(self.path, (), self._wish)
            return sizes
        if "Y" not in axes or "X" not in axes:
            raise UnreadableError(f"{self.path} has the axes {axes} of {by(sizes)}; a scan has planes of y and x")
        plain = [(a, n) for a, n in zip(axes, sizes, strict=True) if a not in "YXS"]
        long = [a for a, n in plain if n > 1]
        if count > 1 and long:
            raise UnreadableError(f"{self.path} holds {count} images of axes {axes}; export the one you mean as a stack of its own")
        asked = {"C": self._wish.channel if self._sample is None else None, "T": self._wish.time}
        free = [a for a, n in plain if n > 1 and asked.get(a) is None and (a != "C" or (len(long) == 1 and n >= FEW_CHANNELS))]
        z = "Z" if "Z" in long else next((a for a in free if a not in "CT"), free[0] if free else None)
        extra = [(a, n) for a, n in plain if a != z and (n > 1 or a in "CT")]
        odd = [a for a, _ in extra if a not in "CT"]
        if odd:
            raise UnreadableError(f"{self.path} has the axes {axes} of {by(sizes)}; export one volume as a stack of its own")
        wish = Wish(asked["C"], asked["T"])
        picks = dict(zip((a for a, _ in extra), chosen(self.path, [(a.lower(), n) for a, n in extra], wish), strict=True))
        strides = {a: int(np.prod([n for _, n in plain[i + 1 :]], initial=1)) for i, (a, _) in enumerate(plain)}
        self._first = sum(strides[a] * index for a, index in picks.items())
        self._stride = strides.get(z or "", 1)
        depth = count if count > 1 else dict(plain).get(z or "", 1)
        return (depth, sizes[axes.index("Y")], sizes[axes.index("X")])

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        if self._offset is not None:
            return self._contiguous(z0, z1)
        out = np.empty((z1 - z0, *self.shape[1:]), self.dtype)
        with _understood(self.path):
            if len(self._pages) < self._count:
                return self._deep(z0, z1)
            if z1 - z0 == 1:
                self._page(z0, out[0])
                return out
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="tiff")
            for _ in self._pool.map(lambda z: self._page(z, out[z - z0]), range(z0, z1)):
                pass
        return out

    def _page(self, z: int, out: npt.NDArray[Any]) -> None:
        page = self._pages[self._first + z * self._stride]
        if page is None:
            raise UnreadableError(f"{self.path} lacks its page {z}; it is damaged")
        plane = page.asarray(maxworkers=1)
        if self._sample is not None:
            plane = plane.take(self._sample, axis=page.axes.index("S"))
        if plane.size != out.size:
            raise UnreadableError(
                f"page {z} of {self.path} is {by(plane.shape)}, the first {by(out.shape)} pixels; {self.path.name} is damaged"
            )
        out[...] = plane.reshape(out.shape)

    def _deep(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """Planes of a page that holds several (a volume tiled in depth): decoded at once."""
        assert self._file is not None
        series = self._file.series[0]
        whole = series.asarray()
        if self._sample is not None:
            whole = whole.take(self._sample, axis=series.axes.index("S"))
        planes = whole.reshape(self._count, *self.shape[1:])[self._first :: self._stride][z0:z1]
        return np.ascontiguousarray(planes, dtype=self.dtype)

    def _contiguous(self, z0: int, z1: int) -> npt.NDArray[Any]:
        assert self._offset is not None
        y, x = self.shape[1:]
        bytes_a_plane = y * x * self._raw.itemsize
        if self._stride == 1:
            return read_values(self.path, self._offset + (self._first + z0) * bytes_a_plane, (z1 - z0, y, x), self._order, self.dtype)
        places = (self._offset + (self._first + z * self._stride) * bytes_a_plane for z in range(z0, z1))
        return np.concatenate([read_values(self.path, place, (1, y, x), self._order, self.dtype) for place in places])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True)


def grey_ramp(palette: Any) -> bool:
    """Whether a palette (3, colours) is of greys that only rise, so that its numbers are grey levels."""
    colours = np.asarray(palette, np.int64) if palette is not None else np.zeros((0, 0))
    return colours.ndim == 2 and bool((colours == colours[:1]).all() and (np.diff(colours[0]) >= 0).all())


def read_values(path: Path, offset: int, shape: Triple, order: np.dtype[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Values that lie one after the other in a file, as an array of `shape` in `dtype`."""
    out = np.empty(shape, order)
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        view, done = memoryview(out.reshape(-1).view(np.uint8).data), 0
        while done < len(view):
            step = file.readinto(view[done : done + (1 << 26)])
            if not step:
                raise UnreadableError(
                    f"{path} is cut short: {len(view) - done} bytes are missing after byte {offset + done}; copy it again"
                )
            done += step
    return out.astype(dtype, copy=False)


def _plain(message: str) -> str:
    """What tifffile logged, without its own names."""
    text = message.split("> ")[-1].rstrip("')")
    tag = _TAG.search(message)
    return f"tag {tag[1]} has an {text}" if tag and text.startswith("invalid") else one_line(ValueError(text))


def _kind(file: tifffile.TiffFile) -> str:
    if file.is_ome:
        return "OME-TIFF"
    if file.is_imagej:
        return "ImageJ TIFF"
    return "BigTIFF" if file.is_bigtiff else "TIFF"


def voxel_size(file: tifffile.TiffFile) -> Voxel | None:
    """The voxel size that a TIFF states, or None: OME and ImageJ give three axes, a plain resolution the plane's, taken for all three."""
    try:
        if file.is_ome and file.ome_metadata:
            return _ome_voxel(file.ome_metadata)
        return _tag_voxel(file)
    except (*TIFF_DAMAGE, InputError):
        return None


def _ome_voxel(text: str) -> Voxel | None:
    pixels = tifffile.xml2dict(text)["OME"]["Image"]
    pixels = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
    if "PhysicalSizeX" not in pixels:
        return None
    unit = str(pixels.get("PhysicalSizeXUnit", "µm"))

    def size(axis: str, otherwise: float) -> float:
        """In the unit of x, which is meant where an axis names none of its own."""
        said = pixels.get(f"PhysicalSize{axis}")
        return otherwise if said is None else float(said) * in_unit(str(pixels.get(f"PhysicalSize{axis}Unit", unit)), unit)

    x = float(pixels["PhysicalSizeX"])
    y = size("Y", x)
    return Voxel((size("Z", y), y, x), unit_named(unit))


def _tag_voxel(file: tifffile.TiffFile) -> Voxel | None:
    """From the resolution tags: ImageJ names the unit and the spacing; else inch and centimetre count, except a printer's 72–600 dpi."""
    tags, imagej = file.pages.first.tags, file.imagej_metadata or {}
    if 282 not in tags or 283 not in tags:
        return None
    (xn, xd), (yn, yd) = tags[282].value, tags[283].value
    if not (xn and xd and yn and yd):
        return None
    x, y = xd / xn, yd / yn
    if imagej:
        named = str(imagej.get("unit", "")).encode().decode("unicode_escape", "replace").strip("\x00")
        if named in ("", "pixel", "pixels"):
            return None
        return Voxel((float(imagej.get("spacing", y)), y, x), unit_named(named))
    code = int(tags[296].value) if 296 in tags else 2
    if code == 3 and x < 0.02:
        return Voxel((y, y, x), "centimeter")
    if code == 2 and x < 1 / 1200:
        return Voxel((y, y, x), "inch")
    return None

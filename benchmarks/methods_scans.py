"""The scans of `methods.py`: each with its whole truth, and strokes of about 600 voxels a class on one slice, others for each seed.

Two batteries and a phantom are real or reconstructed slices; Berea and the electrode are simulated scans of exact geometries, cut to a
million and a half voxels: more of the same rock changes what a method takes, not how well it does.
"""

import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from lithoscope.labels.imports import import_labels
from lithoscope.labels.strokes import strokes
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from lithoscope.volume.simulate import Scanner, scan_of

Pair = tuple[np.ndarray, np.ndarray]
PIXELS = 600
SHAPE = (40, 192, 192)
"""Of the simulated scans."""


def _battery(folder: Path, numbers: tuple[int, ...]) -> Pair:
    place = folder / "labelled" / "battery"
    grey, truth = ([tifffile.imread(place / f"raw_{n}{end}.tif") for n in numbers] for end in ("", "_label"))
    return np.stack(grey), np.stack(truth) + 1


def _berea(folder: Path, noise: float = 30.0, dark: float = 80.0, bright: float = 160.0, corner: int = 150) -> Pair:
    with zipfile.ZipFile(folder / "geometry" / "berea_400.zip") as archive:
        rock = tifffile.imread(io.BytesIO(archive.read("berea.tif")))[corner : corner + SHAPE[0], 72 : 72 + SHAPE[1], 72 : 72 + SHAPE[2]]
    scanner = Scanner(noise=noise, rings=0, cupping=0, circular=False)
    return scan_of(rock, {0: dark, 255: bright}, scanner=scanner), np.where(rock == 0, 1, 2)


def _electrode(folder: Path) -> Pair:
    rock = tifffile.imread(folder / "geometry" / "electrode.tiff")[tuple(slice(0, n) for n in SHAPE)]
    scanner = Scanner(noise=30, rings=0, cupping=0, circular=False)
    return scan_of(rock, {0: 60.0, 85: 110.0, 170: 160.0}, scanner=scanner), rock // 85 + 1


def _phantom(folder: Path) -> Pair:
    place = folder / "labelled" / "phantom"
    exact = tifffile.imread(place / "phantom_gt.tif")
    return tifffile.imread(place / "phantom_recfbp.tif"), np.digitize(exact, [0.1, 0.25, 0.6]) + 1


DATA: dict[str, tuple[Callable[[Path], Pair], bool]] = {
    "battery-1": (lambda folder: _battery(folder, (1, 200, 400)), True),
    "battery-1501": (lambda folder: _battery(folder, (1501, 1502, 1503, 1504)), True),
    "berea": (_berea, False),
    "electrode": (_electrode, False),
    "phantom": (_phantom, True),
    "berea-other": (lambda folder: _berea(folder, noise=40.0, dark=90.0, bright=150.0, corner=300), False),
}
"""How each scan and its truth are made, and whether its slices are apart. `berea-other` is another part of the rock, scanned worse."""


def brush(source: Path) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """The brush that paints: `strokes.py` beside the data, so that all figures anywhere are of the same strokes."""
    spec = importlib.util.spec_from_file_location("strokes", source.parent / "strokes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    painted: Callable[[np.ndarray, int, int], np.ndarray] = module.strokes
    return painted


def made(name: str, seed: int, source: Path, folder: Path) -> Scan:
    """The scan with its truth as the result "truth", and the strokes of that seed on its first slice (the middle one of a volume)."""
    read, apart = DATA[name]
    grey, truth = read(source)
    truth = truth.astype(np.uint8)
    np.save(folder / f"{name}.npy", grey)
    np.save(folder / f"{name}-truth.npy", truth)
    scan = import_scan(folder / f"{name}.npy", folder / f"{name}-{seed}.zarr", separate_slices=apart, field_of_view="none")
    ids = {int(i): int(i) for i in np.unique(truth)}
    import_labels(scan, folder / f"{name}-truth.npy", "truth", kind="truth", value_map=ids)
    z = 0 if apart else len(truth) // 2
    painted = brush(source)(truth[z], PIXELS, seed)[None]
    with strokes(scan) as store:
        store.write(Box((z, 0, 0), (z + 1, *scan.shape[1:])), painted > 0, painted)
        store.flush()
    return scan

"""How well pooled features of crops find other crops of their scan: retrieval scores for scans that nobody labelled."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

Window = tuple[float, float]
Crop = tuple[npt.NDArray[Any], Window, str]
"""A crop (y, x), its scan's window, and the scan's number."""
Features = Callable[[npt.NDArray[Any], Window], npt.NDArray[np.float32]]

COUNT, EDGE = 14, 96
"""Crops a scan, and their side in voxels."""


def crops_of_scans(scans: Sequence["Scan"], *, seed: int = 0) -> list[Crop]:
    """Crops on planes across z, spread at random over each scan; a scan is called by its place in the list."""
    rng = np.random.default_rng(seed)
    found = []
    for number, scan in enumerate(scans):
        array = scan.array()
        for _ in range(COUNT):
            z, y, x = (int(rng.integers(0, max(1, n - e + 1))) for n, e in zip(scan.shape, (1, EDGE, EDGE), strict=True))
            found.append((np.asarray(array[z : z + 1, y : y + EDGE, x : x + EDGE])[0], scan.window, str(number)))
    return found


def pooled(values: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float64]:
    """Each picture's mean and deviation of every channel, (n, 2 · channels), from its channels (channels, …); at unit spread."""
    flat = [v.reshape(len(v), -1).astype(np.float64) for v in values]
    vectors = np.stack([np.concatenate([v.mean(1), v.std(1)]) for v in flat])
    made: npt.NDArray[np.float64] = (vectors - vectors.mean(0)) / np.maximum(vectors.std(0), 1e-6)
    return made


def found_again(crops: Sequence[Crop], features: Features) -> dict[str, float]:
    """p@n_k, and F1 of naming a crop's scan after its nearest crop (mean of ten splits); nothing without crops."""
    if not crops:
        return {}
    from lithoscope.scores.retrieval import nn_f1, p_at_nk

    vectors, names = pooled([features(image, window) for image, window, _ in crops]), [name for *_, name in crops]
    return {"p_at_nk": p_at_nk(vectors, names), "nn_f1": nn_f1(vectors, names).mean}

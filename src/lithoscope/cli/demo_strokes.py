"""Strokes for the demonstration of methods that are taught: a few discs a class, drawn from the sample's truth as a person would."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

DISCS = 12
RADIUS = 2


def paint(scan: Path, *, seed: int = 0) -> int:
    """Paint discs of each class on two slices of the sample scan, inside the phases; gives how many voxels were painted."""
    from lithoscope.labels.classes_file import save_classes
    from lithoscope.labels.results import open_result
    from lithoscope.labels.strokes import strokes
    from lithoscope.sample import CLASSES, TRUTH
    from lithoscope.volume.box import Box
    from lithoscope.volume.scan import Scan

    opened = Scan.open(scan)
    save_classes(opened, CLASSES)
    truth, (depth, rows, columns) = open_result(opened, TRUTH).array, opened.shape
    count = 0
    with strokes(opened) as store:
        for z in (depth // 3, 2 * depth // 3):
            labels = np.asarray(truth[z : z + 1])[0]
            painted = discs(labels, np.random.default_rng((seed, z)))
            for value in CLASSES.ids:
                mask = (painted == value)[None]
                if mask.any():
                    store.write(Box((z, 0, 0), (z + 1, rows, columns)), mask, value)
                    count += int(mask.sum())
    return count


def discs(truth: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A plane (y, x) with discs of every class of a truth, each inside its phase, 0 elsewhere."""
    made = np.zeros_like(truth)
    reach = np.arange(-RADIUS, RADIUS + 1)
    y, x = np.meshgrid(reach, reach, indexing="ij")
    offsets = np.stack([y[y**2 + x**2 <= RADIUS**2 + 1], x[y**2 + x**2 <= RADIUS**2 + 1]], 1)
    for label in np.unique(truth[truth > 0]):
        places = np.argwhere(truth == label)
        for at in places[rng.permutation(len(places))[:DISCS]]:
            stamp = at + offsets
            stamp = stamp[((stamp >= 0) & (stamp < truth.shape)).all(1)]
            stamp = stamp[truth[stamp[:, 0], stamp[:, 1]] == label]
            made[stamp[:, 0], stamp[:, 1]] = label
    return made

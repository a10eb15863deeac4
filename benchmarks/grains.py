"""Separated grains against known ones: packs of spheres, as they are and as a scanner sees them; beside scikit-image's usual recipe.

    LITHOSCOPE_SHARED_DATA=FOLDER python benchmarks/grains.py [--pictures FOLDER]

Prints the error of the count, the adjusted Rand index and the error of the mean diameter; the pictures show a plane of a pack and of the
Berea sandstone, whose grains nobody knows.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from filtering import berea
from lithoscope.labels.separate import find_grains
from lithoscope.measure.grains import measure_grains
from lithoscope.volume.box import Box
from lithoscope.volume.simulate import Scanner, scan_of

BLOCK = (64, 96, 96)
OVERLAP = {"touching": 2.0, "pressed 5 % into one another": 1.9, "pressed 15 % into one another": 1.7}


def pack(edge: int, radius: tuple[float, float], apart: float, seed: int = 0) -> tuple[np.ndarray, int]:
    """The number of the sphere that each voxel (edge, edge, edge) is of, 0 between them, and how many spheres there are.

    Each is put where it just reaches `apart` / 2 of the sum of radii near another, which makes contacts.
    """
    rng = np.random.default_rng(seed)
    truth, depth = np.zeros((edge,) * 3, np.int32), np.full((edge,) * 3, -np.inf, np.float32)
    centres, radii = np.zeros((0, 3)), np.zeros(0)
    for _ in range(6000):
        r = rng.uniform(*radius)
        at = rng.uniform(r, edge - r, 3)
        if len(radii):
            to = rng.integers(len(radii))
            way = rng.normal(size=3)
            at = centres[to] + way / np.linalg.norm(way) * (r + radii[to]) * apart / 2
            gap = np.linalg.norm(centres - at, axis=1) - (r + radii) * apart / 2
            if (gap < -1e-6).any() or (at < r).any() or (at > edge - r).any():
                continue
        centres, radii = np.vstack([centres, at]), np.append(radii, r)
        low, high = np.maximum(np.floor(at - r), 0).astype(int), np.minimum(np.ceil(at + r) + 1, edge).astype(int)
        place = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.ogrid[place]
        away = r - np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, at, strict=True)))
        mine = (away >= 0) & (away > depth[place])
        truth[place][mine] = len(radii)
        depth[place][mine] = away[mine]
    return truth, len(radii)


def ours(labels: np.ndarray, height: float = 1.0) -> np.ndarray:
    target = np.zeros(labels.shape, np.uint32)
    return find_grains(lambda box: labels[box.slices], 1, Box.whole(labels.shape), BLOCK, target, height=height).names[target]


def theirs(labels: np.ndarray) -> np.ndarray:
    """The recipe of scikit-image's gallery, its distance smoothed by one voxel."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    mask = labels == 1
    far = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    markers = np.zeros(mask.shape, np.int32)
    peaks = peak_local_max(far, min_distance=3, labels=mask.astype(np.int32), exclude_border=False)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-far, markers, mask=mask)


def dusted(labels: np.ndarray, least: int = 50) -> np.ndarray:
    """The labels without pieces of fewer voxels of either class, as everybody cleans before counting grains."""
    import cc3d

    for id in (1, 2):
        mask = (labels == id).astype(np.uint8)
        labels = np.where(mask.astype(bool) & (cc3d.dust(mask, threshold=least, connectivity=6) == 0), 3 - id, labels).astype(np.uint8)
    return labels


def scores(truth: np.ndarray, count: int, found: np.ndarray) -> tuple[float, float, float]:
    """The error of the count and of the mean diameter in percent, and the adjusted Rand index where both have a grain."""
    from sklearn.metrics import adjusted_rand_score

    both = (truth > 0) & (found > 0)
    n = int(found.max())
    table = measure_grains(found, n, Box.whole(found.shape), BLOCK)
    kept = table.voxels > 0
    known = np.cbrt(6 * np.bincount(truth[truth > 0])[1:] / np.pi)
    mean = float(table.diameter[kept].mean() / known[known > 0].mean() - 1)
    return 100 * (kept.sum() / count - 1), 100 * mean, float(adjusted_rand_score(truth[both], found[both]))


def table(edge: int) -> str:
    lines = ["| pack | spheres | ours, height 1 | ours, height 2 | scikit-image |", "|---|---|---|---|---|"]
    for title, radius, apart, noise in (
        *((f"one size, {name}", (9.0, 9.0), apart, 0) for name, apart in OVERLAP.items()),
        ("sizes 1 to 3, touching", (5.0, 15.0), 2.0, 0),
        ("sizes 1 to 3, scanned with noise 10, Otsu, islands below 50 removed", (5.0, 15.0), 2.0, 10),
        ("sizes 1 to 3, scanned with noise 25, a median of 3 × 3 × 3, Otsu, islands below 50 removed", (5.0, 15.0), 2.0, 25),
    ):
        truth, count = pack(edge, radius, apart)
        labels = np.where(truth > 0, 1, 2).astype(np.uint8)
        if noise:
            from skimage.filters import threshold_otsu

            scanner = Scanner(psf=0.8, noise=noise, rings=0, cupping=0, circular=False)
            grey = scan_of(labels, {2: 60, 1: 150}, seed=1, scanner=scanner)
            grey = ndimage.median_filter(grey, 3) if noise > 20 else grey
            labels = dusted(np.where(grey > threshold_otsu(grey), 1, 2).astype(np.uint8))
        cells = [scores(truth, count, found) for found in (ours(labels), ours(labels, 2.0), theirs(labels))]
        lines.append(f"| {title} | {count} | " + " | ".join(f"{c:+.1f} %, {d:+.1f} %, {a:.3f}" for c, d, a in cells) + " |")
    return "\n".join(lines)


def picture(numbers: np.ndarray, target: Path, zoom: int = 4) -> None:
    import PIL.Image

    colours = np.random.default_rng(5).integers(60, 255, (int(numbers.max()) + 1, 3)).astype(np.uint8)
    colours[0] = 0
    plane = colours[numbers[len(numbers) // 2]].repeat(zoom, 0).repeat(zoom, 1)
    PIL.Image.fromarray(plane).save(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Separated grains")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print("Each cell: error of the count, of the mean diameter, and adjusted Rand index.\n")
    print(table(64 if arguments.quick else 160))
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        spheres = np.where(pack(160, (5.0, 15.0), 2.0)[0] > 0, 1, 2).astype(np.uint8)
        picture(ours(spheres), arguments.pictures / "grains-spheres.png")
        rock = np.where(berea(192) > 0, 1, 2).astype(np.uint8)
        picture(ours(rock, 2.0), arguments.pictures / "grains-berea.png")

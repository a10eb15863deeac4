"""The filter bank beside scikit-image's, and what the coarse grid of the fast preset costs in exactness.

python benchmarks/filters.py [--json results.json] [--quick]
"""

import numpy as np

from harness import Row, bound, faster, main, seconds
from lithoscope.features.filters import FilterBank


def image(edge):
    from scipy.ndimage import gaussian_filter

    grey = gaussian_filter(np.random.default_rng(0).normal(size=(edge, edge, edge)).astype(np.float32), 2)
    return ((grey - grey.min()) / np.ptp(grey) * 255).astype(np.uint8)


def measure(quick: bool) -> list[Row]:
    from skimage.feature import multiscale_basic_features

    edge = 48 if quick else 128
    volume = image(edge)

    def theirs(values):
        return multiscale_basic_features(values, sigma_min=1, sigma_max=16, edges=False)

    bank = FilterBank.skimage(3)
    ours = bank.extract(volume, (0, 255), None)
    apart = float(np.abs(np.moveaxis(theirs(volume), -1, 0) - ours).max())
    rows = [
        faster(f"filter bank, 3D, 20 channels, {edge}³", "scikit-image", seconds(lambda: theirs(volume), 1),
               seconds(lambda: bank.extract(volume, (0, 255), None)), 5, f"largest difference {apart:.1g}"),
        bound("largest difference from scikit-image", apart, 1e-3, ""),
    ]  # fmt: skip
    plane, flat = volume.reshape(1, edge * edge // 64, -1), FilterBank.skimage(2)
    there = seconds(lambda: theirs(plane[0]), 1)
    rows.append(faster("filter bank, 2D, 15 channels", "scikit-image", there, seconds(lambda: flat.extract(plane, (0, 255), None)), 5))
    coarse = FilterBank((1.0, 2.0, 4.0, 8.0), coarse=True)
    exact = FilterBank((1.0, 2.0, 4.0, 8.0))
    a, b = coarse.extract(volume, (0, 255), None), exact.extract(volume, (0, 255), None)
    worst = float((np.sqrt(((a - b) ** 2).mean((1, 2, 3))) / b.std((1, 2, 3))).max())
    took = [seconds(lambda bank=bank: bank.extract(volume, (0, 255), None)) for bank in (exact, coarse)]
    rows.append(faster("large scales from a coarser grid", "the exact ones", *took, 1, f"at worst {worst:.2f} of a channel's spread apart"))
    return rows


if __name__ == "__main__":
    main("Filters", measure)

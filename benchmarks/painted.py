"""Strokes as a person paints them: wandering discs inside one phase, never across its border."""

import numpy as np


def strokes(truth: np.ndarray, pixels: int, seed: int, radius: int = 2) -> np.ndarray:
    """About `pixels` painted pixels of each class 1 … n of a truth (y, x), 0 elsewhere."""
    from scipy.ndimage import binary_erosion

    rng = np.random.default_rng(seed)
    made = np.zeros(truth.shape, np.uint8)
    offsets = np.argwhere(np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius) - radius
    for label in np.unique(truth[truth > 0]):
        inside = binary_erosion(truth == label)
        starts = np.argwhere(inside)
        for _ in range(40 * pixels if len(starts) else 0):
            place, angle = starts[rng.integers(len(starts))].astype(float), rng.uniform(0, 2 * np.pi)
            for _ in range(30):
                stamp = np.round(place).astype(int) + offsets
                stamp = stamp[((stamp >= 0) & (stamp < truth.shape)).all(1)]
                stamp = stamp[truth[stamp[:, 0], stamp[:, 1]] == label]
                made[stamp[:, 0], stamp[:, 1]] = label
                angle += rng.normal(0, 0.4)
                place = place + 2 * np.array([np.sin(angle), np.cos(angle)])
                y, x = np.round(place).astype(int)
                if not (0 <= y < truth.shape[0] and 0 <= x < truth.shape[1] and inside[y, x]):
                    break
            if (made == label).sum() >= pixels:
                break
    return made

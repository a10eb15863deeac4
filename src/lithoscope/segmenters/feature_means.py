"""K-means of features: places that look alike at several scales, by their texture as much as by their grey value.

Voxels drawn from blocks spread over the scan are standardised, so that no channel outweighs another, and clustered by
mini-batches, each of voxels of all blocks, from the best of several random starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report
from lithoscope.segmenters.base import Block, Labels, Samples
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]
Pieces = Callable[[Block], Iterator[tuple[slice, "Tensor"]]]
"""The features of a block's core, some planes at a time: (planes of the core, (channels, planes, y, x))."""

EDGE, COUNT = 40, 24
"""The blocks that are learnt from …"""
MOST_OF_A_BLOCK = 4096
"""… so many voxels of each."""
BATCH = 4096
"""Voxels of one mini-batch."""
SETTLED = 1e-3
"""An attempt ends when in a round over all batches no centre moves further than this, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Voxels of a scan: features (n, channels) and grey values (n,)."""

    features: npt.NDArray[np.float32]
    grey: Floats


@dataclass(frozen=True, eq=False)
class FeatureMeans:
    """Centres (classes, channels) in the features' own units, the channels' standard deviations, the classes' mean grey values,
    rising, and the mean squared distance of a voxel to its centre, in standard deviations."""

    centres: Floats
    spread: Floats
    grey: Floats
    inertia: float

    @classmethod
    def of(cls, drawn: Drawn, classes: int, *, attempts: int, rounds: int, seed: int, report: Report) -> Self:
        """From the best of several starts, each settled on the voxels of one batch."""
        mean, spread = drawn.features.mean(0, np.float64), drawn.features.std(0, dtype=np.float64)
        spread = np.where(spread > 0, spread, 1.0)
        x = (drawn.features - mean) / spread
        rng = np.random.default_rng(seed)
        some = x[rng.choice(len(x), min(len(x), BATCH), replace=False)]
        centres, least = _started(some, classes, rng), np.inf
        for attempt in range(attempts):
            report(Progress(attempt, attempts, f"grouping {len(x)} voxels"))
            found = _settled(some, _started(some, classes, rng), rounds, rng)
            distance = float(_nearest(some, found)[1].mean())
            if distance < least:
                centres, least = found, distance
        best, _ = _nearest(x, _settled(x, centres, rounds, rng))
        if np.bincount(best, minlength=classes).min() == 0:
            raise InputError(f"the features do not tell {classes} classes apart; ask for fewer")
        size = np.bincount(best).astype(np.float64)
        grey = np.bincount(best, drawn.grey) / size
        order = np.argsort(grey, kind="stable")
        middles = _sums(x, best, classes) / size[:, None]
        inertia = float(((x - middles[best]) ** 2).sum(1).mean())
        return cls((middles * spread + mean)[order], spread, grey[order], inertia)

    def labels(self, features: "Tensor") -> Labels:
        """Class 1…n of voxels of features (channels, …): that of the nearest centre."""
        import torch

        weight, bias = (torch.from_numpy(part) for part in self.nearness())
        # In double precision, so that the class of a voxel does not depend on how many are asked for at once.
        near = (weight @ features.flatten(1).double()).add_(bias[:, None])
        found: Labels = near.argmax(0).add_(1).to(torch.uint8).reshape(features.shape[1:]).numpy()
        return found

    def nearness(self) -> tuple[Floats, Floats]:
        """How near each centre is, but for what is the same for all: weights (classes, channels) and biases (classes,)."""
        scaled = self.centres / self.spread
        return scaled / self.spread, -(scaled**2).sum(1) / 2

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "means.centres": self.centres,
            "means.spread": self.spread,
            "means.grey": self.grey,
            "means.inertia": np.array([self.inertia]),
        }

    @classmethod
    def restored(cls, state: dict[str, npt.NDArray[Any]]) -> Self:
        centres, spread, grey = (np.asarray(state[f"means.{name}"], np.float64) for name in ("centres", "spread", "grey"))
        return cls(centres, spread, grey, float(state["means.inertia"][0]))


def drawn(
    samples: Samples, pieces: Pieces, halo: Triple, channels: int, classes: int, *, planes: int = EDGE, seed: int, report: Report
) -> Drawn:
    """Voxels of the field of view, the same number of every block where there are enough; only so many `planes` of each are looked at."""
    rng = np.random.default_rng(seed)
    features, grey = [np.zeros((0, channels), np.float32)], [np.zeros(0)]
    for number, block in enumerate(samples.spread(EDGE, COUNT, halo)):
        report(Progress(number, COUNT, "looking at blocks spread over the scan"))
        block = _thinned(block, planes)
        image = block.image[block.core]
        known = np.isfinite(image) if block.inside is None else block.inside[block.core] & np.isfinite(image)
        there = np.flatnonzero(known)
        chosen = np.sort(rng.choice(there, min(MOST_OF_A_BLOCK, len(there)), replace=False))
        plane = image.shape[1] * image.shape[2]
        for some, values in pieces(block):
            here = chosen[(chosen >= some.start * plane) & (chosen < some.stop * plane)] - some.start * plane
            features.append(np.ascontiguousarray(values.flatten(1).numpy()[:, here].T))
        grey.append(image.reshape(-1)[chosen].astype(np.float64))
    found = np.concatenate(features)
    kinds = len(np.unique(found, axis=0)) if len(found) <= 4 * MOST_OF_A_BLOCK else len(np.unique(found[:: len(found) // 4096], axis=0))
    if kinds < classes:
        what = "nothing in the field of view" if not kinds else "only 1 kind of place" if kinds == 1 else f"only {kinds} kinds of place"
        raise InputError(f"{classes} classes were asked for, but there is {what} that the features tell apart; ask for fewer classes")
    return Drawn(found, np.concatenate(grey))


def _thinned(block: Block, planes: int) -> Block:
    """The block with no more than so many planes, of its middle, in its core."""
    z, y, x = block.core
    low = z.start + max(0, z.stop - z.start - planes) // 2
    return replace(block, core=(slice(low, min(low + planes, z.stop)), y, x))


def _nearest(x: Floats, centres: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """The nearest centre of every voxel (n,), and its squared distance (n,)."""
    distance = (centres**2).sum(1) - 2 * (x @ centres.T)
    nearest = distance.argmin(1)
    return nearest, np.maximum(distance[np.arange(len(x)), nearest] + (x**2).sum(1), 0)


def _sums(x: Floats, nearest: npt.NDArray[np.intp], classes: int) -> Floats:
    return np.stack([np.bincount(nearest, column, classes) for column in x.T], axis=1)


def _started(x: Floats, classes: int, rng: np.random.Generator) -> Floats:
    """Centres (classes, channels) drawn from the voxels, each the likelier the further it lies from those before (k-means++)."""
    some = x[rng.choice(len(x), min(len(x), BATCH), replace=False)]
    centres = [some[rng.integers(len(some))]]
    distance = ((some - centres[0]) ** 2).sum(1)
    while len(centres) < classes:
        total = distance.sum()
        centres.append(some[rng.choice(len(some), p=distance / total)] if total > 0 else some[rng.integers(len(some))])
        distance = np.minimum(distance, ((some - centres[-1]) ** 2).sum(1))
    return np.array(centres)


def _settled(x: Floats, centres: Floats, rounds: int, rng: np.random.Generator) -> Floats:
    """The centres after rounds of mini-batches: each moves to the mean of all that were nearest to it, of late the most."""
    size = np.zeros(len(centres))
    for _ in range(rounds):
        before, order = centres, rng.permutation(len(x))
        for first in range(0, len(x), BATCH):
            batch = x[order[first : first + BATCH]]
            nearest, _ = _nearest(batch, centres)
            own = np.bincount(nearest, minlength=len(centres))
            size += own
            centres = centres + (_sums(batch, nearest, len(centres)) - own[:, None] * centres) / np.maximum(size, 1)[:, None]
        if np.abs(centres - before).max() <= SETTLED:
            break
        size /= 2
    return centres

"""The published linear head, fitted at once instead of step by step: a linear map of tokens has one best answer, found in seconds.

A few dozen steps of a training that begins at random leave this head far from it, and what is taught beneath it learns from noise.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from lithoscope.features.token_grid import plane_tokens, windowed
from lithoscope.features.token_lookup import around, at_places
from lithoscope.job import Progress, Report
from lithoscope.segmenters.linear import Linear
from lithoscope.training.token_heads import LinearHead
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.segmenters.dino_network import How
    from lithoscope.segmenters.network_parts import Taught
    from lithoscope.training.crops import Piece

MOST = 20_000
"""Voxels that are learnt from, drawn from what is painted and what is hinted at."""
STRENGTH = 0.01
"""How little the map is held back, as that of kept tokens."""


def fit_head(head: LinearHead, found: "Taught", how: "How", report: Report) -> None:
    """Set `head` to the map that tells the taught voxels apart best, classes counting alike; held ones teach nothing."""
    total = sum(int((p.teaching > 0).sum()) for p in found.pieces) * len(how.axes)
    rng, looked, said = np.random.default_rng(how.plan.seed), [], []
    for number, piece in enumerate(found.pieces):
        report(Progress(number, len(found.pieces), "fitting the linear head"))
        for axis in how.axes:
            places = np.argwhere(piece.teaching)
            places = places[rng.random(len(places)) < MOST / max(total, 1)]
            if len(places):
                looked.append(_tokens_at(piece, axis, places, how))
                said.append(piece.teaching[tuple(places.T)].astype(np.int64) - 1)
    tokens, target = np.concatenate(looked), np.concatenate(said)
    classes, counts = np.unique(target, return_counts=True)
    weights = np.zeros(len(found.table))
    weights[classes] = len(target) / len(classes) / counts
    fitted = Linear.fit(tokens, np.searchsorted(classes, target), weights[target], strength=STRENGTH)
    mean, spread = tokens.mean(0), np.sqrt(tokens.var(0) + head.norm.eps)
    with torch.no_grad():
        assert head.norm.running_mean is not None
        assert head.norm.running_var is not None
        assert head.map.bias is not None
        head.norm.running_mean.copy_(torch.from_numpy(mean))
        head.norm.running_var.copy_(torch.from_numpy(tokens.var(0)))
        head.map.weight.zero_()
        head.map.bias.fill_(-1e3 if len(classes) < len(weights) else 0.0)
        head.map.weight[torch.from_numpy(classes), :, 0, 0] = torch.from_numpy(fitted.weight * spread)
        head.map.bias[torch.from_numpy(classes)] = torch.from_numpy(fitted.bias + fitted.weight @ mean)


def _tokens_at(piece: "Piece", axis: int, places: npt.NDArray[np.intp], how: "How") -> npt.NDArray[np.float32]:
    """Whole tokens (n, channels) at places (n, 3) of a piece, on its planes across an axis."""
    made = np.empty((len(places), how.backbone.width), np.float32)
    for index in np.unique(places[:, axis]):
        here = np.flatnonzero(places[:, axis] == index)
        low, high = places[here].min(0), places[here].max(0) + 1
        box = Box((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))
        wanted = around(how.grid, axis, box)
        plane = windowed(np.take(piece.image, int(index), axis), piece.window)
        near = plane_tokens(how.backbone.network, plane, how.grid, windows=how.windows, wanted=wanted)[None]
        own = tuple(places[here, k] - low[k] for k in range(3))
        made[here] = at_places(near, how.grid, axis, box, own)
    return made

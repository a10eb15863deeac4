"""The commands about backbones: what there is, teaching one on scans, and measuring what its tokens hold."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Progress, Report, silent

if TYPE_CHECKING:
    from lithoscope.features.tokens import Tokens

Json = dict[str, Any]
Window = tuple[float, float]
Labelled = tuple[npt.NDArray[Any], Window, npt.NDArray[np.uint8]]
"""A plane (y, x), its scan's window, and its truth."""


def backbones(*, fetch: str | None = None, report: Report = silent) -> Json:
    """Every known backbone: whether it ships, is here, under which licence, with which checksum; `fetch` brings one from its hub."""
    from lithoscope.features import backbones as known

    if fetch is not None:
        known.fetch(fetch)
    return {"backbones": known.listing(), "folders": [str(home) for home in known.homes()]}


def device_of(wish: str) -> str:
    """The device that "auto" means here, or the one that was asked for."""
    import torch

    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish not in there:
        raise InputError(f"device {wish!r} is not one of auto, cpu, cuda, mps")
    if not there[wish]:
        raise InputError(f"there is no {wish} device here; use --device auto")
    return wish


def evaluate_backbone(
    backbones: Sequence[str],
    *,
    scans: Sequence[str],
    truth: str = "truth",
    scale: float = 2.0,
    per_class: int = 600,
    slices: int = 3,
    device: str = "auto",
    seed: int = 0,
    report: Report = silent,
) -> Json:
    """Linear and nearest-neighbour probes of tokens on labelled scans: taught on the first scan's middle slice, scored on the
    other scans, or on the far end of the same one when there is one only; and, of two scans or more, how well pooled crops find
    others of their scan (p@n_k, F1 of the nearest). Beside plain pixels and random weights."""
    from lithoscope.cli.commands.finding_again import crops_of_scans, found_again
    from lithoscope.features.backbones import Backbone, open_backbone, weights_hash
    from lithoscope.features.probes import effective_rank, probe
    from lithoscope.features.tokens import Tokens
    from lithoscope.features.vit import Vit
    from lithoscope.labels.results import open_result
    from lithoscope.volume.scan import Scan

    opened = [Scan.open(Path(path), readonly=True) for path in scans]
    if not opened:
        raise InputError("name at least one scan with a result that holds the truth")

    def taken(scan: Scan, places: Sequence[int]) -> list[Labelled]:
        if truth not in scan.results():
            raise MissingError(f"{scan.name} has no result {truth!r}; bring in the truth with: lithoscope labels import … --as truth")
        labels = open_result(scan, truth).array
        return [(np.asarray(scan.array()[z : z + 1])[0], scan.window, np.asarray(labels[z : z + 1])[0]) for z in places]

    depth = opened[0].shape[0]
    teaching = taken(opened[0], [depth // 2 if len(opened) > 1 else depth // 8])[0]
    if len(opened) > 1:
        scored = [image for scan in opened[1:] for image in taken(scan, _spread(scan.shape[0], slices))]
        grouped = "taught on one volume, scored on others"
    else:
        scored = taken(opened[0], [depth // 2 + z for z in _spread(depth - depth // 2, slices)])
        grouped = "one volume only: taught near its top, scored in its lower half"
    labels = sparse(teaching[2], per_class, seed)
    crops = crops_of_scans(opened, seed=seed) if len(opened) > 1 else []
    rows: list[Json] = []

    def measure(name: str, features: Callable[[npt.NDArray[Any], Window], npt.NDArray[np.float32]]) -> None:
        report(Progress(len(rows), 2 + len(backbones), name))
        found = probe((features(*teaching[:2]), labels), [(features(*image[:2]), image[2]) for image in scored])
        values = features(*teaching[:2])
        flat = values.reshape(len(values), -1).T[:: max(1, values[0].size // 20_000)]
        rank = effective_rank(flat) if len(values) > 1 else 1.0
        again = found_again(crops, features)
        rows.append({"name": name, "linear": found.linear, "neighbours": found.neighbours, **again, "effective_rank": rank})

    def pixels(image: npt.NDArray[Any], window: Window) -> npt.NDArray[np.float32]:
        return ((image.astype(np.float32) - window[0]) / (window[1] - window[0]))[None]

    measure("pixels", pixels)
    for name in backbones:
        found = open_backbone(Path(name) if Path(name).exists() else name, device=device_of(device))
        network = Vit.random(found.config).to(device_of(device))
        untaught = Backbone(f"{found.name}, untaught", network, "none", weights_hash(network))
        for backbone in (found, untaught):
            tokens = Tokens(backbone=str(name), scale=scale, reduced=0)
            tokens.__dict__["opened"] = backbone
            measure(backbone.name, partial(_token_plane, tokens))
    return {"grouped": grouped, "scale": scale, "crops": len(crops), "rows": rows}


def _token_plane(tokens: "Tokens", image: npt.NDArray[Any], window: Window) -> npt.NDArray[np.float32]:
    return tokens.extract(image[None], window, None)[:, 0]


def sparse(truth: npt.NDArray[np.uint8], per_class: int, seed: int) -> npt.NDArray[np.uint8]:
    """So many voxels of each class of a truth, drawn at random, 0 elsewhere."""
    rng = np.random.default_rng(seed)
    made = np.zeros_like(truth)
    for label in np.unique(truth[truth > 0]):
        places = np.argwhere(truth == label)
        chosen = places[rng.choice(len(places), min(per_class, len(places)), replace=False)]
        made[chosen[:, 0], chosen[:, 1]] = label
    return made


def _spread(depth: int, count: int) -> list[int]:
    return sorted({int(z) for z in np.linspace(0, depth - 1, min(count, depth) + 2)[1:-1]} or {0})

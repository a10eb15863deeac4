"""Making a taught backbone ready to use: its PCA basis, half precision, and the checksum of what was written."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lithoscope.features import basis as bases
from lithoscope.features.backbones import open_backbone, sha256
from lithoscope.features.basis import Basis
from lithoscope.features.probes import effective_rank
from lithoscope.features.vit import Vit
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.loop import write


def kept_layers(depth: int) -> tuple[tuple[int, ...], ...]:
    """The choices of layers that a basis is made for: the last, and a third, two thirds and all of the way."""
    return ((-1,), (max(1, depth // 3), max(1, 2 * depth // 3), depth))


def tokens_of(network: Vit, crops: Crops, layers: tuple[int, ...], steps: int, batch: int = 16) -> Iterator[npt.NDArray[np.float32]]:
    """Patch tokens (n, channels) of crops drawn as for training, but not augmented."""
    for step in range(steps):
        images, _ = crops.single(step * crops.pool.refresh, batch)
        with torch.inference_mode():
            found = network.layers(network.normalised(images.to(next(network.parameters()).device)), layers)
        tokens = torch.cat([t[:, network.prefix :] for t in found], -1).flatten(0, 1)
        yield tokens.float().cpu().numpy()


def finish(folder: Path, crops: Crops, *, kept: int = 64, steps: int = 24, half: bool = True, into: Path | None = None) -> Path:
    """Write the backbone of `folder` with its bases to `into` (itself by default); gives the folder."""
    network = open_backbone(folder).network
    target = into or folder
    write(target, network, half=half)
    network = open_backbone(target).network
    made: dict[tuple[int, ...], Basis] = {}
    for layers in kept_layers(network.config.depth):
        made[layers] = Basis.fit(tokens_of(network, crops, layers, steps), min(kept, network.config.hidden))
    bases.save(target, made)
    checksums = {"sha256": sha256(target / "model.safetensors"), "pca_sha256": sha256(target / bases.NAME), "parameters": network.size()}
    (target / "checksum.json").write_text(json.dumps(checksums, indent=1) + "\n", encoding="utf-8")
    return target


def ranks(network: Vit, crops: Crops, layers: Sequence[int], steps: int = 4) -> dict[int, float]:
    """The effective rank of the tokens of each layer."""
    return {layer: effective_rank(np.concatenate(list(tokens_of(network, crops, (layer,), steps)))) for layer in layers}

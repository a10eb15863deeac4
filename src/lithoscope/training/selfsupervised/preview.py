"""What masked autoencoding paints: crops, what was shown of them, and what was painted, side by side in one picture."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from lithoscope.errors import MissingError
from lithoscope.features.backbones import open_backbone
from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.mae import Mae


def preview(folder: Path, crops: Crops, *, count: int = 6, share: float = 0.6, into: Path | None = None) -> Path:
    """Draw the reconstructions of the training in `folder`; gives the PNG's path. Rows: crop, shown, painted."""
    from PIL import Image
    from safetensors.torch import load_file

    path = folder / "checkpoint" / "state.safetensors"
    if not path.exists():
        raise MissingError(f"{folder} holds no training to draw from")
    tensors = {n.removeprefix("objective."): t for n, t in load_file(path).items() if n.startswith("objective.")}
    network = open_backbone(folder).network
    objective = Mae(network.config, start=network, origins=len(tensors["name_scan.weight"]))
    objective.load_state_dict(tensors)
    objective.eval()
    images, _ = crops.single(0, count)
    patch = network.config.patch
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(count, (crops.side // patch) ** 2, generator=generator).argsort(1)
    with torch.inference_mode():
        painted, shown, _ = objective.painted(network.normalised(images), share, order)
    mask = torch.zeros(order.shape).scatter_(1, shown, 1.0)
    seen = functional.interpolate(mask.view(count, 1, crops.side // patch, -1), scale_factor=patch, mode="nearest")
    whole = functional.fold(painted.transpose(1, 2).float(), crops.side, patch, stride=patch)
    rows = [images, images * seen, images * seen + whole * (1 - seen)]
    picture = np.vstack([np.hstack([image[0].clamp(0, 1).numpy() for image in row]) for row in rows])
    target = into or folder / "reconstructions.png"
    Image.fromarray((255 * picture).astype(np.uint8)).save(target)
    return target

"""What masked autoencoding paints: crops, what was shown of them, and what was painted, side by side in one picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from lithoscope.training.selfsupervised.crops import Crops
from lithoscope.training.selfsupervised.mae import Mae

NAME = "reconstructions.png"


def picture(objective: Mae, crops: Crops, *, count: int = 6, share: float = 0.6) -> npt.NDArray[np.uint8]:
    """The reconstructions as one grey picture (y, x). Rows: crop, shown, painted."""
    network = objective.encoder
    images, _ = crops.single(0, count)
    patch = network.config.patch
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(count, (crops.side // patch) ** 2, generator=generator).argsort(1)
    device = next(objective.parameters()).device
    with torch.inference_mode():
        painted, shown, _ = (t.cpu() for t in objective.painted(network.normalised(images.to(device)), share, order))
    mask = torch.zeros(order.shape).scatter_(1, shown, 1.0)
    seen = functional.interpolate(mask.view(count, 1, crops.side // patch, -1), scale_factor=patch, mode="nearest")
    whole = functional.fold(painted.transpose(1, 2).float(), crops.side, patch, stride=patch)
    rows = [images, images * seen, images * seen + whole * (1 - seen)]
    return (255 * np.vstack([np.hstack([image[0].clamp(0, 1).numpy() for image in row]) for row in rows])).astype(np.uint8)


def draw(folder: Path, objective: Mae, crops: Crops) -> Path:
    """Write the picture of a training to its folder in one move, so that who looks on never sees half of it."""
    from PIL import Image

    partial = folder / f"{NAME}.partial"
    Image.fromarray(picture(objective, crops)).save(partial, format="PNG")
    return partial.replace(folder / NAME)

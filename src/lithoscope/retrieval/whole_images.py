"""Vectors of whole images: plain pixels, or what a backbone says of them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.images import ImageFile, cropped, opened, pixels16

if TYPE_CHECKING:
    from lithoscope.features.backbones import Backbone

Pooling = Literal["class", "mean"]
_BATCH = 8

PIXELS = "pixels16"


def by_pixels(images: Sequence[ImageFile], report: Report = silent) -> npt.NDArray[np.float64]:
    """The `pixels16` of each image, (n, 256)."""
    found = []
    for done, image in enumerate(images):
        report(Progress(done, len(images), image.name))
        found.append(pixels16(opened(image)))
    return np.stack(found)


def by_backbone(
    images: Sequence[ImageFile], backbone: "Backbone", pooling: Pooling = "class", report: Report = silent
) -> npt.NDArray[np.float32]:
    """The class token of each image, or the mean of its patches' tokens, as the network gives them: (n, channels)."""
    import torch

    network = backbone.network
    device = next(network.parameters()).device
    found = []
    for done, batch in _batches(images, backbone.config.channels):
        report(Progress(done, len(images), f"looking at {images[done].name}"))
        pixels = torch.from_numpy(batch).to(device)
        with torch.inference_mode():
            tokens = network(network.normalised(pixels))
        found.append((tokens[:, 0] if pooling == "class" else tokens[:, network.prefix :].mean(1)).float().cpu().numpy())
    made: npt.NDArray[np.float32] = np.concatenate(found)
    return made


def _batches(images: Sequence[ImageFile], channels: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Cropped pictures (n, channels, y, x) at 0…1, grey where the network knows no colours."""
    for start in range(0, len(images), _BATCH):
        seen = [cropped(opened(image)) for image in images[start : start + _BATCH]]
        grey = channels == 1
        values = np.stack([np.asarray(p.convert("L") if grey else p, np.float32) / 255 for p in seen])
        yield start, values[:, None] if grey else np.ascontiguousarray(np.moveaxis(values, -1, 1))

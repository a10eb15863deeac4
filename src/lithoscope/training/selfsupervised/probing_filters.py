"""Small filters laid over a patch, whose rectified answers tell how strongly it bends and how rough it is."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from lithoscope.training.selfsupervised.described import WIDTHS, bends, smoothed

LAYERS: tuple[tuple[tuple[int, float, int], ...], ...] = (
    ((0, 1.5, 1), (-1, 3.0, 1)),
    ((-1, 10.0, 1), (1, 1.5, 2), (2, 1.5, 2), (3, 1.5, 4), (2, 0.5, 4), (3, 0.5, 4)),
    ((0, 5.0, 1), (-1, 1.0, 1)),
    ((1, 5.0, 2), (1, 0.5, 4), (-1, 30.0, 1), (2, 5.0, 2), (3, 5.0, 4)),
)
"""For each of the first layers: which width (-1: roughness), how strongly the filters' answers rectify, and by what step, in patches
of 8, they are laid."""


def probing(images: Tensor, patch: int, layer: int, room: int) -> Iterator[tuple[Tensor, float]]:
    """The filters' answers to images (n, 1, y, x), as rows of patches, and how strongly to rectify them; two hidden units an answer
    are there for no more than nine tenths of `room`."""
    taken = 0
    for width, gain, step in LAYERS[layer] if layer < len(LAYERS) else ():
        answers = _answers(images, patch, width, max(1, round(step * patch / 8)))
        most = (9 * room // 10 - taken) // 2
        if most <= 0:
            return
        answers = answers[:, :most]
        taken += 2 * answers.shape[1]
        yield answers, gain


def _answers(images: Tensor, patch: int, width: int, step: int) -> Tensor:
    """(rows, filters · places): along four directions of bending, or of roughness alone."""
    made = []
    for part in torch.split(images, 32):
        if width < 0:
            fields = part - smoothed(part, WIDTHS[0])
        else:
            _, even, odd = bends(part, WIDTHS[width])
            fields = torch.cat([even, odd, (even + odd) * 0.5**0.5, (even - odd) * 0.5**0.5], 1)
        n, kinds = fields.shape[:2]
        pieces = functional.unfold(fields, patch, stride=patch).view(n, kinds, patch, patch, -1)
        first = (step - 1) // 2
        picked = pieces[:, :, first::step, first::step].flatten(1, 3)
        made.append(picked.transpose(1, 2).flatten(0, 1))
    return torch.cat(made)

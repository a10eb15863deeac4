"""Attention that begins by looking at what looks alike, and how widely attention looks.

Queries and keys are alike: what tells a token, at unit spread. Each head is given something else to tell tokens by: the numbers
that describe the patch, what lies around it, its own detail. So a token looks at others of its kind from the start, and at itself
most; what it takes from them is left to gradients. In the last layer attention also averages from the start what a token's kind is
like in this picture, for whoever teaches that layer further: each head averages the numbers over the patches that are near in its
kind of numbers, by a Gaussian of their distance (non-local means, Buades, Coll and Morel, CVPR 2005, of descriptions instead of
grey values).
"""

import math
from typing import cast

import torch
from torch import Tensor

from lithoscope.features.vit import Layer, Vit

KEEN = 1.2
"""How far the likeness of two tokens spreads, before the softmax."""

TOLD_BY = 16
"""By how many directions, at most, a head tells tokens apart."""


ALIKE = 4.0
"""How fast likeness falls with the mean squared distance of two patches' numbers: by e to the minus this where it is one."""

HEARD = 0.5
"""How strongly the last layer's workspace carries what a patch's kind is like, where 1 is how strongly tokens carry numbers."""


def hear_kinds(layer: Layer, spread: float, kinds: list[Tensor], reading: Tensor, heard: Tensor, sizes: Tensor) -> None:
    """Have head after head of a layer average the numbers that `reading` (numbers, hidden) finds over patches near in `kinds` (each
    (some of the numbers, hidden)), and write them to the channels `heard` (kinds, numbers); the channels `sizes` (kinds) hold each
    patch's mean squared number of the kind. `spread`: by what tokens are divided as they come in."""
    attention = layer.attention
    hidden = reading.shape[1]
    width = hidden // attention.heads
    maps = (attention.attention.query, attention.attention.key, attention.attention.value, attention.output.dense)
    for map_ in maps[2:]:
        map_.weight.zero_()
        map_.bias.zero_()
    query, key, value, output = maps
    for head, (kind, channels) in enumerate(zip(kinds, heard, strict=True)):
        first, count = head * width, len(kind)
        for map_ in (query, key):
            map_.weight[first : first + width] = 0
            map_.bias[first : first + width] = 0
            map_.weight[first : first + count] = spread * math.sqrt(2 * ALIKE / count * math.sqrt(width)) * kind
        query.bias[first + count] = 1.0
        key.weight[first + count, sizes[head]] = -ALIKE * math.sqrt(width) * spread
        value.weight[first : first + len(reading)] = spread * reading
        output.weight[channels, torch.arange(first, first + len(reading))] = HEARD


def look_alike(layer: Layer, rows: Tensor, parts: list[Tensor]) -> None:
    """Have each head of a layer look at tokens that are alike in one of `parts` (directions, hidden), heads taking them in turn;
    `rows` (n, hidden) are normalised tokens."""
    attention = layer.attention
    width = rows.shape[1] // attention.heads
    weight, bias = torch.zeros(rows.shape[1], rows.shape[1]), torch.zeros(rows.shape[1])
    for head in range(attention.heads):
        seen = parts[head % len(parts)]
        values, vectors = torch.linalg.eigh(torch.cov((rows @ seen.T).T).double())
        most = min(TOLD_BY, width, int((values > 1e-4 * values.max()).sum()))
        main = (vectors[:, -most:] / values[-most:].clamp_min(1e-12).sqrt()).T.float() @ seen
        main = main * math.sqrt(KEEN * math.sqrt(width / most))
        place = slice(head * width, head * width + most)
        weight[place], bias[place] = main, -main @ rows.mean(0)
    for map_ in (attention.attention.query, attention.attention.key):
        map_.weight.copy_(weight)
        map_.bias.copy_(bias)


def looked_at(network: Vit, images: Tensor) -> list[float]:
    """At how many tokens a patch of images (n, 1, y, x) looks in each layer: the exponential of its attention's entropy, averaged
    over patches and heads. 1: at one alone; as many as there are: at all of them alike."""
    found = []
    with torch.inference_mode():
        pixels = network.normalised(images.to(next(network.parameters()).device))
        x, far = network.embeddings(pixels), network.far(pixels)
        for layer in cast("list[Layer]", network.encoder.layer):
            weights = layer.attention.weights(layer.norm1(x), far)[:, :, network.prefix :].float()
            found.append(float(torch.special.entr(weights).sum(-1).mean().exp()))
            x = layer(x, None, far)
    return found

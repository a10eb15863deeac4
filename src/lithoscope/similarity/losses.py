"""What is asked of vectors: that alike ones lie nearer than unlike ones, by triplets or over a whole batch."""

import torch
from torch import Tensor
from torch.nn import functional

from lithoscope.similarity.settings import Distance


def distance(a: Tensor, b: Tensor, kind: Distance) -> Tensor:
    """How far vectors (…, channels) lie apart: 1 - cosine, or straight."""
    if kind == "cosine":
        return 1 - functional.cosine_similarity(a, b, dim=-1)
    return (a - b).square().sum(-1).clamp_min(1e-12).sqrt()


def distances(vectors: Tensor, kind: Distance) -> Tensor:
    """The same between all vectors (n, channels): (n, n)."""
    if kind == "cosine":
        unit = functional.normalize(vectors, dim=-1)
        return 1 - unit @ unit.T
    return torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")


def triplet_loss(vectors: Tensor, triplets: Tensor, *, kind: Distance, margin: float, swap: bool) -> Tensor:
    """The mean over triplets (triplets, 3) of by how much the unlike is not `margin` farther than the alike.

    With `swap` the unlike is taken from whichever of the two alike it is nearer to (Balntas and others, 2016).
    """
    anchor, positive, negative = vectors[triplets].unbind(1)
    near, far = distance(anchor, positive, kind), distance(anchor, negative, kind)
    if swap:
        far = torch.minimum(far, distance(positive, negative, kind))
    return (near - far + margin).clamp_min(0).mean()


def contrastive_loss(vectors: Tensor, same: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Supervised contrast (Khosla and others, 2020, their L_out): of all that is known of an anchor, the alike are to be the nearest.

    `same` and `other` (n, n) say what is known; anchors without both teach nothing.
    """
    unit = functional.normalize(vectors, dim=-1)
    likeness = unit @ unit.T / temperature
    anchors = same.any(1) & other.any(1)
    if not anchors.any():
        return vectors.sum() * 0
    likeness, alike, known = likeness[anchors], same[anchors], (same | other)[anchors]
    logs = likeness - likeness.masked_fill(~known, -torch.inf).logsumexp(1, keepdim=True)
    return -(logs.masked_fill(~alike, 0).sum(1) / alike.sum(1)).mean()

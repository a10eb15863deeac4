"""What a network is told about its answer where somebody said what is right, and how much each class counts."""

import torch
from torch import Tensor
from torch.nn import functional

BOUND = 5.0
"""No class counts more than so many times the average voxel, and none less than a fifth of it."""
DENSE = 0.5
"""A crop of which this part is labelled is taken for a mask, which overlap is measured on as well."""


def class_weights(counts: Tensor) -> Tensor:
    """How much a voxel of each class counts (classes,), by how many were painted: rare ones more, within `BOUND`.

    The square root of the inverse frequency, so that a class of two voxels in a thousand neither vanishes nor drowns the others.
    """
    part = counts.double() / counts.sum().clamp_min(1)
    present = counts > 0
    weights = torch.where(present, part.clamp_min(1e-12).rsqrt(), torch.zeros_like(part))
    mean = (weights * part).sum().clamp_min(1e-12)
    return torch.where(present, (weights / mean).clamp(1 / BOUND, BOUND), torch.zeros_like(part)).float()


def painted_loss(logits: Tensor, labels: Tensor, weights: Tensor, *, smoothing: float = 0.0, total: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits (n, classes, …) over the voxels whose labels (n, …) are 1…classes; 0 says nothing.

    The mean over the weight of all painted voxels, or with `total` the sum over that weight: parts of a batch then add up to it.
    """
    known = labels > 0
    said, target = logits.movedim(1, -1)[known].float(), labels[known].long() - 1
    found = functional.cross_entropy(said, target, weights, label_smoothing=smoothing, reduction="sum")
    return found / (painted_weight(labels, weights) if total is None else total)


def painted_weight(labels: Tensor, weights: Tensor) -> Tensor:
    """What all painted voxels of a batch weigh together, at least a little."""
    known = torch.cat([weights.new_zeros(1), weights])
    return known[labels.long()].sum().clamp_min(1e-6)


def dense_crops(labels: Tensor) -> Tensor:
    """Which crops (n,) are labelled so densely that overlap says something."""
    return (labels > 0).flatten(1).float().mean(1) >= DENSE


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """One minus the mean overlap (Dice) of the classes, over the crops that are dense; 0 where none is."""
    dense = dense_crops(labels)
    if not bool(dense.any()):
        return logits.sum() * 0.0
    logits, labels = logits[dense].float(), labels[dense].long()
    known = (labels > 0).unsqueeze(1)
    truth = functional.one_hot(labels.clamp_min(1) - 1, logits.shape[1]).movedim(-1, 1) * known
    likely = torch.softmax(logits, 1) * known
    axes = (0, *range(2, logits.ndim))
    there = truth.sum(axes)
    both = 2 * (likely * truth).sum(axes) / (likely.sum(axes) + there).clamp_min(1e-6)
    return 1 - both[there > 0].mean()


def agreement_loss(student: Tensor, teacher: Tensor, labels: Tensor, *, confident: float | None = None) -> Tensor:
    """How far two logits (n, classes, …) differ where nobody said anything.

    Mean square of the probabilities; with `confident`, cross-entropy with the teacher's class where it is at least so sure.
    """
    open_ = labels == 0
    if confident is None:
        apart = (torch.softmax(student.float(), 1) - torch.softmax(teacher.float(), 1)).square().mean(1)
        return (apart * open_).sum() / open_.sum().clamp_min(1)
    sure, best = torch.softmax(teacher.float(), 1).max(1)
    kept = open_ & (sure >= confident)
    found = functional.cross_entropy(student.float(), torch.where(kept, best, -1), ignore_index=-1, reduction="sum")
    return found / open_.sum().clamp_min(1)

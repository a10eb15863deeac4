"""How strongly crops may be toned before classes that differ in grey alone can no longer be told apart.

At full strength toning moves grey values by up to a third of the window. Phases that lie much nearer than that, and differ in little
else, are then the same to a network, however many strokes it is given. So what teaches it, painted or hinted, is asked: how well does
one threshold tell every two classes apart, untoned and toned? The strength is the highest up to 1, in hundredths, that leaves `KEPT` of
that to all classes which a threshold tells apart better than halfway between a guess and the truth. Of the others grey values say
little, and they have no say: strong tones keep a network from leaning on them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.training.augment import HIGH, LOW, Augmentation
from lithoscope.training.crops import windowed

if TYPE_CHECKING:
    from lithoscope.training.crops import Piece

Floats = npt.NDArray[np.float64]

WELL = 0.5
"""How well one threshold tells two classes apart for toning to mind them: 0 is a guess, 1 without a mistake (Kolmogorov–Smirnov)."""
KEPT = 0.8
"""How much of that toning leaves. On a phantom whose phases lie a thirtieth of the window apart that is a strength of 0.07: a UNet told
them apart as well as without any toning at 0.05, nearly so at 0.07, and badly from 0.125 on."""
FEW = 20
"""Of a class of fewer voxels nobody knows how its grey values lie."""
BINS = 512
"""Of grey values from `LOW` to `HIGH`."""
TONES = 7
"""Values of contrast, of shift and of gamma that stand for all there are."""
HUNDREDTHS = 100


def grey_values(pieces: Sequence["Piece"], classes: int) -> npt.NDArray[np.int64]:
    """How many of the voxels that teach each class lie in each of `BINS` (classes, bins) from `LOW` to `HIGH` of a window at 0…1."""
    counts = np.zeros(classes * BINS, np.int64)
    for piece in pieces:
        known = piece.teaching > 0
        values = windowed(piece.image[known], piece.window)
        bins = ((values - LOW) * (BINS / (HIGH - LOW))).astype(np.intp).clip(0, BINS - 1)
        counts += np.bincount((piece.teaching[known].astype(np.intp) - 1) * BINS + bins, minlength=classes * BINS)
    return counts.reshape(classes, BINS)


def bearable(counts: npt.NDArray[np.int64]) -> tuple[float, tuple[int, ...]]:
    """The strength, from 0 to 1, that grey values (classes, bins) bear, of which there are `counts`; and the two classes (from 1 on)
    that lose most at full strength, none where they bear it."""
    own = np.flatnonzero(counts.sum(1) >= FEW)
    parts = counts[own] / counts[own].sum(1, keepdims=True)
    plain = _told_apart(parts)
    minded = plain > WELL

    def left(hundredths: int) -> Floats:
        """What so strong a toning leaves of how well every two classes are told apart (classes, classes)."""
        found: Floats = np.where(minded, _told_apart(parts @ _moves(hundredths / HUNDREDTHS)) / np.maximum(plain, WELL), 1.0)
        return found

    full = left(HUNDREDTHS)
    if full.min(initial=1.0) >= KEPT:
        return 1.0, ()
    one, other = divmod(int(full.argmin()), len(own))
    low, high = 0, HUNDREDTHS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if left(middle).min() >= KEPT else (low, middle)
    return low / HUNDREDTHS, (int(own[one]) + 1, int(own[other]) + 1)


def _told_apart(parts: Floats) -> Floats:
    """How well one threshold tells every two of these grey values (classes, bins) apart: (classes, classes), over the diagonal alone."""
    below, found = parts.cumsum(1), np.zeros((len(parts), len(parts)))
    for i in range(len(parts) - 1):
        found[i, i + 1 :] = np.abs(below[i + 1 :] - below[i]).max(1)
    return found


def _moves(strength: float) -> Floats:
    """Where toning so strongly moves the grey values of each bin: the part of them (bins, bins) that ends in each."""
    how = Augmentation().toned_by(strength)
    even = (np.arange(TONES) + 0.5) / TONES * 2 - 1
    contrast, shift, gamma = (e.reshape(-1, 1) for e in np.meshgrid(how.contrast * even, how.shift * even, how.gamma * even))
    grey = (np.arange(BINS) + 0.5) / BINS * (HIGH - LOW) + LOW
    made = (grey - 0.5) * np.exp(contrast) + 0.5 + shift
    within = made.clip(0, 1)
    made = within ** np.exp(gamma) + (made - within)
    ends = ((made - LOW) * (BINS / (HIGH - LOW))).astype(np.intp).clip(0, BINS - 1)
    flat = np.bincount((np.arange(BINS) * BINS + ends).reshape(-1), minlength=BINS * BINS)
    found: Floats = flat.reshape(BINS, BINS) / len(made)
    return found

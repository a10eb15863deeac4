"""What is held out when similarity is taught: whole groups, of each class about the same part; and what makes such a score too good."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.similarity.relations import Relation

Bools = npt.NDArray[np.bool_]
TWIN = 0.995
"""Pictures whose grey values correlate by more are one place seen twice."""
FINE = 12
_MOST = 4000


def held_out(relation: Relation, groups: Sequence[str], share: float, seed: int = 0) -> tuple[Bools, tuple[str, ...]]:
    """Which items (n,) are held out: whole groups, about `share` of each kind, of which two items at least stay; and what to say of it."""
    kinds, names = relation.kinds, np.asarray(groups, np.str_)
    order = np.random.default_rng(seed).permutation(np.unique(names))
    members = {name: np.flatnonzero(names == name) for name in order.tolist()}
    sizes = np.bincount(kinds[kinds >= 0], minlength=len(relation.names))
    taught, wanted = sizes.copy(), sizes * share
    held = np.zeros(len(kinds), bool)
    for rows in members.values():
        counts = np.bincount(kinds[rows][kinds[rows] >= 0], minlength=len(sizes))
        here = counts > 0
        before, left = (sizes - taught)[here], (taught - counts)[here]
        lacking = before < np.maximum(wanted[here], 0.5)
        little = before + counts[here] <= wanted[here] + 2
        first = (before == 0) & (left >= counts[here])  # of classes with few groups one is held out, however large
        if here.any() and lacking.any() and (left >= 2).all() and (little | first).all():
            held[rows] = True
            taught -= counts
    notes = []
    without = [name for name, size, left in zip(relation.names, sizes, taught, strict=True) if size > 1 and size == left]
    if not held.any():
        raise InputError(
            "no group can be held out, for each has all items of a class; name more groups (--group), or add items of other samples"
        )
    if without:
        notes.append(f"nothing of {', '.join(without[:4])}{' …' if len(without) > 4 else ''} can be held out; the score says nothing of it")
    return held, tuple(notes)


def leaks(thumbnails: npt.NDArray[np.float32], relation: Relation, groups: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """What makes a held-out score too good: near twins (n, y, x) that carry one label in two groups, so that one teaches the other."""
    rows = np.arange(len(names))
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(0).permutation(len(rows))[:_MOST])
    values = thumbnails[rows].reshape(len(rows), -1).astype(np.float64)
    values -= values.mean(1, keepdims=True)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    held, kinds = np.asarray(groups, np.str_)[rows], relation.kinds[rows]
    near = (values @ values.T > TWIN) & (held[:, None] != held[None]) & (kinds[:, None] == kinds[None]) & (kinds[:, None] >= 0)
    pairs = np.argwhere(np.triu(near, 1))
    if not len(pairs):
        return ()
    a, b = (names[int(rows[i])] for i in pairs[0])
    count = len(np.unique(pairs))
    return (
        f"labels leak across groups: {count} items have a near twin of the same label in another group (such as {a} and {b}), "
        "so the held-out score is too good; say what belongs together with --group",
    )

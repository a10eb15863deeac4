"""Attention and rollout as overlays: of one window around a place, or of a whole plane averaged over overlapping windows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.explain.attention import Seen, Token, look, window_side
from lithoscope.explain.overlay import Overlay, share_limits, smallest_mass
from lithoscope.explain.place import AXES, Place
from lithoscope.features.token_grid import Grid
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.features.backbones import Backbone
    from lithoscope.volume.scan import Scan

Floats = npt.NDArray[np.float32]
MASS = 0.5
"""The part of the attention that the outline holds, as published."""


def attention(seen: Seen, *, block: int = -1, head: int | None = None, at: Triple | None = None, mass: float = MASS) -> Overlay:
    """Where a token looks: the one that holds the voxel `at`, or the class token. Values are shares of the window's attention."""
    query: Token = "class" if at is None else seen.token_at(at)
    values = seen.patches(seen.row(block, query, head))
    number = seen.depth if block == -1 else block
    said = f"block {number} of {seen.depth}, {'mean of heads' if head is None else f'head {head} of {seen.heads}'}"
    return _map("attention", f"attention · {said}", values, seen, at, mass, {"block": number, "head": head})


def rollout(seen: Seen, *, at: Triple | None = None, mass: float = MASS, check: Callable[[], None] = lambda: None) -> Overlay:
    """What of the window reaches a token through all blocks."""
    values = seen.patches(seen.rollout("class" if at is None else seen.token_at(at), check))
    return _map("rollout", f"attention rollout · all {seen.depth} blocks", values, seen, at, mass, {})


def _map(kind: str, title: str, values: Floats, seen: Seen, at: Triple | None, mass: float, about: dict[str, int | None]) -> Overlay:
    whose = "from the class token" if at is None else "from the token at " + ",".join(map(str, at))
    outline = smallest_mass(values, mass) if 0 < mass < 1 else None
    notes = [whose, seen.backbone]
    if outline is not None:
        notes.append(f"outline: {100 * mass:g} % of it in {int(outline.sum())} of {outline.size} patches")
    return Overlay(
        kind, title, values, seen.place, share_limits(values), "magma", ("none", "most"), outline, seen.frame, at, tuple(notes),
        {**about, "mass": mass, "token": None if at is None else list(at), "window": list(seen.shape)},
    )  # fmt: skip


def whole_plane(
    scan: "Scan",
    backbone: "Backbone",
    axis: int,
    index: int,
    *,
    kind: str = "attention",
    block: int = -1,
    head: int | None = None,
    mass: float = MASS,
    image: str | None = None,
    pixels: int | None = None,
    scale: float = 1.0,
    report: Report = silent,
) -> Overlay:
    """The class token's attention over a plane: windows half overlapping, each as a multiple of an even share, averaged.

    No network looked at the plane as a whole, and the title says so.
    """
    grid, side = Grid(backbone.patch, scale), window_side(backbone, pixels)
    along = [a for a in range(3) if a != axis]
    counts = [int(scan.shape[a] * scale) // backbone.patch for a in along]
    starts = [sorted({min(s, max(n - side, 0)) for s in range(0, max(n - side, 0) + side // 2 + 1, max(1, side // 2))}) for n in counts]
    total, shares = np.zeros(counts, np.float32), np.zeros(counts, np.float32)
    places = [(r, c) for r in starts[0] for c in starts[1]]
    seen, check = None, lambda: None
    for done, (r, c) in enumerate(places):
        report(Progress(done, len(places), f"attention over plane {AXES[axis]}={index}"))
        at = [index] * 3
        for a, s, n in zip(along, (r, c), counts, strict=True):
            at[a] = int((s + min(side, n) / 2) * grid.pitch)
        seen = look(scan, backbone, axis, (at[0], at[1], at[2]), image=image, pixels=pixels, scale=scale, check=check)
        row = seen.rollout("class") if kind == "rollout" else seen.row(block, "class", head)
        values = seen.patches(row) * row[seen.prefix :].size
        tent = np.outer(*(_tent(n) for n in seen.shape))
        here = tuple(slice(s, s + n) for s, n in zip(seen.start, seen.shape, strict=True))
        total[here] += values * tent
        shares[here] += tent
    report(Progress(len(places), len(places), f"attention over plane {AXES[axis]}={index}"))
    assert seen is not None
    made: Floats = (total / np.maximum(shares, 1e-9)).astype(np.float32)
    made[shares == 0] = np.nan
    number = seen.depth if block == -1 else block
    said = f"all {seen.depth} blocks" if kind == "rollout" else f"block {number}, {'mean of heads' if head is None else f'head {head}'}"
    outline = smallest_mass(made, mass) if 0 < mass < 1 else None
    many = len(places) > 1
    notes = [f"averaged over {len(places)} overlapping windows" if many else "one window", "from the class token", backbone.name]
    if outline is not None:
        notes.append(f"outline: {100 * mass:g} % of it")
    title = f"{'attention rollout' if kind == 'rollout' else 'attention'} · {said}{', averaged over windows' if many else ''}"
    about = {"block": None if kind == "rollout" else number, "head": head, "mass": mass, "windows": len(places), "averaged": many}
    low, high = 0.0, max(2.0, share_limits(made)[1])
    place = Place.of_tokens(axis, index, grid)
    ends = ("none", f"{high:.1f} × even")
    return Overlay(kind, title, made, place, (low, high), "magma", ends, outline, None, None, tuple(notes), about)


def _tent(count: int) -> Floats:
    """How much a window counts at each of its patches: the less the nearer to its ends."""
    return (np.minimum(np.arange(count), np.arange(count)[::-1]) + 0.5).astype(np.float32)

"""Tokens as colours: their three main directions as red, green and blue, the same for every plane, scan and session.

The directions belong to the backbone: its own basis where it brings one, else one fitted once and kept in the person's folder, or
one fitted on a scan and kept beside it. Colours are cut at fixed numbers of standard deviations of that basis, never at what a
plane happens to hold, so that a colour means the same wherever it is seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError, MissingError
from lithoscope.explain.overlay import Overlay
from lithoscope.features import basis as bases
from lithoscope.features.basis import Basis
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from lithoscope.explain.plane_tokens import PlaneTokens
    from lithoscope.volume.scan import Scan

Floats = npt.NDArray[np.float32]
Keep = Literal["above", "below"]

REACH = 2.0
"""Colours run from so many standard deviations below the mean to as many above it."""
SPREAD_PLANES = 24
"""Planes that a basis is fitted to where tokens are not kept of the whole scan."""


@dataclass(frozen=True, eq=False)
class TokenColours:
    """Three directions in the space of kept tokens. `shares` (3,) is the part of the tokens' variance along each, where fitted."""

    basis: Basis
    shares: tuple[float, ...]
    origin: str = ""

    @classmethod
    def of(cls, basis: Basis, origin: str = "") -> "TokenColours":
        """The first three directions of a basis."""
        variances = basis.spread.astype(np.float64) ** 2
        shares = variances / max(variances.sum(), 1e-12) * basis.explained
        return cls(basis.shortened(3), tuple(float(s) for s in shares[:3]), origin)

    def components(self, tokens: npt.NDArray[Any]) -> Floats:
        """Where tokens (…, width) lie along each direction, in its standard deviations: (…, 3)."""
        if tokens.shape[-1] != self.basis.mean.size:
            raise InputError(f"the basis is of tokens of {self.basis.mean.size} channels, these have {tokens.shape[-1]}; fit one for them")
        flat = (tokens.astype(np.float32).reshape(-1, tokens.shape[-1]) - self.basis.mean) @ self.basis.components.T
        made = np.zeros((len(flat), 3), np.float32)
        made[:, : self.basis.kept] = flat / self.basis.spread
        return made.reshape(*tokens.shape[:-1], 3)

    def rgb(self, tokens: npt.NDArray[Any], foreground: float | None = None, keep: Keep = "above") -> npt.NDArray[np.uint8]:
        """Colours (rows, columns, 4); with `foreground` only tokens whose first component is `keep` that many deviations."""
        values = self.components(tokens)
        made = np.full((*values.shape[:-1], 4), 255, np.uint8)
        made[..., :3] = np.clip((values / REACH + 1) * 127.5, 0, 255).round()
        if foreground is not None:
            made[..., 3] = 255 * (values[..., 0] > foreground if keep == "above" else values[..., 0] < foreground)
        return made

    def held(self, tokens: npt.NDArray[Any]) -> float:
        """The part of the variance of these very tokens (…, width) that lies along the three directions."""
        flat = tokens.astype(np.float64).reshape(-1, tokens.shape[-1])
        along = (flat - flat.mean(0)) @ self.basis.components.T.astype(np.float64)
        return float(along.var(0).sum() / max(flat.var(0).sum(), 1e-12))


def overlay(
    source: "PlaneTokens", colours: TokenColours, axis: int, index: int, *, foreground: float | None = None, keep: Keep = "above"
) -> Overlay:
    """The colours of a plane."""
    tokens = source.of(axis, index)
    shares = " + ".join(f"{100 * s:.0f}" for s in colours.shares)
    notes: tuple[str, ...] = (f"{colours.origin}: {shares} % of the variance", f"{100 * colours.held(tokens):.0f} % on this plane")
    if foreground is not None:
        notes = (*notes, f"first component {keep} {foreground:g} σ")
    about = {"shares": list(colours.shares), "basis": colours.basis.key(), "foreground": foreground, "keep": keep}
    name, values, inside = source.tokens.opened.name, colours.rgb(tokens, foreground, keep), source.inside(axis, index)
    if inside is not None:
        values[~inside, 3] = 0
    return Overlay("pca", f"tokens of {name}", values, source.place(axis, index), notes=notes, about=about)


def colours_for(source: "PlaneTokens", wish: str = "backbone", report: Report = silent) -> TokenColours:
    """The colours in use: those of the "backbone", those of this "scan" (fitted now if nobody has), or of a basis in a folder."""
    tokens = source.tokens
    if wish == "scan":
        return _kept(source, source.scan.sidecar / "explain" / "bases" / tokens.key(), "basis of this scan", report)
    if wish != "backbone":
        found = bases.load(Path(wish), tokens.layers)
        if found is None:
            raise MissingError(f"there is no basis in {wish}; give backbone, scan, or the folder of a basis fitted before")
        return TokenColours.of(found, f"basis of {Path(wish).name}")
    own = tokens.used
    if own is None:
        return _kept(source, own_bases() / tokens.key(), f"basis of {tokens.opened.name}, fitted on the first scan", report)
    # Tokens are kept in this basis already: their own first channels are the directions.
    unit = own.spread / own.spread[0]
    inside = Basis(np.zeros(own.kept, np.float32), np.eye(own.kept, dtype=np.float32), unit.astype(np.float32), own.explained)
    return TokenColours.of(inside, f"basis of {tokens.opened.name}")


def own_bases() -> Path:
    """Where bases are kept for backbones that bring none: the same for every scan and session of a person."""
    from platformdirs import user_data_path

    return user_data_path("lithoscope", appauthor=False) / "bases"


def _kept(source: "PlaneTokens", folder: Path, origin: str, report: Report) -> TokenColours:
    found = bases.load(folder, source.tokens.layers)
    if found is None:
        found = fit(source, report=report)
        if not (source.scan.readonly and folder.is_relative_to(source.scan.sidecar)):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
                bases.save(folder, {source.tokens.layers: found})
    return TokenColours.of(found, origin)


def fit(source: "PlaneTokens", kept: int = 3, *, axes: tuple[int, ...] | None = None, report: Report = silent) -> Basis:
    """A basis of a scan's tokens, plane after plane in bounded memory: over all planes that are kept of the whole scan, else
    over planes spread over it, across each axis that planes can be seen across."""
    return Basis.fit(_pieces(source, axes or axes_seen(source.scan, source), report), kept)


def axes_seen(scan: "Scan", source: "PlaneTokens") -> tuple[int, ...]:
    """The axes across which planes hold at least a token."""
    if scan.separate_slices:
        return (0,)
    grid, found = source.tokens.grid, []
    for axis in range(3):
        sides = [n for a, n in enumerate(scan.shape) if a != axis]
        if min(sides) * grid.scale >= grid.patch:
            found.append(axis)
    return tuple(found) or (0,)


def _pieces(source: "PlaneTokens", axes: tuple[int, ...], report: Report) -> Iterator[Floats]:
    whole = [axis for axis in axes if any(c.planes(axis) >= source.scan.shape[axis] for c in source.whole(axis))]
    if whole:
        planes = [(axis, index) for axis in whole for index in range(source.scan.shape[axis])]
    else:
        each = max(1, SPREAD_PLANES // len(axes))
        planes = [(axis, int(i)) for axis in axes for i in _spread(source.scan.shape[axis], each)]
    for done, (axis, index) in enumerate(planes):
        report(Progress(done, len(planes), "looking at planes to choose the colours"))
        tokens = source.of(axis, index)
        yield tokens.reshape(-1, tokens.shape[-1]).astype(np.float32)
    report(Progress(len(planes), len(planes), "choosing the colours"))


def _spread(size: int, count: int) -> list[int]:
    return sorted({int((i + 0.5) * size / count) for i in range(min(count, size))})

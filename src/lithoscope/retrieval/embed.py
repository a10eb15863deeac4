"""Vectors of places in a scan: what a backbone's tokens say of the planes through them. Rows of a library and queries are made here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.features.token_grid import Grid, windowed
from lithoscope.features.tokens import Tokens
from lithoscope.retrieval.patches import Cubes
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.sources import Source
from lithoscope.volume.blocks import read
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.features.backbones import Backbone

Floats = npt.NDArray[np.float32]
Range = tuple[int, int]
_BATCH = 64
TOKENS = 250_000
"""How many tokens of a plane are held at once, about."""
MOST_PLANES = 3
"""Through how many planes across each axis a query is seen, at most."""


@dataclass(frozen=True, eq=False)
class Embedder:
    """A recipe with its backbone open on a device."""

    recipe: Recipe
    backbone: "Backbone"
    device: str = "cpu"

    def tokens(self, edge: int) -> Tokens:
        """The tokens for patches of this edge."""
        made = self.recipe.tokens(edge, self.device)
        made.__dict__["opened"] = self.backbone
        return made

    def rows(
        self, source: Source, cubes: Cubes, shown: npt.NDArray[np.bool_], said: Callable[[], None] = lambda: None
    ) -> dict[str, Floats]:
        """For each column the vectors (patches, width) of the patches that are `shown`, in their order. `said` is called once a plane.

        Columns of planes that a flat scan does not have are left out.
        """
        numbers = np.full(shown.shape, -1)
        numbers[shown] = np.arange(int(shown.sum()))
        found: dict[str, Floats] = {}
        for plane in self._planes(source):
            axis = "zyx".index(plane)
            others = [a for a in range(3) if a != axis]
            ranges = [[(s, s + cubes.edges[a]) for s in cubes.starts[a]] for a in others]
            whole = [(min(r[0] for r in rs), max(r[1] for r in rs)) for rs in ranges]
            kept = {p: np.empty((int(shown.sum()), self.recipe.width), np.float32) for p in self.recipe.poolings}
            for i, start in enumerate(cubes.starts[axis]):
                said()
                here = np.take(numbers, i, axis)
                if (here < 0).all():
                    continue
                look = _Look(self, source, axis, start + cubes.edges[axis] // 2, cubes.edges[others[1]])
                wanted = here >= 0
                if "mean" in kept:
                    kept["mean"][here[wanted]] = look.means(whole, ranges)[wanted]
                if "class" in kept:
                    places = np.argwhere(wanted)
                    squares = [(ranges[0][int(r)], ranges[1][int(c)]) for r, c in places]
                    kept["class"][here[wanted]] = look.classes(squares)
            found |= {f"{plane}_{pooling}": values for pooling, values in kept.items()}
        return found

    def query(
        self, source: Source, box: Box, scale: float = 1.0, mask: npt.NDArray[np.bool_] | None = None, planes: Sequence[str] | None = None
    ) -> dict[str, Floats]:
        """For each column one vector (width,) of a box, as a patch of this scale would see it. `mask` (the box's shape) says which
        voxels count; `planes` leaves the others out."""
        found: dict[str, Floats] = {}
        voxel = source.voxel_um or (None, None, None)
        for plane in planes or self._planes(source):
            axis = "zyx".index(plane)
            others = [a for a in range(3) if a != axis]
            edge = self.recipe.edge(scale, voxel[others[1]] if self.recipe.patch_um is not None else None) if self.recipe.patch else 1
            square = (box.start[others[0]], box.stop[others[0]]), (box.start[others[1]], box.stop[others[1]])
            vectors: dict[str, list[Floats]] = {p: [] for p in self.recipe.poolings}
            for index in self._through(box, axis, edge, mask):
                look = _Look(self, source, axis, index, edge)
                if "mean" in vectors:
                    part = None if mask is None else np.take(mask, index - box.start[axis], axis)
                    vectors["mean"].append(look.mean(square, part))
                if "class" in vectors:
                    vectors["class"].append(look.classes([square])[0])
            found |= {f"{plane}_{pooling}": np.mean(values, axis=0) for pooling, values in vectors.items()}
        return found

    def voxel_tokens(self, source: Source, box: Box, axis: int, index: int, scale: float = 1.0) -> tuple[Floats, Floats, Floats, Box]:
        """The tokens (rows, columns, width) around a box on one plane, the shares of rows and of columns in its voxels, and the
        box of that plane."""
        others = [a for a in range(3) if a != axis]
        voxel = source.voxel_um
        edge = self.recipe.edge(scale, voxel[others[1]] if voxel and self.recipe.patch_um is not None else None) if self.recipe.patch else 1
        look = _Look(self, source, axis, index, edge)
        square = [(box.start[a], box.stop[a]) for a in others]
        tokens, grid, first = look.tokens(square)
        rows, columns = (_between_weights(grid, r, f, n) for r, f, n in zip(square, first, tokens.shape[:2], strict=True))
        return tokens, rows, columns, look.box(square)

    def _planes(self, source: Source) -> tuple[str, ...]:
        return tuple(p for p in self.recipe.planes if p == "z") if source.flat else self.recipe.planes

    def _through(self, box: Box, axis: int, edge: int, mask: npt.NDArray[np.bool_] | None) -> list[int]:
        """The planes through a box: its middle, or more where it is thicker than a patch; only those that a mask touches."""
        low, high = box.start[axis], box.stop[axis]
        there = np.arange(low, high)
        if mask is not None:
            there = there[mask.any(axis=tuple(a for a in range(3) if a != axis))]
        count = min(MOST_PLANES, max(1, round(len(there) / edge)), len(there))
        return [int(there[(2 * i + 1) * len(there) // (2 * count)]) for i in range(count)]


@dataclass(frozen=True, eq=False)
class _Look:
    """One plane of a scan, seen at the scale of patches of one edge."""

    embedder: Embedder
    source: Source
    axis: int
    index: int
    edge: int

    def tokens(self, ranges: Sequence[Range]) -> tuple[Floats, Grid, Range]:
        """The tokens (rows, columns, width) that lie in or next to two ranges of voxels, their grid, and the number of the first."""
        tokens = self.embedder.tokens(self.edge)
        grid, reach = tokens.grid, max(tokens.halo())
        numbers = [_between(grid, r, n) for r, n in zip(ranges, self._shape, strict=True)]
        seen = [(max(0, r[0] - reach), min(n, r[1] + reach)) for r, n in zip(ranges, self._shape, strict=True)]
        found = tokens.of_plane(self._plane(seen), self.source.window, (seen[0][0], seen[1][0]), (numbers[0], numbers[1]))
        return found, grid, (numbers[0][0], numbers[1][0])

    @property
    def _shape(self) -> list[int]:
        return [n for a, n in enumerate(self.source.shape) if a != self.axis]

    def box(self, ranges: Sequence[Range]) -> Box:
        parts = list(ranges)
        parts.insert(self.axis, (self.index, self.index + 1))
        (a, b), (c, d), (e, f) = parts
        return Box((a, c, e), (b, d, f))

    def _plane(self, ranges: Sequence[Range]) -> npt.NDArray[Any]:
        plane: npt.NDArray[Any] = np.take(read(self.source.array, self.box(ranges)), 0, self.axis)
        return plane

    def means(self, whole: Sequence[Range], ranges: Sequence[Sequence[Range]]) -> Floats:
        """The mean of the tokens in each square (rows, columns, width); those outside the field of view do not count where others do."""
        grid = self.embedder.tokens(self.edge).grid
        across = len(range(*_between(grid, whole[1], self._shape[1])))
        tall = max(1, int(TOKENS / max(across, 1) * grid.pitch) - self.edge)
        found, begun = [], 0
        for end in range(1, len(ranges[0]) + 1):
            if end == len(ranges[0]) or ranges[0][end][1] - ranges[0][begun][0] > tall:
                rows = ranges[0][begun:end]
                found.append(self._means(((rows[0][0], max(r[1] for r in rows)), whole[1]), (rows, ranges[1])))
                begun = end
        made: Floats = np.concatenate(found)
        return made

    def _means(self, whole: Sequence[Range], ranges: Sequence[Sequence[Range]]) -> Floats:
        tokens, grid, first = self.tokens(whole)
        rows, columns = (np.stack([_shares(grid, r, f, n) for r in rs]) for rs, f, n in zip(ranges, first, tokens.shape[:2], strict=True))
        counts = self._counts(grid, first, tokens.shape[:2])
        total = np.einsum("ar,rcd,bc->abd", rows, tokens * counts[..., None], columns, optimize=True)
        made: Floats = total / np.einsum("ar,rc,bc->ab", rows, counts, columns, optimize=True)[..., None]
        return made

    def mean(self, square: tuple[Range, Range], part: npt.NDArray[np.bool_] | None) -> Floats:
        """The mean of the tokens in one square, or of those at the voxels of `part` (the square's shape)."""
        if part is None:
            whole: Floats = self._means(square, [[square[0]], [square[1]]])[0, 0]
            return whole
        tokens, grid, first = self.tokens(square)
        rows, columns = (_between_weights(grid, r, f, n) for r, f, n in zip(square, first, tokens.shape[:2], strict=True))
        weights = rows.T @ part.astype(np.float32) @ columns
        mean: Floats = np.einsum("rc,rcd->d", weights, tokens) / weights.sum()
        return mean

    def _counts(self, grid: Grid, first: Range, count: Sequence[int]) -> Floats:
        """How much each token counts: almost nothing where its middle lies outside the field of view."""
        middles = [np.clip(_middles(grid, f, c), 0, n - 1).round().astype(int) for f, c, n in zip(first, count, self._shape, strict=True)]
        whole = [(int(m[0]), int(m[-1]) + 1) for m in middles]
        inside = self.source.inside(self.box(whole))
        if inside is None:
            return np.ones((count[0], count[1]), np.float32)
        plane = np.take(inside, 0, self.axis)[np.ix_(middles[0] - whole[0][0], middles[1] - whole[1][0])]
        return np.where(plane, np.float32(1), np.float32(1e-6))

    def classes(self, squares: Sequence[tuple[Range, Range]]) -> Floats:
        """The class token (squares, width) of each square, seen alone."""
        import torch
        from torch.nn import functional

        network = self.embedder.backbone.network
        patch, scale = self.embedder.backbone.patch, self.embedder.tokens(self.edge).scale
        low = [min(square[i][0] for square in squares) for i in (0, 1)]
        plane = windowed(self._plane([(low[i], max(square[i][1] for square in squares)) for i in (0, 1)]), self.source.window)
        found = []
        for start in range(0, len(squares), _BATCH):
            crops = []
            for (a, b), (c, d) in squares[start : start + _BATCH]:
                square = np.ascontiguousarray(plane[a - low[0] : b - low[0], c - low[1] : d - low[1]])
                pixels = torch.from_numpy(square)[None, None].to(self.embedder.device)
                size = [max(1, round(n * scale / patch)) * patch for n in pixels.shape[2:]]
                crops.append(functional.interpolate(pixels, size=size, mode="bicubic"))
            with torch.inference_mode():
                found.append(network(network.normalised(torch.cat(crops)))[:, 0].float().cpu().numpy())
        made: Floats = np.concatenate(found)
        return made


def _middles(grid: Grid, first: int, count: int) -> npt.NDArray[np.float64]:
    """Where the middles of tokens lie, in voxels."""
    middles: npt.NDArray[np.float64] = (grid.patch / 2 + np.arange(first, first + count) * grid.patch / grid.density) / grid.scale - 0.5
    return middles


def _between(grid: Grid, voxels: Range, size: int) -> Range:
    """The numbers of the tokens that lie in or next to a range of voxels."""
    first, last, _ = grid.weights(*voxels, grid.count(size))
    return first, last


def _between_weights(grid: Grid, voxels: Range, first: int, count: int) -> Floats:
    """The shares (voxels, tokens) of tokens first … first + count - 1 in each voxel of a range."""
    _, _, shares = grid.weights(*voxels, first + count)
    made = np.zeros((shares.shape[0], count), np.float32)
    made[:, : shares.shape[1]] = shares
    return made


def _shares(grid: Grid, voxels: Range, first: int, count: int) -> Floats:
    """How much each token counts (tokens,) in a range of voxels: those whose middle lies in it, or else the nearest."""
    middles = _middles(grid, first, count)
    within = (middles >= voxels[0] - 0.5) & (middles < voxels[1] - 0.5)
    if not within.any():
        within[np.abs(middles - (voxels[0] + voxels[1] - 1) / 2).argmin()] = True
    return within.astype(np.float32)

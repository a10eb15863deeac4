"""K-means of the grey value: the global optimum, or Lloyd's algorithm from random starts as it was published; or of features.

The published settings are those of `starts=seeded`: ten attempts of at most 100 rounds that end at a shift of .2 grey levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.base import Extractor
from lithoscope.features.filters import FilterBank
from lithoscope.features.tokens import Tokens
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.bank_pieces import pieces
from lithoscope.segmenters.base import Block, Labels, Samples, register
from lithoscope.segmenters.by_level import ByLevel, Floats
from lithoscope.segmenters.feature_means import EDGE, FeatureMeans, drawn
from lithoscope.segmenters.partition import inertia_of, means_of, thresholds_of
from lithoscope.segmenters.token_pieces import token_decisions, token_pieces
from lithoscope.volume.histogram import Histogram

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (2.0, 4.0)
"""Sigmas of the filters, in voxels, unless others are given."""
REDUCED = 64
"""Channels of a token that are grouped, the first of the backbone's own basis."""
TOKEN_PLANES = 2
"""Planes of each block whose tokens are learnt from: a window of the network is far wider than a block."""
WIDE = (8, 2048, 2048)
"""Voxels answered at once from tokens: the wider, the less the network looks at twice."""


@register
@dataclass
class KMeans(ByLevel):
    """Centres of least squared distance to the voxels' grey values, or features; each voxel belongs to the nearest."""

    name: ClassVar[str] = "kmeans"
    title: ClassVar[str] = "K-means"
    summary: ClassVar[str] = (
        "Groups grey values around their means, as Otsu's partition does; or filters or tokens, which tell textures apart."
    )

    classes: int = parameter(3, "How many classes to tell apart.", minimum=2, maximum=254, step=1)
    on: Literal["grey", "filters", "tokens"] = parameter(
        "grey", "What is grouped: grey values; or, for textures of one grey value, what filters, or a network's tokens, see around a voxel."
    )
    backbone: str = parameter(
        "lithoscope-tiny", "The network whose tokens are grouped: a name that `lithoscope backbones` lists, a folder or a file.",
        shown_if=("on", "tokens"),
    )  # fmt: skip
    per_slice: bool = parameter(
        False, "Find other centres for every slice along z. Classes may then flicker from slice to slice.", shown_if=("on", "grey")
    )
    dimensions: Literal[2, 3] | None = parameter(
        None, "Filters within the slice (2) or in space (3); chosen from the scan when left open.", shown_if=("on", "filters")
    )
    scales: tuple[float, ...] = parameter(
        (), "The sigmas of the filters in voxels, about as wide as the texture is coarse; none given: 2, 4.",
        minimum=0.3, maximum=1000, shown_if=("on", "filters"),
    )  # fmt: skip
    plane: Literal["z", "y", "x"] = parameter(
        "z",
        "The axis across the slices: of filters with dimensions=2, and of tokens.",
        level="advanced",
        shown_if=("on", ("filters", "tokens")),
    )
    starts: Literal["optimal", "seeded"] = parameter(
        "optimal",
        "The global optimum from the histogram, or Lloyd's algorithm from random starts, of which the best is kept.",
        level="advanced",
        shown_if=("on", "grey"),
    )
    attempts: int = parameter(
        10, "How many random starts are tried.", minimum=1, maximum=1000, step=1, level="advanced", shown_if=("starts", "seeded")
    )
    iterations: int = parameter(
        100, "The most rounds of one attempt.", minimum=1, maximum=100_000, step=1, level="advanced", shown_if=("starts", "seeded")
    )
    tolerance: float = parameter(
        0.2, "An attempt ends when no centre moves further than this.", minimum=0, unit="grey levels", level="advanced",
        shown_if=("starts", "seeded"),
    )  # fmt: skip
    seed: int = parameter(0, "The random starts' seed; the same one gives the same classes.", minimum=0, step=1, level="advanced")

    centres_: Floats | None = field(default=None, init=False, repr=False, compare=False)
    inertia_: float = field(default=0.0, init=False, repr=False, compare=False)
    means_: FeatureMeans | None = field(default=None, init=False, repr=False, compare=False)
    tokens_: Tokens | None = field(default=None, init=False, repr=False, compare=False)
    weights_hash_: str = field(default="", init=False, repr=False, compare=False)

    @property
    def bank(self) -> FilterBank:
        """The filters that it asks of a voxel: the mean and the deviation of what is around it."""
        axes = (0, 1, 2) if self.dimensions != 2 else tuple(a for a in range(3) if a != "zyx".index(self.plane))
        return FilterBank(tuple(sorted(set(self.scales))) or SCALES, kinds=("gaussian", "deviation"), axes=axes, coarse=True, half=True)

    @property
    def tokens(self) -> Tokens:
        """The tokens that it asks of a plane."""
        if self.tokens_ is None:
            _check_torch("tokens")
            self.tokens_ = Tokens(self.backbone, self.plane, reduced=REDUCED)
        return self.tokens_

    def extractors(self) -> tuple[Extractor, ...]:
        return () if self.on == "grey" else (self.bank if self.on == "filters" else self.tokens,)

    def halo(self) -> tuple[int, int, int]:
        return self.extractors()[0].halo() if self.on != "grey" else (0, 0, 0)

    def halo_given_tokens(self) -> tuple[int, int, int]:
        return (0, 0, 0) if self.on == "tokens" else self.halo()

    def widest(self) -> tuple[int, int, int] | None:
        return None if self.on != "tokens" else WIDE if self.plane == "z" else (max(WIDE),) * 3

    def working_bytes(self) -> int:
        return {"grey": 0, "filters": 16 + 8 * len(self.bank.sigmas), "tokens": 4 * self.classes}[self.on]

    def _pieces(self, block: Block) -> "Iterator[tuple[slice, Tensor]]":
        return pieces(self.bank, block) if self.on == "filters" else token_pieces(self.tokens, block)

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Find the centres of the histogram, or of each slice's, or of the features of blocks spread over the scan."""
        self.thresholds_, self.centres_, self.means_, self.unsplit_ = None, None, None, ()
        if self.on != "grey":
            _check_torch(self.on)
            if self.per_slice:
                raise InputError("per_slice goes with grey values alone; leave it out, or use on=grey")
            looks, planes = self.extractors()[0], EDGE if self.on == "filters" else TOKEN_PLANES
            found = drawn(samples, self._pieces, self.halo(), looks.channels, self.classes, planes=planes, seed=self.seed, report=report)
            self.weights_hash_ = self.tokens.opened.sha256 if self.on == "tokens" else ""
            self.means_ = FeatureMeans.of(
                found, self.classes, attempts=self.attempts, rounds=self.iterations, seed=self.seed, report=report
            )
            return self
        histogram = samples.histogram(report=report)
        if self.per_slice:
            self.thresholds_ = rows = self._fit_slices(samples, self._thresholds, self.classes, report)
            slices = samples.slice_histograms(report=report)
            own = [histogram if z in self.unsplit_ else s for z, s in enumerate(slices)]
            self.centres_ = np.array([means_of(h, t) for h, t in zip(own, rows, strict=True)])
            self.inertia_ = sum(inertia_of(s, c) for s, c in zip(slices, self.centres_, strict=True))
        else:
            self.thresholds_ = self._thresholds(histogram)
            self.centres_ = means_of(histogram, self.thresholds_)
            self.inertia_ = inertia_of(histogram, self.centres_)
        return self

    def predict(self, block: Block) -> Labels:
        if self.on == "grey":
            return super().predict(block)
        if self.means_ is None:
            raise self.unfitted()
        labels = np.ones(block.image.shape, np.uint8)
        core = labels[block.core]
        if self.on == "tokens":
            core[...] = token_decisions(self.tokens, block, *self.means_.nearness()).argmax(0) + 1
            return labels
        for planes, values in pieces(self.bank, block):
            core[planes] = self.means_.labels(values)
        return labels

    @property
    def classes_(self) -> ClassTable:
        return super().classes_ if self.means_ is None else ClassTable.numbered(len(self.means_.grey))

    def learnt(self) -> dict[str, Any]:
        if self.means_ is not None:
            names = self.bank.names() if self.on == "filters" else [f"token {i}" for i in range(1, self.means_.centres.shape[1] + 1)]
            middles = dict(zip(names, self.means_.centres.T.tolist(), strict=True))
            own = {"weights_sha256": self.weights_hash_} if self.on == "tokens" else {}
            return {**own, "centres": self.means_.grey.tolist(), "features": middles, "inertia": self.means_.inertia}
        found = super().learnt()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_.tolist(), "inertia": self.inertia_}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.means_ is not None:
            return {**self.means_.state(), "weights_sha256": np.frombuffer(self.weights_hash_.encode(), np.uint8)}
        found = super().state()
        assert self.centres_ is not None
        return {**found, "centres": self.centres_, "inertia": np.array([self.inertia_])}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        if self.on != "grey":
            _check_torch(self.on)
            self.means_ = FeatureMeans.restored(state)
            if self.on == "tokens":
                self.weights_hash_ = bytes(state["weights_sha256"]).decode()
                if self.tokens.opened.sha256 != self.weights_hash_:
                    raise InputError(f"the model was fitted to other weights of {self.backbone} than those that are here; fit it again")
            if self.means_.centres.shape != (len(classes), self.extractors()[0].channels):
                raise InputError("the model asks for other features or classes than it names; train it again")
            return self
        self.centres_, self.inertia_ = np.asarray(state["centres"], np.float64), float(state["inertia"][0])
        return super().restore(state, classes)

    def _thresholds(self, histogram: Histogram) -> Floats:
        exact = thresholds_of(histogram, self.classes)
        return exact if self.starts == "optimal" else self._seeded(histogram)

    def _seeded(self, histogram: Histogram) -> Floats:
        """The best of several runs of Lloyd's algorithm from centres drawn between the extremes."""
        occupied = histogram.counts > 0
        values, counts = histogram.values[occupied], histogram.counts[occupied].astype(np.float64)
        rng = np.random.default_rng(self.seed)
        best, least = None, np.inf
        for _ in range(self.attempts):
            centres = np.sort(rng.uniform(values[0], values[-1], self.classes))
            for _ in range(self.iterations):
                moved = _step(values, counts, centres)
                shift = np.abs(moved - centres).max()
                centres = moved
                if shift <= self.tolerance:
                    break
            inertia = inertia_of(histogram, centres)
            last = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2, side="right") - 1
            if inertia < least and len(np.unique(last)) == self.classes - 1 and last[0] >= 0 and last[-1] < len(values) - 1:
                best, least = last, inertia
        if best is None:
            raise InputError(
                f"none of {self.attempts} random starts kept {self.classes} classes apart; use starts=optimal or more attempts"
            )
        return histogram.upper[occupied][best]


def _check_torch(on: str) -> None:
    if find_spec("torch") is None:
        raise InputError(f"K-means of {on} needs torch, which is not installed: pip install 'lithoscope[networks]', or use on=grey")


def _step(values: Floats, counts: Floats, centres: Floats) -> Floats:
    """One round of Lloyd's algorithm, (classes,), rising. A centre that no value is nearest to moves to the value furthest from its own."""
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values, side="left")
    size = np.bincount(nearest, counts, len(centres))
    means = np.bincount(nearest, counts * values, len(centres)) / np.maximum(size, 1)
    distance = np.abs(values - means[nearest]) * (counts > 0)
    for empty in np.flatnonzero(size == 0):
        furthest = int(np.argmax(distance))
        means[empty], distance[furthest] = values[furthest], 0
    return np.sort(means)

"""Trees on the filter bank: learnt from a few strokes in a moment, asked fast enough to be watched while painting.

Two presets. `published` is the forest of the field's papers: 150 trees, entropy, depth 15, all features at every split, a tenth
of the voxels a tree, on scikit-image's filters. `fast` gives the decision values of a logistic regression to a smaller forest as
further features and mixes the two, since smooth learners beat trees where strokes are few. What each sees was chosen by
measurement (benchmarks/forest_accuracy.py): sigma 16 harms both, sigma 8 the regression, and a gradient helps the trees alone;
all features at every split and few leaves, bagged, are more accurate than a random part of them, and sooner asked.
It takes large scales from a coarser grid.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.base import Extractor
from lithoscope.features.filters import FilterBank, Kind
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.bank_pieces import pieces
from lithoscope.segmenters.base import Block, Labels, Samples, Scores, Segmenter, lacking, register
from lithoscope.segmenters.growth import grown
from lithoscope.segmenters.linear import Linear
from lithoscope.segmenters.strokes import Chosen, balanced, gathered
from lithoscope.segmenters.trees import Trees

if TYPE_CHECKING:
    from torch import Tensor

STRENGTH = 0.003
"""How little the logistic regression is held back."""
LEAVES = 16
"""Most leaves of a tree of the fast preset: few strokes seldom give more, and few are asked quickly."""
LEAF = 10
"""Fewest learnt voxels in a leaf of the fast preset."""
SMOOTH = 0.7
"""The say of the logistic regression beside the trees."""
MOST = {"fast": 6_000, "published": 20_000}
"""Voxels that are learnt from in all. With many strokes on one slice more of each are learnt by heart: battery {1, 200, 400} from
18,000 painted pixels, three seeds: .559 by 20,000 of them, .576 by 6,000."""
SCALES = {"fast": (1.0, 2.0, 4.0, 8.0), "published": (1.0, 2.0, 4.0, 8.0, 16.0)}
SHARE = {"fast": 0.3, "published": 0.1}
"""The part of the learnt voxels that each tree sees."""


@register
@dataclass
class Forest(Segmenter):
    """A logistic regression and decision trees on filters of several scales."""

    name: ClassVar[str] = "forest"
    title: ClassVar[str] = "Forest"
    summary: ClassVar[str] = "Learns from a few strokes what each class looks like at several scales; the answer follows every stroke."
    modules: ClassVar[tuple[str, ...]] = ("torch",)
    live: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    preset: Literal["fast", "published"] = parameter(
        "fast", "Fast: a linear learner with a small forest, the better of the two with few strokes. Published: 150 trees of depth 15."
    )
    dimensions: Literal[2, 3] | None = parameter(None, "Filters within the slice (2) or in space (3); chosen from the scan when left open.")
    plane: Literal["z", "y", "x"] = parameter("z", "With dimensions=2: the axis across the slices.", shown_if=("dimensions", 2))
    scales: tuple[float, ...] = parameter(
        (), "The sigmas of the filters; none given: 1, 2, 4, 8, and 16 when published.", minimum=0.3, maximum=1000
    )
    unit: Literal["voxels", "um"] = parameter(
        "voxels", "What the scales are measured in; um keeps them when a model goes to a scan of another voxel size.", level="advanced"
    )
    voxel_um: tuple[float, ...] = parameter(
        (),
        "With unit=um: the voxel's edges z, y, x in micrometres; taken from the scan.",
        minimum=1e-6,
        level="advanced",
        shown_if=("unit", "um"),
    )
    trees: int = parameter(
        24, "How many trees the fast preset grows.", minimum=1, maximum=1000, step=1, level="advanced", shown_if=("preset", "fast")
    )
    seed: int = parameter(0, "The same seed gives the same trees.", minimum=0, step=1, level="advanced")

    trees_: Trees | None = field(default=None, init=False, repr=False, compare=False)
    linear_: Linear | None = field(default=None, init=False, repr=False, compare=False)
    table_: ClassTable = field(default_factory=ClassTable, init=False, repr=False, compare=False)
    counts_: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)

    @property
    def bank(self) -> FilterBank:
        """The filters that it asks of a voxel."""
        axes = (0, 1, 2) if self.dimensions != 2 else tuple(a for a in range(3) if a != "zyx".index(self.plane))
        if self.unit == "um" and len(self.voxel_um) != 3:
            raise InputError("scales in micrometres need the voxel size; set it: lithoscope set SCAN --voxel-size Z Y X --unit um")
        edges = (self.voxel_um[0], self.voxel_um[1], self.voxel_um[2]) if self.unit == "um" else None
        fast = self.preset == "fast"
        scales = tuple(sorted(set(self.scales))) or SCALES[self.preset]
        extra: tuple[tuple[Kind, float], ...] = (("gradient", scales[min(1, len(scales) - 1)]),) if fast else ()
        return FilterBank(scales, axes=axes, raw=fast, extra=extra, coarse=fast, half=True, voxel_um=edges)

    def _smooth_channels(self) -> npt.NDArray[np.intp]:
        """The channels that the logistic regression sees: no gradient, and of four or more scales not the coarsest."""
        scales = self.bank.sigmas
        kept = [f"{s:g}" for s in (scales[:-1] if len(scales) > 3 else scales)]
        return np.array([i for i, name in enumerate(self.bank.names()) if name == "raw" or _smooth_one(name, kept)])

    def extractors(self) -> tuple[Extractor, ...]:
        return (self.bank,)

    def halo(self) -> tuple[int, int, int]:
        return self.bank.halo()

    def working_bytes(self) -> int:
        return 10 if self.dimensions != 2 else 2

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Learn from the labelled voxels that are not held for the score; no stroke counts for more than a few hundred."""
        self.trees_, self.linear_, self.table_, self.counts_ = None, None, ClassTable(), ()
        _check_torch()
        chosen = gathered(samples, self.bank, report, seed=self.seed, most=MOST[self.preset])
        present = np.unique(chosen.labels)
        known = [samples.classes[int(i)] for i in present]
        if len(present) < 2:
            only = f"only {known[0].name}" if known else "nothing"
            raise InputError(f"{only} is painted; paint strokes of at least two classes")
        chosen = balanced(chosen, self.seed, MOST[self.preset])
        report(Progress(0, 1, f"growing trees on {len(chosen.labels)} voxels"))
        target = np.searchsorted(present, chosen.labels)
        features = chosen.features
        if self.preset == "fast":
            import torch

            seen = self._smooth_channels()
            self.linear_ = Linear.fit(features[:, seen], target, chosen.weights, strength=STRENGTH).among(seen, features.shape[1])
            decisions = self.linear_.decisions(torch.from_numpy(np.ascontiguousarray(features.T))).numpy().T
            features = np.concatenate([features, decisions], axis=1)
        self.trees_ = self._grown(features, target, chosen)
        self.table_ = ClassTable(tuple(type(c)(i, c.name, c.colour, c.porosity) for i, c in enumerate(known, 1)))
        self.counts_ = tuple(int((chosen.labels == i).sum()) for i in present)
        return self

    def _grown(self, features: npt.NDArray[np.float32], target: npt.NDArray[np.int64], chosen: Chosen) -> Trees:
        share = max(SHARE[self.preset], min(1.0, 2 / len(target)))
        if self.preset == "fast":
            weights, count = chosen.weights, self.trees
            return grown(features, target, weights, trees=count, share=share, leaf=LEAF, leaves=LEAVES, seed=self.seed)
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            150, criterion="entropy", max_depth=15, max_features=None, max_samples=share, random_state=self.seed
        )  # fmt: skip
        return Trees.of(forest.fit(features, target))

    def certainties(self, features: "Tensor") -> "Tensor":
        """How likely each class is (classes, n) by features (channels, n)."""
        if self.trees_ is None:
            raise self.unfitted()
        if self.linear_ is None:
            return self.trees_.scores(features)
        decisions, lead = self._smooth(features)
        return self.trees_.scores(features, decisions).mul_(1 - SMOOTH).add_(lead)

    def best(self, features: "Tensor") -> Labels:
        """The likeliest class 1 … n of each voxel (n,) by features (channels, n): those of `certainties`, sooner."""
        if self.trees_ is None:
            raise self.unfitted()
        if self.linear_ is None:
            return self.trees_.best(features)
        decisions, lead = self._smooth(features)
        return self.trees_.best(features, decisions, lead, say=1 - SMOOTH)

    def _smooth(self, features: "Tensor") -> "tuple[Tensor, Tensor]":
        """The regression's decision values and its say in the scores, both (classes, n)."""
        import torch

        assert self.linear_ is not None
        decisions = self.linear_.decisions(features)
        return decisions, torch.softmax(decisions, dim=0).mul_(SMOOTH)

    def by_features(self, features: npt.NDArray[np.float16], *, certain: bool) -> tuple[Labels, Scores | None]:
        import torch

        values = torch.from_numpy(features).flatten(1).float()
        if not certain:
            return self.best(values).reshape(features.shape[1:]), None
        first, second = torch.topk(self.certainties(values), 2, dim=0).values
        return self.best(values).reshape(features.shape[1:]), (first - second).reshape(features.shape[1:]).numpy()

    def scores(self, block: Block) -> Scores:
        if self.trees_ is None:
            raise self.unfitted()
        found = np.full((len(self.table_), *block.image.shape), 1 / len(self.table_), np.float32)
        core = found[(slice(None), *block.core)]
        for planes, values in pieces(self.bank, block):
            core[:, planes] = self.certainties(values.flatten(1)).reshape(-1, *values.shape[1:]).numpy()
        return found

    def predict(self, block: Block) -> Labels:
        if self.trees_ is None:
            raise self.unfitted()
        found = np.ones(block.image.shape, np.uint8)
        core = found[block.core]
        for planes, values in pieces(self.bank, block):
            core[planes] = self.best(values.flatten(1)).reshape(values.shape[1:])
        return found

    def learnt(self) -> dict[str, Any]:
        if self.trees_ is None:
            raise self.unfitted()
        painted = {c.name: n for c, n in zip(self.table_, self.counts_, strict=True)}
        return {
            "voxels": painted,
            "trees": self.trees_.count,
            "leaves": int((self.trees_.feature < 0).sum()),
            "features": self.bank.channels,
        }

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.trees_ is None:
            raise self.unfitted()
        linear = {} if self.linear_ is None else self.linear_.state()
        return {"counts": np.array(self.counts_, np.int64), **self.trees_.state(), **linear}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        _check_torch()
        self.trees_, self.table_ = Trees.restored(state), classes
        self.counts_ = tuple(int(n) for n in state["counts"])
        self.linear_ = Linear.restored(state) if "linear.weight" in state else None
        wanted = self.bank.channels + (len(classes) if self.linear_ is not None else 0)
        if int(self.trees_.feature.max(initial=0)) >= wanted or self.trees_.values.shape[1] != len(classes):
            raise InputError("the model's trees ask for other features or classes than it names; train it again")
        return self

    @property
    def classes_(self) -> ClassTable:
        if self.trees_ is None:
            raise self.unfitted()
        return self.table_


def _check_torch() -> None:
    if words := lacking(Forest):
        raise InputError(words)


def _smooth_one(name: str, scales: list[str]) -> bool:
    kind, scale, *_ = name.split(" ")
    return kind != "gradient" and scale in scales

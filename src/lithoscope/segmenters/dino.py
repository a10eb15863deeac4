"""Tokens of a backbone with a linear head, joined with the filter bank for sharp borders: taught by strokes in seconds.

The backbone stays as it is; what is learnt is one linear map of a token and of a voxel's filters. A linear map of what lies
between tokens is what lies between their maps, so predicting carries class values, not channels, from tokens to voxels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.base import Extractor
from lithoscope.features.basis import Basis
from lithoscope.features.filters import FilterBank
from lithoscope.features.tokens import Tokens
from lithoscope.job import Progress, Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Block, Labels, Sample, Samples, Scores, Segmenter, register
from lithoscope.segmenters.linear import Linear
from lithoscope.segmenters.strokes import Chosen, Places, balanced, gathered

STRENGTH = 0.01
"""How little the head is held back."""
MOST_PLANES = 24
"""Planes from which a basis is fitted for a backbone that brings none."""


@register
@dataclass
class Dino(Segmenter):
    """A linear head on frozen tokens and filters."""

    name: ClassVar[str] = "dino"
    title: ClassVar[str] = "Backbone"
    summary: ClassVar[str] = "Learns from a few strokes what each class looks like to a pre-trained network and to filters."
    needs_labels: ClassVar[bool] = True

    backbone: str = parameter("lithoscope-tiny", "The network: a name that `lithoscope backbones` lists, a folder or a file.")
    tuning: Literal["frozen"] = parameter("frozen", "What of the network is taught: frozen leaves it as it is.", level="advanced")
    head: Literal["linear"] = parameter("linear", "What is learnt on top of it: linear takes seconds.", level="advanced")
    filters: bool = parameter(True, "Join the filter bank, which sees borders more sharply than tokens do.")
    dimensions: Literal[2, 3] | None = parameter(None, "Filters within the slice (2) or in space (3); chosen from the scan when left open.")
    plane: Literal["z", "y", "x", "all"] = parameter(
        "z", "The axis across which the network sees planes; all three take three times as long."
    )
    scale: Literal[1, 2, 4] = parameter(1, "How far planes are enlarged first: 2 sees finer structures and takes four times as long.")
    reduced: int = parameter(
        64, "Channels kept of each token, in the backbone's own basis.", minimum=1, maximum=1024, step=1, level="advanced"
    )
    seed: int = parameter(0, "The same seed draws the same voxels from long strokes.", minimum=0, step=1, level="advanced")

    linear_: Linear | None = field(default=None, init=False, repr=False, compare=False)
    basis_: Basis | None = field(default=None, init=False, repr=False, compare=False)
    weights_hash_: str = field(default="", init=False, repr=False, compare=False)
    table_: ClassTable = field(default_factory=ClassTable, init=False, repr=False, compare=False)
    counts_: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)
    tokens_: Tokens | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def bank(self) -> FilterBank:
        """The filters that it asks of a voxel; the voxel's own value alone, and slightly smoothed, where they are left out."""
        axes = (0, 1, 2) if self.dimensions != 2 else tuple(a for a in range(3) if self.plane == "all" or a != "zyx".index(self.plane))
        if not self.filters:
            return FilterBank((1.0,), kinds=("gaussian",), axes=axes, raw=True, half=True)
        return FilterBank((1.0, 2.0, 4.0), axes=axes, raw=True, coarse=True, half=True)

    @property
    def tokens(self) -> Tokens:
        """The tokens that it asks of a plane."""
        if self.tokens_ is None or self.tokens_.basis is not self.basis_:
            _check_torch()
            self.tokens_ = Tokens(self.backbone, self.plane, scale=self.scale, reduced=self.reduced, basis=self.basis_)
        return self.tokens_

    def extractors(self) -> tuple[Extractor, ...]:
        return (self.bank, self.tokens)

    def halo(self) -> tuple[int, int, int]:
        reach = self.tokens.halo() if find_spec("torch") is not None else (0, 0, 0)
        a, b, c = (max(pair) for pair in zip(reach, self.bank.halo(), strict=True))
        return (a, b, c)

    def working_bytes(self) -> int:
        return 24

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Learn from the labelled voxels that are not held for the score; no stroke counts for more than a few hundred."""
        self.linear_, self.basis_, self.tokens_, self.table_, self.counts_ = None, None, None, ClassTable(), ()
        _check_torch()
        if self.tokens.used is None:
            self.basis_ = self._own_basis(samples, report)
        chosen = gathered(samples, self.bank, report, look=self._look)
        present = np.unique(chosen.labels)
        known = [samples.classes[int(i)] for i in present]
        if len(present) < 2:
            only = f"only {known[0].name}" if known else "nothing"
            raise InputError(f"{only} is painted; paint strokes of at least two classes")
        chosen = balanced(chosen, self.seed)
        report(Progress(0, 1, f"learning from {len(chosen.labels)} voxels"))
        self.linear_ = self._learnt_from(chosen, present)
        self.weights_hash_ = self.tokens.opened.sha256
        self.table_ = ClassTable(tuple(type(c)(i, c.name, c.colour, c.porosity) for i, c in enumerate(known, 1)))
        self.counts_ = tuple(int((chosen.labels == i).sum()) for i in present)
        return self

    def _learnt_from(self, chosen: Chosen, present: npt.NDArray[np.int64]) -> Linear:
        return Linear.fit(chosen.features, np.searchsorted(present, chosen.labels), chosen.weights, strength=STRENGTH)

    def _look(self, sample: Sample, places: Places) -> npt.NDArray[np.float32]:
        """The tokens (n, channels) at places of a sample's core."""
        tokens = self.tokens
        if sample.source is not None:
            whole = sample.features(tokens)[(slice(None), *sample.core)]
            return np.ascontiguousarray(whole[:, places[0], places[1], places[2]].T, np.float32)
        at = np.stack([p + c.start for p, c in zip(places, sample.core, strict=True)])
        found = np.empty((at.shape[1], tokens.channels), np.float32)
        for number, axis in enumerate(tokens.axes):
            y, x = (a for a in range(3) if a != axis)
            start = (sample.origin[y], sample.origin[x])
            for index in np.unique(at[axis]):
                here = np.flatnonzero(at[axis] == index)
                rows, columns = at[y][here], at[x][here]
                ranges = tuple((s + int(p.min()), s + int(p.max()) + 1) for s, p in zip(start, (rows, columns), strict=True))
                fine = tokens.at_voxels(np.take(sample.image, int(index), axis), sample.window, start, (ranges[0], ranges[1]))
                found[here, number * tokens.width : (number + 1) * tokens.width] = fine[:, rows - rows.min(), columns - columns.min()].T
        return found

    def _own_basis(self, samples: Samples, report: Report) -> Basis:
        """A basis fitted over the samples, for a backbone that brings none; it is kept in the model."""
        whole = Tokens(self.backbone, self.plane, scale=self.scale, reduced=0)

        def pieces() -> Iterator[npt.NDArray[np.float32]]:
            taken = 0
            for sample in samples:
                assert sample.labels is not None
                for axis in whole.axes:
                    for index in np.unique(np.nonzero(sample.labels)[axis])[:4]:
                        report(Progress(taken, MOST_PLANES, "looking at planes to reduce tokens"))
                        yield whole.of_plane(np.take(sample.image, int(index), axis), sample.window).reshape(-1, whole.width)
                        taken += 1
                        if taken >= MOST_PLANES:
                            return

        return Basis.fit(pieces(), min(self.reduced, whole.width))

    def _decisions(self, block: Block) -> npt.NDArray[np.float32]:
        """Decision values (classes, z, y, x) over the core."""
        if self.linear_ is None:
            raise self.unfitted()
        tokens, bank = self.tokens, self.bank
        shape = tuple(c.stop - c.start for c in block.core)
        made = np.empty((len(self.table_), *shape), np.float32)
        of_filters = Linear(np.ascontiguousarray(self.linear_.weight[:, : bank.channels]), self.linear_.bias)
        for planes, values in bank.prepare(block.image, block.window, block.core, origin=block.origin).pieces():
            made[:, planes] = of_filters.decisions(values.flatten(1)).reshape(-1, *values.shape[1:]).numpy()
        for number, axis in enumerate(tokens.axes):
            first = bank.channels + number * tokens.width
            weight = np.ascontiguousarray(self.linear_.weight[:, first : first + tokens.width])
            y, x = (a for a in range(3) if a != axis)
            start = (block.origin[y], block.origin[x])
            ranges = tuple((block.origin[a] + block.core[a].start, block.origin[a] + block.core[a].stop) for a in (y, x))
            for index in range(shape[axis]):
                plane = np.take(block.image, block.core[axis].start + index, axis)
                into = made[(slice(None), *(index if a == axis else slice(None) for a in range(3)))]
                into += tokens.at_voxels(plane, block.window, start, (ranges[0], ranges[1]), weight)
        return made

    def scores(self, block: Block) -> Scores:
        values = self._decisions(block)
        values -= values.max(0)
        np.exp(values, out=values)
        values /= values.sum(0)
        made = np.full((len(values), *block.image.shape), 1 / len(values), np.float32)
        made[(slice(None), *block.core)] = values
        return made

    def predict(self, block: Block) -> Labels:
        made = np.ones(block.image.shape, np.uint8)
        made[block.core] = self._decisions(block).argmax(0) + 1
        return made

    def learnt(self) -> dict[str, Any]:
        if self.linear_ is None:
            raise self.unfitted()
        painted = {c.name: n for c, n in zip(self.table_, self.counts_, strict=True)}
        return {"voxels": painted, "features": self.linear_.weight.shape[1], "weights_sha256": self.weights_hash_}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.linear_ is None:
            raise self.unfitted()
        hashed = np.frombuffer(self.weights_hash_.encode(), np.uint8)
        kept = {} if self.basis_ is None else {"basis.mean": self.basis_.mean, "basis.components": self.basis_.components}
        if self.basis_ is not None:
            kept["basis.spread"] = self.basis_.spread
        return {"counts": np.array(self.counts_, np.int64), "weights_sha256": hashed, **self.linear_.state(), **kept}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        _check_torch()
        if "basis.mean" in state:
            self.basis_ = Basis(state["basis.mean"], state["basis.components"], state["basis.spread"])
        self.weights_hash_ = bytes(state["weights_sha256"]).decode()
        if self.tokens.opened.sha256 != self.weights_hash_:
            raise InputError(f"the model was taught on other weights of {self.backbone} than those that are here; train it again")
        self.linear_, self.table_ = Linear.restored(state), classes
        self.counts_ = tuple(int(n) for n in state["counts"])
        if self.linear_.weight.shape != (len(classes), self.bank.channels + self.tokens.channels):
            raise InputError("the model asks for other features or classes than it names; train it again")
        return self

    @property
    def classes_(self) -> ClassTable:
        if self.linear_ is None:
            raise self.unfitted()
        return self.table_


def _check_torch() -> None:
    if find_spec("torch") is None:
        raise InputError("this method needs torch, which is not installed: pip install 'lithoscope[networks]'")

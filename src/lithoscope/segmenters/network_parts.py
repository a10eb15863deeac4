"""What the taught networks share beside their shape: labelled blocks as pieces to learn from, and the judge of held-out strokes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lithoscope.classes import Class, ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report
from lithoscope.segmenters.base import Sample, Samples
from lithoscope.segmenters.tones import Tones

if TYPE_CHECKING:
    from torch import nn

    from lithoscope.training.crops import Piece

Ask = Callable[["nn.Module", npt.NDArray[np.float32], tuple[slice, slice, slice]], npt.NDArray[np.float32]]
"""A network's scores (classes, z, y, x) over a part of an image (z, y, x) whose window lies at 0…1."""


@dataclass(frozen=True, eq=False)
class Taught:
    """Pieces whose labels are 1…n of `table`; `given_back` names classes that had no stroke left but the held ones.

    `tones` is how strongly crops of them are toned.
    """

    pieces: tuple["Piece", ...]
    table: ClassTable
    given_back: tuple[str, ...]
    tones: Tones = field(default_factory=Tones)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many painted voxels teach each class."""
        every = [np.bincount(p.painted.reshape(-1), minlength=len(self.table) + 1)[1:] for p in self.pieces]
        found: npt.NDArray[np.int64] = np.array(every, np.int64).reshape(len(every), -1).sum(axis=0)
        return found

    @property
    def hints(self) -> int:
        """How many voxels there are hints for."""
        return sum(int((p.hints > 0).sum()) for p in self.pieces if p.hints is not None)

    @property
    def held(self) -> int:
        """How many voxels are held for the score."""
        return sum(int((p.labels * p.held > 0).sum()) for p in self.pieces)

    def toned(self, given: float | None) -> "Taught":
        """The same, toned as strongly as was `given`, else as the grey values of what teaches the classes bear."""
        if given is not None:
            return replace(self, tones=Tones(given))
        from lithoscope.training.toning import bearable, grey_values

        strength, near = bearable(grey_values(self.pieces, len(self.table)))
        return replace(self, tones=Tones(strength, tuple(self.table[k].name for k in near)))

    def digest(self) -> str:
        """A hash of all that is learnt from, and of how it is toned unless that is as usual."""
        import xxhash

        found = xxhash.xxh3_128()
        for piece in self.pieces:
            found.update(repr((piece.image.shape, piece.window)).encode())
            for array in (piece.image, piece.labels, piece.held, *(() if piece.hints is None else (piece.hints,))):
                found.update(np.ascontiguousarray(array).view(np.uint8).data)
        if self.tones.strength != 1:
            found.update(f"toning {self.tones.strength:g}".encode())
        return found.hexdigest()


def taught(samples: Samples, report: Report) -> Taught:
    """The labelled blocks as pieces; refused unless two classes are painted."""
    from lithoscope.training.crops import Piece

    raw: list[tuple[Sample, npt.NDArray[np.uint8], npt.NDArray[np.bool_]]] = []
    for number, sample in enumerate(samples):
        report(Progress(number, len(samples), "looking at what is painted"))
        assert sample.labels is not None
        said = np.zeros(sample.image.shape, np.uint8)
        said[sample.core] = sample.labels[sample.core]
        if sample.inside is not None:
            said[~sample.inside] = 0
        if sample.image.dtype.kind == "f":
            said[~np.isfinite(sample.image)] = 0
        held = np.zeros(said.shape, np.bool_) if sample.held is None else sample.held & (said > 0)
        if said.any():
            raw.append((sample, said, held))
    present = sorted({int(i) for _, said, _ in raw for i in np.unique(said) if i})
    known = [samples.classes[i] for i in present]
    if len(present) < 2:
        only = f"only {known[0].name}" if known else "nothing"
        raise InputError(f"{only} is painted inside the field of view; paint strokes of at least two classes")
    teaching = {i for i in present if any(bool(((said == i) & ~held).any()) for _, said, held in raw)}
    number_of = np.zeros(256, np.uint8)
    number_of[present] = np.arange(1, len(present) + 1)
    pieces = []
    for sample, said, held in raw:
        kept = held & np.isin(said, sorted(teaching))
        pieces.append(Piece(sample.image, number_of[said], kept, sample.window, inside=sample.inside))
    table = ClassTable(tuple(Class(i, c.name, c.colour, c.porosity) for i, c in enumerate(known, 1)))
    return Taught(tuple(pieces), table, tuple(c.name for c in known if c.id not in teaching))


def judge(pieces: Sequence["Piece"], classes: int, ask: Ask) -> Callable[["nn.Module"], list[float]]:
    """Scores a network on the held voxels: their mean IoU, then minus their mean cross-entropy, the classes counting alike."""
    from lithoscope.scores.segmentation import Confusion
    from lithoscope.training.crops import windowed

    ready = []
    for piece in pieces:
        places = np.argwhere(piece.held)
        if len(places):
            low, high = places.min(0), places.max(0) + 1
            core = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2])))
            ready.append((windowed(piece.image, piece.window), (piece.labels * piece.held)[core], core))

    def score(network: "nn.Module") -> list[float]:
        table, surprise, count = Confusion(), np.zeros(classes), np.zeros(classes)
        for image, truth, core in ready:
            scores = ask(network, image, core)
            table.add(truth, (np.argmax(scores, 0) + 1).astype(np.uint8))
            at = np.nonzero(truth)
            target = truth[at].astype(np.intp) - 1
            lost = -np.log(np.maximum(scores[(target, *at)], 1e-6))
            surprise += np.bincount(target, lost, classes)
            count += np.bincount(target, minlength=classes)
        present = count > 0
        return [round(float(table.mean_iou), 3), -float((surprise[present] / count[present]).mean())]

    return score

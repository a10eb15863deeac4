"""A pre-trained network's tokens, and what is taught on them by strokes: in seconds on kept tokens, or with the network itself.

`preset=fast` leaves the backbone as it is, keeps its tokens, reduced, and teaches a head voxel by voxel on them and the filter bank,
which sees borders more sharply. The published heads, and LoRA, see whole tokens, which are worked out anew for every answer.
"""

import json
from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.basis import Basis
from lithoscope.job import Progress, Report, silent
from lithoscope.segmenters.bank_pieces import pieces
from lithoscope.segmenters.base import Block, Labels, Sample, Samples, Scores, register
from lithoscope.segmenters.best import best
from lithoscope.segmenters.dino_settings import DinoSettings, check_torch
from lithoscope.segmenters.linear import Linear
from lithoscope.segmenters.strokes import Places, balanced, gathered
from lithoscope.segmenters.token_pieces import core_box, source_of, token_decisions
from lithoscope.segmenters.voxel_heads import HEADS, LinearMap, VoxelHead
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.features.adapters import Adapter
    from lithoscope.segmenters.dino_network import Learnt
    from lithoscope.segmenters.network_parts import Taught

ROWS = 32
"""Rows of voxels that trees and neighbours are asked for at a time."""
MOST_PLANES = 24
"""Planes from which a basis is fitted for a backbone that brings none."""


@register
@dataclass
class Dino(DinoSettings):
    """A head on a backbone's tokens."""

    head_: VoxelHead | None = field(default=None, init=False, repr=False, compare=False)
    learnt_: Any = field(default=None, init=False, repr=False, compare=False)
    weights_hash_: str = field(default="", init=False, repr=False, compare=False)
    counts_: tuple[int, ...] = field(default=(), init=False, repr=False, compare=False)

    def remarks(self) -> list[str]:
        return list(self.learnt_.remarks) if self.learnt_ is not None else []

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Learn from the labelled voxels that are not held for the score; no stroke counts for more than a few hundred."""
        self.head_, self.learnt_, self.basis_, self.table_, self.counts_, self.made_ = None, None, None, ClassTable(), (), {}
        self.adapter_ = None
        check_torch()
        if self.streamed:
            return self._fit_network(samples, report)
        if self.joined:
            return self._fit_joined(samples, report)
        return self._fit_head(samples, report)

    def _fit_head(self, samples: Samples, report: Report) -> Self:
        """Teach the head on kept tokens, of the backbone or of its adapted copy."""
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
        kind = "linear" if self.head == "cnn" else self.head
        self.head_ = HEADS[kind].fit(chosen, np.searchsorted(present, chosen.labels), self.seed)
        self.weights_hash_ = self._backbone.sha256 if self.joined else self.tokens.opened.sha256
        self.table_ = ClassTable(tuple(type(c)(i, c.name, c.colour, c.porosity) for i, c in enumerate(known, 1)))
        self.counts_ = tuple(int((chosen.labels == i).sum()) for i in present)
        return self

    def _look(self, sample: Sample, places: Places) -> npt.NDArray[np.float32]:
        """The tokens (n, channels) at places of a sample's core."""
        from lithoscope.features.token_lookup import at_places

        tokens, whole, source = self.tokens, core_box(sample), source_of(sample)
        found = np.empty((len(places[0]), tokens.channels), np.float32)
        for number, axis in enumerate(tokens.axes):
            for index in np.unique(places[axis]):
                here = np.flatnonzero(places[axis] == index)
                low = [int(p[here].min()) for p in places]
                first = [w + a for w, a in zip(whole.start, low, strict=True)]
                last = [w + int(p[here].max()) + 1 for w, p in zip(whole.start, places, strict=True)]
                box = Box((first[0], first[1], first[2]), (last[0], last[1], last[2]))
                own = tuple(p[here] - a for p, a in zip(places, low, strict=True))
                near = source.near(tokens, axis, box)
                found[here, number * tokens.width : (number + 1) * tokens.width] = at_places(near, tokens.grid, axis, box, own)
        return found

    def _own_basis(self, samples: Samples, report: Report) -> Basis:
        """A basis fitted over the samples, for a backbone that brings none; it is kept in the model."""
        whole = replace(self.tokens, reduced=0)

        def planes() -> Iterator[npt.NDArray[np.float32]]:
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

        return Basis.fit(planes(), min(self.reduced, whole.width))

    def _fit_network(self, samples: Samples, report: Report, found: "Taught | None" = None) -> Self:
        from lithoscope.segmenters.dino_network import learn

        if self.streamed and self.head in ("trees", "knn"):
            raise InputError(f"head={self.head} learns from kept tokens; use preset=fast, or head=linear or cnn")
        if self.tuning == "lora":
            from lithoscope.training.lora import check_four_bit, check_peft

            check_peft()
            if self.four_bit:
                check_four_bit(self._device())
        how = self._how()
        self.learnt_ = learn(samples, how, report, found)
        self.table_, self.weights_hash_ = self.learnt_.table, how.backbone.sha256
        self.counts_ = tuple(self.learnt_.story["voxels"].values())
        return self

    def _fit_joined(self, samples: Samples, report: Report) -> Self:
        """Teach adapters beneath a linear head, then the voxel by voxel head on their tokens and on the backbone's own; the strokes held
        choose."""
        from lithoscope.segmenters.dino_joined import Hinted, better
        from lithoscope.segmenters.dino_network import found_in

        found = found_in(samples, self._how(), report)
        self._fit_network(samples, report, found)
        frozen, tuned, counts = copy(self), copy(self), self.counts_
        tuned.adapter_ = self.learnt_.adapter
        given = Hinted(found, samples) if found.hints else samples
        chosen = better(frozen._fit_head(given, report), tuned._fit_head(given, report), samples, report)
        vars(self).update(vars(chosen))
        self.counts_ = counts
        return self

    def finished(self, samples: Samples, *, report: Report = silent) -> Self:
        """A copy whose head was also taught by the strokes that chose it, or chose between LoRA and the backbone."""
        done = copy(self)
        if self.joined:
            from lithoscope.segmenters.dino_joined import Hinted
            from lithoscope.segmenters.dino_network import found_in

            found = found_in(samples, self._how(), report)
            done._fit_head(Hinted(found, samples) if found.hints else samples, report)
            done.counts_ = tuple(int(n) for n in found.counts)
            return done
        if self.streamed and "held_out_iou_frozen" in self.learnt_.story:
            from lithoscope.segmenters.dino_network import finish

            done.learnt_, done.made_ = finish(deepcopy(self.learnt_), samples, self._how(), report), {}
            done.counts_ = tuple(done.learnt_.story["voxels"].values())
        return done

    def _decisions(self, block: Block) -> npt.NDArray[np.float32]:
        """How likely each class is, or what rises with it, (classes, z, y, x) over the core."""
        if self.learnt_ is not None and self.streamed:
            return self._streamed_scores(block, self.learnt_)
        if self.head_ is None:
            raise self.unfitted()
        import torch

        tokens, bank, core = self.tokens, self.bank, core_box(block)
        made = np.empty((len(self.table_), *core.shape), np.float32)
        if isinstance(self.head_, LinearMap):
            linear = self.head_.linear
            of_filters = Linear(np.ascontiguousarray(linear.weight[:, : bank.channels]), linear.bias)
            for planes, values in pieces(bank, block):
                made[:, planes] = of_filters.decisions(values.flatten(1)).reshape(-1, *values.shape[1:]).numpy()
            made += token_decisions(tokens, block, linear.weight[:, bank.channels :], np.zeros(len(linear.bias), np.float32))
            return made
        from lithoscope.features.token_lookup import at_part

        source, (_, _, right) = source_of(block), core.stop
        for planes, values in pieces(bank, block):
            z, y, x = core.start[0] + planes.start, core.start[1], core.start[2]
            box = Box((z, y, x), (z + planes.stop - planes.start, *core.stop[1:]))
            near = [source.near(tokens, axis, box) for axis in tokens.axes]
            # Some rows at a time, so that the many channels of a whole block are never in memory at once.
            for top in range(y, core.stop[1], ROWS):
                part = Box((z, top, x), (box.stop[0], min(top + ROWS, core.stop[1]), right))
                rows = slice(top - y, part.stop[1] - y)
                found = [at_part(n, tokens.grid, axis, box, part) for n, axis in zip(near, tokens.axes, strict=True)]
                own = [torch.from_numpy(np.ascontiguousarray(f)).flatten(1) for f in found]
                scores = self.head_.scores(torch.cat([values[:, :, rows].flatten(1), *own]))
                made[:, planes, rows] = scores.reshape(-1, *part.shape).numpy()
        return made

    def _streamed_scores(self, block: Block, learnt: "Learnt") -> npt.NDArray[np.float32]:
        from lithoscope.segmenters.dino_network import scores, tuned_network
        from lithoscope.training.crops import windowed
        from lithoscope.training.devices import guarded

        how = self._how()
        if ("network",) not in self.made_:
            assert learnt.head is not None
            self.made_[("network",)] = (
                tuned_network(how.backbone, learnt.adapter, self._lora).to(how.device), learnt.head.eval().to(how.device)
            )  # fmt: skip
        network, head = self.made_[("network",)]
        with guarded(how.device):
            return scores(network, head, windowed(block.image, block.window), block.core, block.origin, how)

    def scores(self, block: Block) -> Scores:
        values = self._decisions(block)
        if isinstance(self.head_, LinearMap):
            values -= values.max(0)
            np.exp(values, out=values)
            values /= values.sum(0)
        made = np.full((len(values), *block.image.shape), 1 / len(values), np.float32)
        made[(slice(None), *block.core)] = values
        return made

    def predict(self, block: Block) -> Labels:
        import torch

        made = np.ones(block.image.shape, np.uint8)
        made[block.core] = best(torch.from_numpy(self._decisions(block)))
        return made

    def learnt(self) -> dict[str, Any]:
        own = {"backbone": self.backbone, "weights_sha256": self.weights_hash_}
        if self.learnt_ is not None and self.streamed:
            return {**self.learnt_.story, **own}
        if self.head_ is None:
            raise self.unfitted()
        painted = {c.name: n for c, n in zip(self.table_, self.counts_, strict=True)}
        story = {} if self.learnt_ is None else self.learnt_.story
        return {**story, "voxels": painted, "features": self.bank.channels + self.tokens.channels, **own}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.head_ is None and self.learnt_ is None:
            raise self.unfitted()
        hashed = np.frombuffer(self.weights_hash_.encode(), np.uint8)
        kept: dict[str, npt.NDArray[Any]] = {"counts": np.array(self.counts_, np.int64), "weights_sha256": hashed}
        if self.learnt_ is not None:
            kept |= {f"lora.{n}": a for n, a in (self.learnt_.adapter or {}).items()}
            told = {"story": self.learnt_.story, "remarks": list(self.learnt_.remarks)}
            kept["about"] = np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8)
            if self.streamed:
                assert self.learnt_.head is not None
                return kept | {f"head.{n}": t.detach().cpu().numpy() for n, t in self.learnt_.head.state_dict().items()}
        assert self.head_ is not None
        basis = {} if self.basis_ is None else {f"basis.{n}": getattr(self.basis_, n) for n in ("mean", "components", "spread")}
        return {**kept, **self.head_.state(), **basis}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        check_torch()
        self.weights_hash_, self.made_ = bytes(state["weights_sha256"]).decode(), {}
        self.counts_ = tuple(int(n) for n in state["counts"])
        if "basis.mean" in state:
            self.basis_ = Basis(state["basis.mean"], state["basis.components"], state["basis.spread"])
        opened = self.tokens.opened if self.refitted else self._backbone
        if opened.sha256 != self.weights_hash_:
            raise InputError(f"the model was taught on other weights of {self.backbone} than those that are here; train it again")
        self.table_ = classes
        if not self.refitted:
            self.learnt_ = _restored(state, classes, self.head, opened) if self.streamed else _joined(state, classes)
            self.adapter_ = None if self.streamed else self.learnt_.adapter
        if self.streamed:
            return self
        self.head_ = HEADS["linear" if self.head == "cnn" else self.head].restored(state)
        weight = state.get("linear.weight", state.get("knn.memory"))
        if weight is None or weight.shape[1] != self.bank.channels + self.tokens.channels:
            raise InputError("the model asks for other features or classes than it names; train it again")
        return self

    @property
    def classes_(self) -> ClassTable:
        if self.head_ is None and self.learnt_ is None:
            raise self.unfitted()
        return self.table_


def _restored(state: dict[str, npt.NDArray[Any]], classes: ClassTable, head: str, opened: Any) -> "Learnt":
    import torch

    from lithoscope.segmenters.dino_network import Learnt
    from lithoscope.training.token_heads import head_of

    made = head_of("cnn" if head == "cnn" else "linear", opened.width, len(classes), opened.patch)
    own = {n.removeprefix("head."): torch.from_numpy(np.array(v)) for n, v in state.items() if n.startswith("head.")}
    try:
        made.load_state_dict(own)
    except RuntimeError as error:
        raise InputError("the model asks for other features or classes than it names; train it again") from error
    return Learnt(made.eval(), classes, *_told(state))


def _joined(state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> "Learnt":
    """What LoRA taught beneath a head on kept tokens: the head that it was taught with is not kept."""
    from lithoscope.segmenters.dino_network import Learnt

    return Learnt(None, classes, *_told(state))


def _told(state: dict[str, npt.NDArray[Any]]) -> "tuple[Adapter | None, dict[str, Any], tuple[str, ...]]":
    adapter = {n.removeprefix("lora."): v for n, v in state.items() if n.startswith("lora.")}
    told = json.loads(bytes(state["about"]).decode())
    return adapter or None, told["story"], tuple(told["remarks"])

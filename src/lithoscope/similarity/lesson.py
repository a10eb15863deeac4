"""What learns, and from what: the matrix behind a network's vectors, or the network itself, taught by some of the items."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn

from lithoscope.errors import InputError
from lithoscope.features import adapters
from lithoscope.features.backbones import Backbone
from lithoscope.features.vit import Vit
from lithoscope.job import Report, silent
from lithoscope.similarity.items import Items
from lithoscope.similarity.loop import Step
from lithoscope.similarity.losses import contrastive_loss, distances, triplet_loss
from lithoscope.similarity.mining import mined
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.readout import Readout, fitted, projected, views_of
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.sampling import Batches
from lithoscope.similarity.settings import Lessons
from lithoscope.training.loop import Plan
from lithoscope.training.lora import LoraSettings, adapted

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What learns by which loss. `vectors` gives those of the items that are asked, about a mean, as it is; `kept` the backbone that comes
    of it; `started` says whether it begins otherwise than untaught."""

    module: nn.Module
    loss: Step
    vectors: Callable[[], Floats]
    kept: Callable[[], nn.Module]
    started: bool


@dataclass(frozen=True, eq=False)
class Looked:
    """Items, and what the untaught network makes of them: raw vectors `seen` (n, channels) of all, and several `views`
    (rows, views, channels) of those `rows` that may teach, None where the network has no place for a matrix."""

    items: Items
    lessons: Lessons
    backbone: Backbone
    place: torch.device
    rows: Rows
    seen: Floats
    views: Floats | None

    @classmethod
    def at(cls, items: Items, lessons: Lessons, backbone: Backbone, rows: Rows, place: torch.device, report: Report = silent) -> "Looked":
        """Look at all of them once, and at those that teach from several sides."""
        network = Embedding(backbone.network, lessons.pooling, backbone.width).to(place).eval()
        seen = embedded(network.raw, items.pictures, place, report, "looking at the items")
        if not isinstance(cast(nn.Module, backbone.network), Vit):
            if lessons.tuning == "frozen":
                raise InputError(f"{backbone.name} is convolutional and has no place for a taught matrix; use tuning=lora or all")
            return cls(items, lessons, backbone, place, rows, seen, None)
        views = views_of(network, items.pictures.with_zoom(lessons.zoom), rows, place, lessons.seed, report)
        return cls(items, lessons, backbone, place, rows, seen, views)

    def about_mean(self, rows: Rows) -> Floats:
        """The vectors (n, channels) of all by the untaught network, about the mean of these rows."""
        made: Floats = self.seen - self.seen[rows].mean(0)
        return made

    def matrix(self, rows: Rows) -> Floats | None:
        """The matrix that is fitted to these rows; None where the network has no place for one."""
        if self.views is None:
            return None
        return fitted(self.seen[rows], self.views[np.searchsorted(self.rows, rows)], self.items.relation.some(rows))

    def lesson(self, rows: Rows, matrix: Floats | None, asked: Rows | None = None) -> Lesson:
        """These `rows` teach, beginning with this matrix; `asked` are the items whose vectors it is judged by, all without."""
        lessons, place, relation = self.lessons, self.place, self.items.relation
        shown = np.arange(len(self.items)) if asked is None else asked
        embedding = Embedding(self.backbone.network, lessons.pooling, self.backbone.width)
        if lessons.tuning == "frozen" and matrix is not None and self.views is not None:
            embedding.fit(self.seen[rows])
            readout = Readout(matrix, embedding.mean, embedding.scale).to(place)
            known = torch.from_numpy(self.seen[shown]).to(place)

            def alone() -> Floats:
                with torch.inference_mode():
                    found: Floats = readout(known).cpu().numpy()
                return found

            views = self.views[np.searchsorted(self.rows, rows)]
            return Lesson(
                readout, remembered_loss(readout, views, relation, rows, lessons, place), alone,
                lambda: projected(self.backbone.network, readout.projector.weight.detach().cpu().numpy()), True,
            )  # fmt: skip
        start = self.backbone if matrix is None else replace(self.backbone, network=cast(Vit, projected(self.backbone.network, matrix)))
        whole = Embedding(trainable(start, lessons, place), lessons.pooling, self.backbone.width)
        whole = whole.fit(self.seen[rows] if matrix is None else self.seen[rows] @ matrix.T).to(place).eval()
        pictures = self.items.pictures if asked is None else self.items.pictures.some(asked)
        return Lesson(
            whole, batch_loss(whole, self.items, rows, lessons, place), lambda: embedded(whole, pictures, place),
            lambda: merged(start, whole.backbone, lessons), matrix is not None,
        )  # fmt: skip


def trainable(backbone: Backbone, lessons: Lessons, device: torch.device) -> nn.Module:
    """A copy of the backbone of which that is taught which is to be."""
    if lessons.tuning == "lora":
        made = adapted(backbone.network, LoraSettings(rank=lessons.rank, alpha=float(lessons.rank)), device=device, seed=lessons.seed)
        for name, parameter in made.named_parameters():
            if name.startswith("projector."):
                parameter.requires_grad_(True)
        return made
    return deepcopy(backbone.network).requires_grad_(lessons.tuning == "all")


def merged(backbone: Backbone, taught: nn.Module, lessons: Lessons) -> nn.Module:
    """What was taught as a network like any other: small matrices worked into the weights."""
    if lessons.tuning != "lora":
        return taught
    matrices: Any = {n: p.detach().float().cpu().numpy() for n, p in taught.named_parameters() if "lora_" in n}
    scale = adapters.scale_of(lessons.rank, float(lessons.rank), True)
    made: nn.Module = adapters.tuned(backbone.network.cpu(), matrices, scale)
    if isinstance(made, Vit) and made.config.projected:
        made = made.with_projector(cast(Any, taught).projector.weight)
    return made


def plan_of(lessons: Lessons, *, patient: bool = False) -> Plan:
    """How long and how fast; a `patient` one never ends early."""
    rate, patience = lessons.rate * (0.1 if lessons.tuning == "all" else 1), lessons.steps + 1 if patient else lessons.patience
    return Plan(steps=lessons.steps, rate=rate, weight_decay=0.01, every=min(lessons.every, lessons.steps), patience=patience,
                seed=lessons.seed)  # fmt: skip


def batch_loss(network: Embedding, items: Items, rows: npt.NDArray[np.intp], lessons: Lessons, device: torch.device) -> Step:
    """The loss of one batch of the items that teach."""
    batches = Batches(items.relation, rows, lessons.classes, lessons.each)
    pictures = items.pictures.with_zoom(lessons.zoom)

    def loss(step: int, generator: Generator) -> Tensor:
        chosen_rows = batches(generator)
        vectors: Tensor = network(pictures.drawn(chosen_rows, generator).to(device))
        return asked_of(vectors, items.relation, chosen_rows, lessons, generator)

    return loss


def remembered_loss(
    readout: Readout, views: npt.NDArray[np.float32], relation: Relation, rows: npt.NDArray[np.intp], lessons: Lessons, device: torch.device
) -> Step:
    """The same of a network that does not change: `views` (rows, views, channels) of the items that teach are known, and one of each is
    drawn."""
    batches = Batches(relation, rows, lessons.classes, lessons.each)
    known = torch.from_numpy(views).to(device)

    def loss(step: int, generator: Generator) -> Tensor:
        chosen_rows = batches(generator)
        drawn = torch.randint(known.shape[1], (len(chosen_rows),), generator=generator)
        vectors: Tensor = readout(known[torch.from_numpy(np.searchsorted(rows, chosen_rows)), drawn])
        return asked_of(vectors, relation, chosen_rows, lessons, generator)

    return loss


def asked_of(vectors: Tensor, relation: Relation, rows: npt.NDArray[np.intp], lessons: Lessons, generator: Generator) -> Tensor:
    """The loss of the vectors (n, channels) of some items, by the method that was chosen."""
    same, other = (torch.from_numpy(mask).to(vectors.device) for mask in relation.masks(rows))
    if lessons.method == "contrastive":
        return contrastive_loss(vectors, same, other, lessons.temperature)
    with torch.no_grad():
        triplets = mined(distances(vectors, lessons.distance), same, other, lessons.mining, generator)
    if not len(triplets):
        nothing: Tensor = vectors.sum() * 0
        return nothing
    return triplet_loss(vectors, triplets, kind=lessons.distance, margin=lessons.margin, swap=lessons.swap)

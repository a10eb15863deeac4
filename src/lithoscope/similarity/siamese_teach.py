"""Teaching a double Siamese network: looks and properties together, judged on held-out groups, its intervals measured on others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn

from lithoscope.errors import InputError
from lithoscope.features.backbones import Backbone
from lithoscope.features.twin import Twin
from lithoscope.job import Report, silent
from lithoscope.scores.retrieval import at_relevant
from lithoscope.similarity.double import Double, save
from lithoscope.similarity.items import Items
from lithoscope.similarity.lesson import merged, plan_of, trainable
from lithoscope.similarity.loop import Course, learn
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.properties import Properties, r_squared, residual_bounds
from lithoscope.similarity.readout import fitted, towards, views_of
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.sampling import Batches
from lithoscope.similarity.scoring import Score
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.siamese import Heads, PairTruth, halves, pair_loss, pair_truth
from lithoscope.similarity.split import held_out, leaks
from lithoscope.similarity.taught import Taught
from lithoscope.similarity.teach import Setting, about

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
MOST_ASKED = 400
"""So many held-out items ask for their like, at most."""


class Net(nn.Module):
    """Trunks and heads while they are taught. With vectors that are known already there are heads alone."""

    def __init__(self, backbone: Backbone, lessons: Lessons, properties: int, device: torch.device) -> None:
        super().__init__()
        self.heads = Heads(backbone.width, properties)
        self.width = backbone.width
        self.frozen = lessons.tuning == "frozen"
        if not self.frozen:
            self.image = trainable(backbone, lessons, device)
            if not lessons.shared:
                self.rock = trainable(backbone, lessons.changed(seed=lessons.seed + 1), device)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Both vectors (n, 2, width) of pictures (n, channels, y, x) at 0…1."""
        return _pooled(Twin(self.image, getattr(self, "rock", None)), pixels)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.vectors(pixels).flatten(1)

    def train(self, mode: bool = True) -> "Net":
        """As ever; but what a convolutional network learnt of means and variances stays, for batches are small."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def _pooled(twin: Twin, pixels: Tensor) -> Tensor:
    tokens = twin(twin.normalised(pixels))[:, twin.prefix :].mean(1)
    return torch.stack([tokens, tokens], 1) if twin.shared else tokens.view(len(tokens), 2, -1)


def teach_siamese(
    items: Items,
    lessons: Lessons,
    output: Path,
    *,
    held: Sequence[str] | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    report: Report = silent,
) -> Taught:
    """Teach looks and properties of `items` into `output`, which opens as a backbone, and as `Double`. `held` names what stops it."""
    if not items.columns:
        raise InputError("no property was named; say which columns of the table are to be learnt: --properties porosity permeability")
    setting = Setting.begun(lessons, output, device, overwrite=overwrite)
    backbone, place = setting.backbone, setting.place
    stop, measure, said = _apart(items, lessons, held)
    teaching = ~(stop | measure)
    notes = [*items.notes, *said, *leaks(items.thumbnails(), _split_by(items.relation), items.groups, items.names)]
    properties = Properties.fit(items.columns, items.properties[teaching])
    scaled = properties.scaled(items.properties)
    raw = embedded(_frozen(backbone), items.pictures, place, report, "looking at the items")
    known = np.repeat(raw[:, None], 2, 1)
    torch.manual_seed(lessons.seed)
    net = Net(backbone, lessons, len(items.columns), place).to(place).eval()
    turns = _turns(raw, items, np.flatnonzero(teaching), scaled, backbone, lessons, place, report)
    net.heads.fit(torch.from_numpy(known[teaching]).to(place), turns)
    asked = np.flatnonzero(stop)[:MOST_ASKED]

    def seen() -> npt.NDArray[np.float32]:
        if net.frozen:
            return known
        return halves(embedded(net, items.pictures, place), net.width)

    def judge() -> Score:
        return Score(judged(_double(output, net, properties, lessons), seen(), asked, items, scaled, lessons.near)["score"])

    course = Course(
        net, _batch_loss(net, items, np.flatnonzero(teaching), known, scaled, lessons, place), judge, Score(0.0), plan_of(lessons),
        {**about(items, lessons, backbone, stop), "columns": list(items.columns)}, what="held out, properties and ranking",
    )  # fmt: skip
    standing = learn(course, device=place, folder=setting.training, report=report)
    double = _double(output, net, properties, lessons)
    vectors = seen()
    double = _measured(double, vectors, scaled, measure)
    scores = judged(double, vectors, asked, items, scaled, lessons.near)
    if not standing.best_step:
        notes.append("the properties of what is held out are foretold no better than by their mean")
    if not np.isfinite(double.bounds).all():
        notes.append(f"too few items are measured for intervals of {lessons.coverage:.0%}; they are left open")
    image, rock = _trunks(net, backbone, lessons)
    save(output, image, rock, double)
    more = {"measured": np.asarray(items.names)[measure].tolist(), "columns": list(items.columns)}
    return setting.ended(items, lessons, course, standing, stop, scores, notes, kept=bool(standing.best_step), more=more)


def _frozen(backbone: Backbone) -> Any:
    """The frozen backbone's mean token of each picture."""
    network: Any = backbone.network
    return lambda pixels: network(network.normalised(pixels))[:, network.prefix :].mean(1)


def _turns(
    raw: npt.NDArray[np.float32], items: Items, rows: npt.NDArray[np.intp], scaled: Floats, backbone: Backbone, lessons: Lessons,
    place: torch.device, report: Report,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """What vectors are multiplied by at first (2, width, width): for looks what tells types apart, for properties what goes with them."""
    made = np.repeat(np.eye(backbone.width, dtype=np.float32)[None], 2, 0)
    relation = items.relation.some(rows)
    if relation.unlike.any() and (relation.kinds >= 0).any():
        network = Embedding(backbone.network, "mean", backbone.width).to(place).eval()
        views = views_of(network, items.pictures.with_zoom(1.0), rows, place, lessons.seed, report)
        made[0] = fitted(raw[rows], views, relation).T
    if scaled.shape[1]:
        made[1] = towards(raw[rows], scaled[rows])
    return made


def _split_by(relation: Relation) -> Relation:
    """What held-out groups are balanced by: the classes, or nothing where none is known."""
    return relation if (relation.kinds >= 0).any() else Relation.of_classes(["all"] * len(relation))


def _apart(items: Items, lessons: Lessons, held: Sequence[str] | None) -> tuple[Bools, Bools, tuple[str, ...]]:
    """What says when to stop, and, apart from it, what intervals are measured on; neither teaches."""
    relation, names = _split_by(items.relation), np.asarray(items.names)
    said: tuple[str, ...] = ()
    if held is not None:
        stop = np.isin(names, np.asarray(held))
    else:
        stop, said = held_out(relation, items.groups, lessons.hold, lessons.seed)
    left = np.flatnonzero(~stop)
    groups = [items.groups[i] for i in left]
    measure = np.zeros(len(items), bool)
    part, _ = held_out(relation.some(left), groups, lessons.hold, lessons.seed + 1)
    measure[left[part]] = True
    return stop, measure, said


def _double(output: Path, net: Net, properties: Properties, lessons: Lessons) -> Double:
    import copy

    return Double(
        output, copy.deepcopy(net.heads).cpu().eval(), net.width, properties, np.full(len(properties.columns), np.inf), lessons.coverage
    )


def _measured(double: Double, vectors: npt.NDArray[np.float32], scaled: Floats, rows: Bools) -> Double:
    """The same with intervals measured on these items."""
    from dataclasses import replace

    return replace(double, bounds=residual_bounds(double.scaled_properties(vectors[rows]) - scaled[rows], double.coverage))


def _trunks(net: Net, backbone: Backbone, lessons: Lessons) -> tuple[nn.Module, nn.Module | None]:
    if net.frozen:
        return backbone.network, None
    image = merged(backbone, net.image, lessons)
    return image, None if lessons.shared else merged(backbone, net.rock, lessons)


def judged(
    double: Double, vectors: npt.NDArray[np.float32], asked: npt.NDArray[np.intp], items: Items, scaled: Floats, near: float
) -> dict[str, float]:
    """How well the properties of the asked items are foretold (R² of each), and how well the gate ranks what is like them in looks and
    properties, outside their own groups (mean precision among as many as there are); `score` is the mean of both."""
    foretold = double.scaled_properties(vectors[asked])
    found = {f"r2.{c}": r_squared(scaled[asked, i], foretold[:, i]) for i, c in enumerate(items.columns)}
    same, other = items.relation.masks(np.arange(len(items)))
    truth: PairTruth = pair_truth(same, other, scaled, near)
    groups = np.asarray(items.groups)
    precision = []
    for row in asked:
        rows = np.flatnonzero(truth.both_known[row] & (groups != groups[row]))
        relevant = truth.both[row, rows]
        if relevant.any():
            precision.append(at_relevant(double.compared(vectors[row], vectors[rows])["both"], relevant))
    if precision:
        found["ranking"] = float(np.mean(precision))
    r2 = float(np.mean([max(0.0, v) for k, v in found.items() if k.startswith("r2.")]))
    return {**found, "score": 0.5 * (r2 + found.get("ranking", r2))}


def _batch_loss(
    net: Net, items: Items, rows: npt.NDArray[np.intp], known: npt.NDArray[np.float32], scaled: Floats, lessons: Lessons,
    device: torch.device,
) -> Any:  # fmt: skip
    """The loss of one batch; sizes of things are kept, for permeability goes with them."""
    many = 4 if net.frozen else 1
    batches = Batches(items.relation, rows, lessons.classes * many, lessons.each, anything=True)
    pictures = items.pictures.with_zoom(1.0)

    def loss(step: int, generator: Generator) -> Tensor:
        chosen = batches(generator)
        truth = pair_truth(*items.relation.masks(chosen), scaled[chosen], lessons.near)
        if net.frozen:
            vectors = torch.from_numpy(known[chosen]).to(device)
        else:
            vectors = net.vectors(pictures.drawn(chosen, generator).to(device))
        return pair_loss(net.heads, vectors, truth, scaled[chosen])

    return loss

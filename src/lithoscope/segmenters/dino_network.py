"""Teaching the published heads on whole tokens, and with LoRA the backbone beneath them, from crops around the strokes.

The head is taught first, on the backbone as it is: the linear one is fitted, and with `preset=published` taught on; the convolutions
are taught. With LoRA adapters and head go on from there, and are kept only if the strokes that are held out say that they are better.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lithoscope.classes import ClassTable
from lithoscope.features.adapters import Adapter, adapter_hash, tuned
from lithoscope.features.backbones import Backbone
from lithoscope.features.token_grid import Grid, Windows
from lithoscope.job import Report
from lithoscope.segmenters.base import Samples
from lithoscope.segmenters.dino_readout import fit_head
from lithoscope.segmenters.hints import hinted
from lithoscope.segmenters.network_parts import Taught, judge, taught
from lithoscope.segmenters.tones import without_tones
from lithoscope.training.crops import Crops
from lithoscope.training.devices import guarded
from lithoscope.training.loop import Lesson, Plan, train
from lithoscope.training.lora import LoraSettings, adapted, adapter_of, check_four_bit, taught_parameters
from lithoscope.training.losses import class_weights
from lithoscope.training.progress import Standing, curves
from lithoscope.training.token_heads import CnnHead, Head, LinearHead, head_of
from lithoscope.training.token_network import TokenNetwork, plane_scores

Floats = npt.NDArray[np.float32]
Place = tuple[slice, slice, slice]

NEAR = 32
"""Voxels around strokes in space that a forest is asked about, where it is asked about more than the painted planes."""
SURER = 0.01
"""By how much cross-entropy must fall to count as better where mean IoU is the same."""
NOT_COMPARED = "no strokes were held out, so LoRA was not compared with the frozen backbone"


@dataclass(frozen=True)
class How:
    """All that teaching needs beside the strokes. `side` is the crops' edge in tokens; `lora` is None where the backbone stays.

    With `hints` a forest says what it is sure of around the strokes, `flat` within planes alone. A linear head is taught `on` after
    it was fitted. `toning` is how strongly grey values vary, None as what teaches bears. `decides` is whether the strokes held choose
    here between LoRA and the frozen backbone.
    """

    backbone: Backbone
    head: Literal["linear", "cnn"]
    grid: Grid
    axes: tuple[int, ...]
    side: int
    plan: Plan
    device: torch.device
    lora: LoraSettings | None = None
    folder: Path | None = None
    hints: bool = False
    flat: bool = False
    on: bool = False
    toning: float | None = None
    decides: bool = True

    @property
    def windows(self) -> Windows:
        """What the network sees at once: as much as it was taught on."""
        return Windows(self.side, max(1, self.side * 4 // 5))

    @property
    def voxels(self) -> int:
        """The crops' edge in voxels."""
        return max(1, round(self.side * self.grid.patch / self.grid.scale))


@dataclass(frozen=True, eq=False)
class Learnt:
    """A head, if it is kept, the adapter that it goes with if there is one, the classes, and how it went."""

    head: Head | None
    table: ClassTable
    adapter: Adapter | None = None
    story: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def learn(samples: Samples, how: How, report: Report, found: Taught | None = None) -> Learnt:
    """Teach from the samples' strokes, or what was found in them; those held choose the best weights, and LoRA or the frozen backbone."""
    if how.lora is not None and how.lora.four_bit:
        check_four_bit(how.device)
    found = found or found_in(samples, how, report)
    classes = len(found.table)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.plan.seed)
        head = head_of(how.head, how.backbone.width, classes, how.grid.patch)
    network = TokenNetwork(how.backbone.network.requires_grad_(False), head, how.grid.patch, how.grid.scale)
    frozen = _frozen(network, head, found, how, report)
    story: dict[str, Any] = {
        "tuning": "frozen", "parameters": taught_parameters(head), "steps": frozen.step, **_curves(frozen, how.plan, "curves"),
        "voxels": {c.name: int(n) for c, n in zip(found.table, found.counts, strict=True)},
    }  # fmt: skip
    remarks: tuple[str, ...] = ()
    if isinstance(head, CnnHead) or how.on or how.lora is not None:
        story["toning"], remarks = found.tones.strength, found.tones.remarks
    if found.hints:
        story["hints"] = found.hints
    if found.given_back:
        story["not_held_out"] = list(found.given_back)
    if frozen.best_score:
        story["held_out_iou_frozen"] = frozen.best_score[0]
    if how.lora is None:
        return Learnt(_fresh(head, how, classes), found.table, None, story, remarks)
    before = {name: value.detach().clone() for name, value in head.state_dict().items()}
    network_tuned = adapted(how.backbone.network, how.lora, device=how.device, seed=how.plan.seed)
    network = TokenNetwork(network_tuned, head, how.grid.patch, how.grid.scale)
    story["parameters"] = taught_parameters(network)
    standing = _taught(network, found, how, "lora", report)
    story |= {"steps_lora": standing.step, **_curves(standing, how.plan, "curves_lora")}
    if standing.best_score:
        story["held_out_iou_lora"] = standing.best_score[0]
    if how.decides and frozen.best_score and not improved(standing.best_score, frozen.best_score):
        head.load_state_dict(before)
        if not (isinstance(head, CnnHead) or how.on):  # it was fitted
            remarks = without_tones(remarks)
            story.pop("toning", None)
        story["fell_back"] = not_better(standing.best_score[0], frozen.best_score[0])
        return Learnt(_fresh(head, how, classes), found.table, None, story, (*remarks, story["fell_back"]))
    remarks = remarks if frozen.best_score else (*remarks, NOT_COMPARED)
    adapter = adapter_of(network_tuned)
    kept = {
        "tuning": "lora",
        "adapter_sha256": adapter_hash(adapter, how.lora.scale),
        "adapter_bytes": sum(a.nbytes for a in adapter.values()),
    }
    return Learnt(_fresh(head, how, classes), found.table, adapter, story | kept, remarks)


def finish(learnt: Learnt, samples: Samples, how: How, report: Report) -> Learnt:
    """The same with a head that was also taught by the strokes that had chosen it; what lies beneath it stays."""
    found, head = found_in(samples, how, report), learnt.head
    if found.table != learnt.table or head is None:
        return learnt
    beneath = tuned_network(how.backbone, learnt.adapter, how.lora or LoraSettings()).to(how.device)
    network = TokenNetwork(beneath.requires_grad_(False), head.to(how.device), how.grid.patch, how.grid.scale)
    steps: dict[str, Any] = {}
    remarks = learnt.remarks
    if isinstance(head, LinearHead):
        with guarded(how.device):
            fit_head(head, found, replace(how, backbone=replace(how.backbone, network=cast(Any, beneath))), report)
    else:
        plan = how.plan.finishing()
        steps = {"steps_with_all": _taught(network, found, replace(how, plan=plan), "all", report).step}
        steps["toning_with_all"] = found.tones.strength
        remarks = (*found.tones.remarks, *without_tones(remarks))
    voxels = {c.name: int(n) for c, n in zip(found.table, found.counts, strict=True)}
    story = {**learnt.story, "voxels": voxels, **steps}
    return replace(learnt, head=_fresh(head, how, len(found.table)), story=story, remarks=remarks)


def found_in(samples: Samples, how: How, report: Report) -> Taught:
    """The labelled blocks, with what a forest says of them if it is asked, and how strongly they may be toned."""
    found = taught(samples, report)
    if how.hints:
        axis = how.axes[0] if len(how.axes) == 1 else None
        found = hinted(found, axis=axis, flat=how.flat, seed=how.plan.seed, near=NEAR, report=report)
    return found.toned(how.toning)


def improved(tuned: Sequence[float], frozen: Sequence[float]) -> bool:
    """Whether scores on the strokes held, mean IoU and minus cross-entropy, are better; the second counts where the first is a tie."""
    return tuned[0] > frozen[0] or (tuned[0] == frozen[0] and tuned[1] > frozen[1] + SURER)


def not_better(tuned: float, frozen: float) -> str:
    """In words, why the backbone is used as it was."""
    return f"LoRA did not improve the strokes held out (IoU {tuned:.3f}, {frozen:.3f} without); the frozen backbone is used"


def _fresh(head: Head, how: How, classes: int) -> Head:
    """The same head as if it had been loaded: training leaves weights in another order of memory, which rounds otherwise."""
    made = head_of(how.head, how.backbone.width, classes, how.grid.patch)
    made.load_state_dict({name: value.detach().cpu() for name, value in head.state_dict().items()})
    return made.eval()


def _frozen(network: TokenNetwork, head: Head, found: Taught, how: How, report: Report) -> Standing:
    """Teach the head on the backbone as it is."""
    if not isinstance(head, LinearHead):
        return _taught(network, found, how, "frozen", report)
    network.to(how.device)
    with guarded(how.device):
        fit_head(head, found, how, report)
    network.eval()
    judged = _judge(found, how)
    fitted = Standing(best_score=[] if judged is None else [round(v, 6) for v in judged(network)])
    if not how.on:
        return fitted
    before = {name: value.detach().clone() for name, value in head.state_dict().items()}
    standing = _taught(network, found, how, "frozen", report)
    if fitted.best_score and standing.best_score < fitted.best_score:
        head.load_state_dict(before)
        standing.best_score, standing.best_step = fitted.best_score, 0
    return standing


def _judge(found: Taught, how: How) -> Callable[[nn.Module], list[float]] | None:
    def ask(network: nn.Module, image: Floats, core: Place) -> Floats:
        own = cast(TokenNetwork, network)
        with guarded(how.device):
            return scores(own.backbone, own.head, image, core, (0, 0, 0), how)

    return judge(found.pieces, len(found.table), ask) if found.held else None


def _taught(network: TokenNetwork, found: Taught, how: How, stage: str, report: Report) -> Standing:
    tones = found.tones.augmentation
    crops = Crops(found.pieces, len(found.table), how.voxels, 1, how.axes, augmentation=tones, seed=how.plan.seed)
    # Overlap says something of masks alone, not of what a forest guessed.
    plan = replace(how.plan, dice=0.0) if found.hints else how.plan
    lesson = Lesson(
        lambda step: crops.batch(step, plan.batch), class_weights(torch.from_numpy(crops.counts.sum(0))),
        _judge(found, how), tones, f"{found.digest()} {stage}",
    )  # fmt: skip
    folder = None if how.folder is None else how.folder / stage
    return train(network, lesson, plan, device=how.device, folder=folder, report=report)


def scores(backbone: nn.Module, head: Head, image: Floats, core: Place, origin: Sequence[int], how: How) -> Floats:
    """How likely each class is (classes, z, y, x) over the core of an image whose window lies at 0…1, the mean over its planes."""
    shape = tuple(c.stop - c.start for c in core)
    made: Floats | None = None
    for axis in how.axes:
        a, b = (k for k in range(3) if k != axis)
        ranges = ((origin[a] + core[a].start, origin[a] + core[a].stop), (origin[b] + core[b].start, origin[b] + core[b].stop))
        for index in range(shape[axis]):
            plane = np.take(image, core[axis].start + index, axis)
            found = plane_scores(
                backbone, head, plane, how.grid, how.windows, (origin[a], origin[b]), ranges, half=how.device.type == "cuda"
            )  # fmt: skip
            if made is None:
                made = np.zeros((len(found), *shape), np.float32)
            made[(slice(None), *(index if k == axis else slice(None) for k in range(3)))] += found
    assert made is not None
    if len(how.axes) > 1:
        made /= np.float32(len(how.axes))
    return made


def tuned_network(backbone: Backbone, adapter: Adapter | None, how: LoraSettings) -> nn.Module:
    """The backbone's network with an adapter worked in, or as it is."""
    return backbone.network if adapter is None else tuned(backbone.network, adapter, how.scale)


def _curves(standing: Standing, plan: Plan, name: str) -> dict[str, Any]:
    return {name: curves(standing, plan.every)} if standing.step else {}

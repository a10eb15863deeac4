"""The UNet: a network taught from strokes, or from masks, that answers in planes, in planes that see their neighbours, or in space.

`small` and `large` are the field's published networks in planes; `light` is one that two processor cores teach in minutes.
"""

import json
import threading
from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, UnreadableError
from lithoscope.job import Report, silent
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Block, Labels, Samples, Scores, Segmenter, register
from lithoscope.segmenters.best import best
from lithoscope.segmenters.tones import toning_setting
from lithoscope.segmenters.unet_sizes import PLANES, SPACE, Size
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lithoscope.segmenters.network_parts import Taught
    from lithoscope.training.effort import Effort
    from lithoscope.training.loop import Lesson, Plan
    from lithoscope.training.tiles import Tiler
    from lithoscope.training.unet import UNetConfig

Place = tuple[slice, ...]


MOVING = threading.Lock()
"""Held while a network is brought to its device: blocks are answered in several threads."""
SLAB, WIDE = 8, 2048
"""Planes, and voxels along a plane, that are answered before it can be cancelled; the wider, the less is looked at twice."""
TOGETHER = 12 << 20
"""Bytes of planes that a processor is asked at once: the fewer, the more of them stay in its caches."""
HINTED = 8
"""Voxels around what is painted that a forest in space sees."""
JUDGEMENTS = 15
"""How often a training is judged."""


@register
@dataclass
class UNet(Segmenter):
    """A UNet on the scan's grey values."""

    name: ClassVar[str] = "unet"
    title: ClassVar[str] = "UNet"
    summary: ClassVar[str] = "A network that learns shapes and textures from strokes on a few slices; minutes without a GPU when light."
    modules: ClassVar[tuple[str, ...]] = ("torch",)
    needs_labels: ClassVar[bool] = True
    refitted: ClassVar[bool] = False
    reflects: ClassVar[bool] = True

    preset: Literal["tiny", "light", "small", "large"] | None = parameter(
        None, "Small and large are the published networks, for a GPU; light is for the processor. Chosen by what there is when left open."
    )
    dimensions: Literal[2, 3] | None = parameter(None, "Looks within the slice (2) or in space (3); chosen from the scan when left open.")
    plane: Literal["z", "y", "x", "all"] = parameter(
        "z", "With dimensions=2: the axis across the slices; all averages the three.", shown_if=("dimensions", 2)
    )
    slices: int | None = parameter(
        None, "With dimensions=2: how many neighbouring slices are seen of one, an odd number; left open: 3, light 5, separate slices 1.",
        minimum=1, maximum=15, step=2, shown_if=("dimensions", 2),
    )  # fmt: skip
    steps: int | None = parameter(None, "How long it is taught; as the preset says when left open.", minimum=1, maximum=1_000_000, step=50)
    flips: bool = parameter(False, "Answers with the mean over all mirror images: slower by as many, a little better.")
    unlabelled: Literal["forest", "nothing", "teacher", "pseudo"] | None = parameter(
        None, "What unpainted voxels teach: what a forest says of them (forest), nothing, agreement with the network's slow mean "
        "(teacher), or its class where it is sure (pseudo). Forest when left open.", level="advanced",
    )  # fmt: skip
    side: int | None = parameter(None, "Edge of the crops that are learnt from.", minimum=8, maximum=1024, unit="voxels", level="advanced")
    batch: int | None = parameter(None, "Crops a step; divided by itself when the memory does not hold them.", minimum=1, level="advanced")
    rate: float | None = parameter(None, "The highest learning rate.", minimum=1e-7, maximum=1.0, level="advanced")
    patience: int = parameter(8, "Ends after so many judgements without a better one; 0 never does.", minimum=0, step=1, level="advanced")
    toning: float | None = toning_setting()
    save_memory: bool = parameter(False, "Keeps less for the way back and works it out again: half the memory, slower.", level="advanced")
    seed: int = parameter(0, "The same seed gives the same network.", minimum=0, step=1, level="advanced")

    device: str = field(default="auto", repr=False, compare=False)
    folder: Path | None = field(default=None, repr=False, compare=False)
    network_: Any = field(default=None, init=False, repr=False, compare=False)
    table_: ClassTable = field(default_factory=ClassTable, init=False, repr=False, compare=False)
    about_: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def left_open(self) -> dict[str, tuple[Any, str]]:
        found: dict[str, tuple[Any, str]] = {}
        if self.preset is None:
            gpu = self._device().type != "cpu"
            found["preset"] = ("small", "there is a GPU") if gpu else ("light", "there is no GPU")
        if self.unlabelled is None:
            found["unlabelled"] = (
                ("nothing", "a tiny network") if self.preset == "tiny" else ("forest", "strokes alone say little of borders")
            )
        return found

    def remarks(self) -> list[str]:
        return list(self.about_.get("remarks", ()))

    def halo(self) -> Triple:
        config = self._config(2)
        if self._in_space:
            return (config.reach,) * 3
        side = self._channels // 2
        around = {axis: tuple(side if a == axis else config.reach for a in range(3)) for axis in self._across}
        z, y, x = (max(reach[a] for reach in around.values()) for a in range(3))
        return (z, y, x)

    def labelled_halo(self) -> Triple:
        z, y, x = self.halo()
        if self._unlabelled != "forest" or self._hints_in_plane:
            return (z, y, x)
        return (max(z, HINTED), max(y, HINTED), max(x, HINTED))

    def labelled_edge(self) -> Triple:
        z, y, x = (1 if not self._in_space and self._across == (a,) else (64 if self._in_space else 256) for a in range(3))
        return (z, y, x)

    def widest(self) -> Triple:
        z, y, x = (SLAB if not self._in_space and self._across == (a,) else WIDE for a in range(3))
        return (z, y, x)

    def working_bytes(self) -> int:
        return 6 + (4 * max(len(self.table_), 4) if len(self._across) > 1 and not self._in_space else 0)

    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Learn from crops around the painted voxels; held ones choose the best weights, and when to end."""
        import torch

        from lithoscope.segmenters.unet_story import story
        from lithoscope.training.loop import train
        from lithoscope.training.unet import UNet as Network

        self.network_, self.table_, self.about_ = None, ClassTable(), {}
        device, found = self._device(), self._taught(samples, report)
        config, plan = self._config(len(found.table)), self._plan(device, found.hints > 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = Network(config)
        lesson = self._lesson(found, config, plan, device)
        standing = train(network, lesson, plan, device=device, folder=self.folder, report=report)
        self.network_, self.table_, size = network, found.table, sum(p.numel() for p in network.parameters())
        self.about_ = {
            "config": list(config.row()),
            "learnt": story(standing, found, plan, self.preset or self.left_open()["preset"][0], size),
            "remarks": list(found.tones.remarks),
        }
        return self

    def finished(self, samples: Samples, *, report: Report = silent) -> Self:
        """A copy that was taught on by all samples, if some had chosen its weights: of a few strokes those are a good part."""
        learnt = self.learnt()
        if "best_step" not in learnt or "ended_early" in learnt:
            return self
        from lithoscope.training.loop import train

        device, found = self._device(), self._taught(samples, report)
        if found.table != self.table_:
            return self
        config, plan = self._config(len(found.table)), self._plan(device, found.hints > 0).finishing()
        done, folder = copy(self), None if self.folder is None else self.folder / "all"
        done.network_ = deepcopy(self.network_)
        lesson = replace(self._lesson(found, config, plan, device), judge=None)
        standing = train(done.network_, lesson, plan, device=device, folder=folder, report=report)
        voxels = {c.name: int(n) for c, n in zip(found.table, found.counts, strict=True)}
        told = {**learnt, "voxels": voxels, "steps_with_all": standing.step, "toning_with_all": found.tones.strength}
        done.about_ = {**self.about_, "learnt": told, "remarks": list(found.tones.remarks)}
        return done

    def _taught(self, samples: Samples, report: Report) -> "Taught":
        """The labelled blocks, with what a forest says of them if it is asked, and how strongly they may be toned."""
        from lithoscope.segmenters.network_parts import taught

        found = taught(samples, report)
        if self._unlabelled == "forest":
            from lithoscope.segmenters.hints import hinted

            axis = self._across[0] if not self._in_space and len(self._across) == 1 else None
            found = hinted(found, axis=axis, flat=self._hints_in_plane, seed=self.seed, report=report)
        return found.toned(self.toning)

    def _lesson(self, found: "Taught", config: "UNetConfig", plan: "Plan", device: "torch.device") -> "Lesson":
        import torch

        from lithoscope.segmenters.network_parts import judge
        from lithoscope.training.crops import Crops
        from lithoscope.training.loop import Lesson
        from lithoscope.training.losses import class_weights

        side = -(-(self.side or self._size.side) // config.stride) * config.stride
        how = found.tones.augmentation
        crops = Crops(found.pieces, len(found.table), side, config.channels, self._across, self._in_space, how, self.seed)

        def ask(network: "nn.Module", image: npt.NDArray[np.float32], core: tuple[slice, slice, slice]) -> npt.NDArray[np.float32]:
            return self._scored(self._tiler(network, config, device), image, core, (0, 0, 0), len(found.table))

        return Lesson(
            lambda step: crops.batch(step, plan.batch), class_weights(torch.from_numpy(crops.counts.sum(0))),
            judge(found.pieces, len(found.table), ask) if found.held else None, how, found.digest(),
        )  # fmt: skip

    def scores(self, block: Block) -> Scores:
        tiler, image = self._asked(block)
        found = np.full((len(self.table_), *block.image.shape), 1 / len(self.table_), np.float32)
        found[(slice(None), *block.core)] = self._scored(tiler, image, block.core, block.origin, len(self.table_))
        return found

    def predict(self, block: Block) -> Labels:
        import torch

        from lithoscope.training.devices import guarded

        tiler, image = self._asked(block)
        found = np.ones(block.image.shape, np.uint8)
        if not self._in_space and len(self._across) > 1:
            found[block.core] = best(torch.from_numpy(self._scored(tiler, image, block.core, block.origin, len(self.table_))))
            return found
        with guarded(tiler.device):
            for look in self._looks(tiler, image, block.core, block.origin):
                for place, scores in look:
                    found[place] = best(scores)
        return found

    def _scored(
        self, tiler: "Tiler", image: npt.NDArray[np.float32], core: tuple[slice, slice, slice], origin: Triple, classes: int
    ) -> npt.NDArray[np.float32]:
        """Scores (classes, z, y, x) of the core of an image, averaged over the planes it is looked at."""
        from lithoscope.training.devices import guarded

        found = np.zeros((classes, *(c.stop - c.start for c in core)), np.float32)
        with guarded(tiler.device):
            for look in self._looks(tiler, image, core, origin):
                for place, scores in look:
                    here = tuple(slice(p.start - c.start, p.stop - c.start) for p, c in zip(place, core, strict=True))
                    found[(slice(None), *here)] += scores.numpy()
        if not self._in_space and len(self._across) > 1:
            found /= np.float32(len(self._across))
        return found

    def _looks(
        self, tiler: "Tiler", image: npt.NDArray[np.float32], core: tuple[slice, slice, slice], origin: Triple
    ) -> Iterator[Iterator[tuple[Place, "torch.Tensor"]]]:
        """For each way to look at it, places of the image and scores (classes, z, y, x) there."""
        if self._in_space:
            yield tiler.space(image, core, origin)
            return
        for axis in self._across:
            yield _across(tiler, image, core, origin, axis, self._channels)

    def _asked(self, block: Block) -> tuple["Tiler", npt.NDArray[np.float32]]:
        if self.network_ is None:
            raise self.unfitted()
        from lithoscope.training.crops import windowed
        from lithoscope.training.unet import config_of

        device = self._device()
        with MOVING:
            if next(self.network_.parameters()).device.type != device.type:
                self.network_.to(device)
        return self._tiler(self.network_, config_of(self.about_["config"]), device), windowed(block.image, block.window)

    def _tiler(self, network: "nn.Module", config: "UNetConfig", device: "torch.device") -> "Tiler":
        from lithoscope.training.tiles import Tiler

        memory, together = (192 << 20, TOGETHER) if device.type == "cpu" else (2 << 30, 0)
        return Tiler(
            network, config.classes, config.reach, config.stride, config.voxel_bytes, device, memory, self.flips, together=together
        )  # fmt: skip

    def _device(self) -> "torch.device":
        from lithoscope.training.devices import device_of

        return device_of(self.device)

    @property
    def _in_space(self) -> bool:
        return self.dimensions != 2

    @property
    def _across(self) -> tuple[int, ...]:
        return (0, 1, 2) if self.plane == "all" else ("zyx".index(self.plane),)

    @property
    def _channels(self) -> int:
        if self._in_space:
            return 1
        wanted = self._size.slices if self.slices is None else self.slices
        if wanted % 2 == 0:
            raise InputError(f"slices={wanted} has no middle one; give an odd number")
        return wanted

    @property
    def _unlabelled(self) -> str:
        return self.unlabelled or str(self.left_open()["unlabelled"][0])

    @property
    def _hints_in_plane(self) -> bool:
        """Whether the forest, too, is to look within planes alone: where this network does."""
        return not self._in_space and len(self._across) == 1 and self._channels == 1

    @property
    def _size(self) -> Size:
        return (SPACE if self._in_space else PLANES)[self.preset or self.left_open()["preset"][0]]

    def _config(self, classes: int) -> "UNetConfig":
        from lithoscope.training.unet import UNetConfig, config_of

        if self.about_:
            return config_of(self.about_["config"])
        size = self._size
        return UNetConfig(classes, self._channels, size.features, size.levels, 3 if self._in_space else 2, size.dropout)

    def _plan(self, device: "torch.device", hinted: bool) -> "Plan":
        from lithoscope.training.loop import Plan

        size = self._size
        steps, own = self.steps or size.steps, self._unlabelled
        unlabelled: Literal["nothing", "teacher", "pseudo"] = "teacher" if own == "teacher" else "pseudo" if own == "pseudo" else "nothing"
        # Overlap says something of masks alone, not of what a forest guessed.
        return Plan(
            steps, self.batch or size.batch, self.rate or size.rate, every=max(1, steps // JUDGEMENTS), patience=self.patience,
            unlabelled=unlabelled, dice=0.0 if hinted else 1.0, average=True,
            half=device.type == "cuda", save_memory=self.save_memory, seed=self.seed,
        )  # fmt: skip

    def effort(self, classes: int, voxels: int) -> "Effort":
        """How long it will learn to tell so many classes apart, and answer for so many voxels; timed now, within seconds."""
        from lithoscope.training.effort import effort
        from lithoscope.training.unet import UNet as Network

        config, device = self._config(classes), self._device()
        plan, ways = self._plan(device, True), 1 if self._in_space else len(self._across)
        crop = (config.channels, *[-(-(self.side or self._size.side) // config.stride) * config.stride] * config.axes)
        times = ways * (2**config.axes if self.flips else 1)
        steps = plan.steps + plan.finishing().steps
        return effort(Network(config), crop, batch=plan.batch, steps=steps, voxels=voxels * times, device=device)

    def learnt(self) -> dict[str, Any]:
        if self.network_ is None:
            raise self.unfitted()
        story: dict[str, Any] = self.about_["learnt"]
        return story

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self.network_ is None:
            raise self.unfitted()
        weights = {f"network.{name}": value.detach().cpu().contiguous().numpy() for name, value in self.network_.state_dict().items()}
        return {"about": np.frombuffer(json.dumps(self.about_, sort_keys=True).encode(), np.uint8), **weights}

    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        import torch

        from lithoscope.training.devices import laid_out
        from lithoscope.training.unet import UNet as Network
        from lithoscope.training.unet import config_of

        try:
            about = json.loads(state["about"].tobytes())
            config = config_of(about["config"])
            weights = {k.removeprefix("network."): torch.tensor(v) for k, v in state.items() if k.startswith("network.")}
            with torch.device("meta"):
                network = Network(config)
            network.load_state_dict(weights, assign=True)
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            raise UnreadableError("the model's network is damaged or of another kind; train it again") from error
        if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
            raise UnreadableError("the model's weights are not all numbers; train it again")
        if config.classes != len(classes) or config.channels != self._channels or (config.axes == 3) != self._in_space:
            raise InputError(f"the model's network tells {config.classes} classes apart and the model names {len(classes)}; train it again")
        self.network_, self.table_, self.about_ = laid_out(network.eval()), classes, about
        return self

    @property
    def classes_(self) -> ClassTable:
        if self.network_ is None:
            raise self.unfitted()
        return self.table_


def _across(
    tiler: "Tiler", image: npt.NDArray[np.float32], core: tuple[slice, slice, slice], origin: Triple, axis: int, channels: int
) -> Iterator[tuple[Place, "torch.Tensor"]]:
    """Places of the image and scores (classes, z, y, x) there, looked at plane by plane across `axis`."""
    order = [axis, *(a for a in range(3) if a != axis)]
    back = [order.index(a) for a in range(3)]
    turned = np.transpose(image, order)
    for place, scores in tiler.planes(turned, [core[a] for a in order], [origin[a] for a in order], channels):
        yield tuple(place[b] for b in back), scores.movedim(1, 0).permute(0, *(b + 1 for b in back))

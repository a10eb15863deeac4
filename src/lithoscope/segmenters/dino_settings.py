"""The settings of the method on tokens: what of a network's tokens, of filters and of crops it looks at, and for how long."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.features.adapters import Adapter
from lithoscope.features.base import Extractor
from lithoscope.features.basis import Basis
from lithoscope.features.filters import FilterBank
from lithoscope.features.token_grid import Grid, Windows
from lithoscope.features.tokens import AXES, Tokens
from lithoscope.parameters import parameter
from lithoscope.segmenters.base import Segmenter, lacking
from lithoscope.segmenters.tones import toning_setting
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    import torch

    from lithoscope.segmenters.dino_network import How
    from lithoscope.training.lora import LoraSettings

WIDE = (2, 1024, 1024)
"""Voxels (z, y, x) that are best answered at once where tokens are not kept: windows reach far."""
HINTED = 8
"""Voxels around what is painted that a forest in space sees."""
JUDGEMENTS = 10
"""How often a training is judged."""


@dataclass
class DinoSettings(Segmenter):
    """What the method on tokens can be told, and what it looks at."""

    name: ClassVar[str] = "dino"
    title: ClassVar[str] = "Backbone"
    summary: ClassVar[str] = "Learns from a few strokes what each class looks like to a pre-trained network and to filters."
    modules: ClassVar[tuple[str, ...]] = ("torch",)
    live: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    backbone: str = parameter("lithoscope-tiny", "The network: a name that `lithoscope backbones` lists, a folder or a file.")
    head: Literal["linear", "trees", "knn", "cnn"] = parameter(
        "linear", "What is taught on tokens: linear, trees or neighbours' votes in seconds; cnn, the published convolutions, in minutes."
    )
    tuning: Literal["frozen", "lora"] = parameter(
        "frozen", "Frozen leaves the network as it is; lora teaches adapters in it, kept if held-out strokes improve. Best with a GPU."
    )
    preset: Literal["fast", "published"] = parameter(
        "fast", "Fast: kept, reduced tokens joined with filters. Published: whole tokens at scale 2.5, and long teaching."
    )
    plane: Literal["z", "y", "x", "all"] | None = parameter(
        None, "The axis across which the network sees planes; all three take three times as long. Left open: z, or all with a GPU."
    )
    scale: float | None = parameter(
        None, "How far planes are enlarged first: 2 sees finer structures and takes four times as long. Left open: 1, or 2 with a GPU.",
        minimum=0.25, maximum=8, step=0.5,
    )  # fmt: skip
    filters: bool = parameter(True, "Join the filter bank, which sees borders more sharply than tokens do.", level="advanced")
    dimensions: Literal[2, 3] | None = parameter(
        None, "Filters within the slice (2) or in space (3); chosen from the scan when left open.", level="advanced"
    )
    reduced: int = parameter(
        64, "Channels kept of each token, in the backbone's own basis.", minimum=1, maximum=1024, step=1, level="advanced"
    )
    unlabelled: Literal["forest", "nothing"] | None = parameter(
        None, "What unpainted voxels teach cnn and lora: what a forest is sure of (forest), or nothing. Forest when left open, but with "
        "preset=published nothing.", level="advanced",
    )  # fmt: skip
    steps: int | None = parameter(
        None, "How long cnn, lora and the published heads are taught.", minimum=1, maximum=1_000_000, step=50, level="advanced"
    )
    side: int | None = parameter(
        None, "Edge of the crops that these are taught on.", minimum=16, maximum=1024, unit="voxels", level="advanced"
    )
    batch: int | None = parameter(None, "Crops a step; divided by itself when the memory does not hold them.", minimum=1, level="advanced")
    rate: float | None = parameter(None, "The highest learning rate.", minimum=1e-7, maximum=1.0, level="advanced")
    toning: float | None = toning_setting()
    rank: int = parameter(32, "The rank of LoRA's matrices.", minimum=1, maximum=512, step=1, level="advanced", shown_if=("tuning", "lora"))
    alpha: float = parameter(
        32.0, "By how much LoRA's matrices count.", minimum=0.1, maximum=1024, level="advanced", shown_if=("tuning", "lora")
    )
    dropout: float = parameter(
        0.1, "The part of what LoRA's matrices see that is left out.", minimum=0, maximum=0.9, level="advanced", shown_if=("tuning", "lora")
    )
    stabilised: bool = parameter(
        True, "Divide alpha by the root of the rank (rsLoRA), not by the rank.", level="advanced", shown_if=("tuning", "lora")
    )
    four_bit: bool = parameter(
        False, "Keep the network in four bits while LoRA is taught; needs an NVIDIA GPU.", level="advanced", shown_if=("tuning", "lora")
    )
    seed: int = parameter(0, "The same seed gives the same answer.", minimum=0, step=1, level="advanced")

    device: str = field(default="auto", repr=False, compare=False)
    folder: Path | None = field(default=None, repr=False, compare=False)
    basis_: Basis | None = field(default=None, init=False, repr=False, compare=False)
    adapter_: Adapter | None = field(default=None, init=False, repr=False, compare=False)
    table_: ClassTable = field(default_factory=ClassTable, init=False, repr=False, compare=False)
    made_: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def streamed(self) -> bool:
        """Whether it sees whole tokens, worked out for every answer, instead of kept ones."""
        return self.head == "cnn" or self.preset == "published"

    @property
    def joined(self) -> bool:
        """Whether LoRA's tokens are kept, and joined with filters, as those of the backbone itself are."""
        return self.tuning == "lora" and not self.streamed

    @property
    def refitted(self) -> bool:  # type: ignore[override]
        """Networks choose their weights by the strokes held out; the others are taught again with all of them."""
        return not self.streamed and not self.joined

    def left_open(self) -> dict[str, tuple[Any, str]]:
        gpu = find_spec("torch") is not None and self._device().type != "cpu"
        reason = "there is a GPU" if gpu else "there is no GPU"
        scale = (2.5, "as published") if self.preset == "published" else (2.0 if gpu else 1.0, reason)
        found: dict[str, tuple[Any, str]] = {"plane": ("all" if gpu else "z", reason), "scale": scale}
        if not self.refitted:
            own = ("nothing", "as published") if self.preset == "published" else ("forest", "strokes alone say little of borders")
            found["unlabelled"] = own
        return found

    def not_live(self) -> str:
        if not self.refitted:
            return "This is taught when you run it: the live preview is there for tuning=frozen, preset=fast and a head other than cnn"
        return ""

    @property
    def bank(self) -> FilterBank:
        """The filters that it asks of a voxel; the voxel's own value alone, and slightly smoothed, where they are left out."""
        plane = self._plane
        axes = (0, 1, 2) if self.dimensions != 2 else tuple(a for a in range(3) if plane == "all" or a != "zyx".index(plane))
        if not self.filters:
            return FilterBank((1.0,), kinds=("gaussian",), axes=axes, raw=True, half=True)
        return FilterBank((1.0, 2.0, 4.0), axes=axes, raw=True, coarse=True, half=True)

    @property
    def tokens(self) -> Tokens:
        """The tokens that it asks of a plane."""
        key = ("tokens", self.backbone, self._plane, self._scale, self.reduced, id(self.basis_), id(self.adapter_), self.device)
        if key not in self.made_:
            check_torch()
            made = Tokens(
                self.backbone, self._plane, scale=self._scale, reduced=self.reduced, device=str(self._device()), basis=self.basis_,
                adapter=self.adapter_, adapter_scale=self._lora.scale if self.adapter_ else 1.0,
            )  # fmt: skip
            self.made_ = {**{k: v for k, v in self.made_.items() if k[0] != "tokens"}, key: made}
        found: Tokens = self.made_[key]
        return found

    def extractors(self) -> tuple[Extractor, ...]:
        # Until it is taught, LoRA asks for no features but for crops of the image.
        return () if self.streamed or (self.joined and not self.table_) else (self.bank, self.tokens)

    def halo(self) -> Triple:
        if find_spec("torch") is None:
            return (0, 0, 0)
        if self.streamed:
            return self._reach()
        a, b, c = (max(pair) for pair in zip(self.tokens.halo(), self.bank.halo(), strict=True))
        return (a, b, c)

    def _reach(self) -> Triple:
        """How far a published head looks."""
        from lithoscope.training.token_heads import CnnHead, LinearHead
        from lithoscope.training.token_network import reach

        far = reach(CnnHead if self.head == "cnn" else LinearHead, self._grid, self._windows)
        z, y, x = (far if any(axis != k for axis in AXES[self._plane]) else 0 for k in range(3))
        return (z, y, x)

    def labelled_halo(self) -> Triple:
        if self.refitted or find_spec("torch") is None:
            return self.halo()
        around = HINTED if self._unlabelled == "forest" and self.dimensions != 2 else 0
        z, y, x = (max(*pair, around) for pair in zip(self.halo(), self._reach(), strict=True))
        return (z, y, x)

    def halo_given_tokens(self) -> Triple:
        return self.halo() if self.streamed else self.bank.halo()

    def labelled_edge(self) -> Triple:
        return self._wide(1, 256, 64)

    def widest(self) -> Triple:
        return self._wide(*WIDE[:2], WIDE[1] // 4)

    def _wide(self, along: int, across: int, all_: int) -> Triple:
        z, y, x = (all_ if self._plane == "all" else along if AXES[self._plane] == (a,) else across for a in range(3))
        return (z, y, x)

    def working_bytes(self) -> int:
        return 8 * max(len(self.table_), 4)

    @property
    def _plane(self) -> Literal["z", "y", "x", "all"]:
        return self.plane or "z"

    @property
    def _scale(self) -> float:
        return self.scale or (2.5 if self.preset == "published" else 1.0)

    @property
    def _unlabelled(self) -> str:
        return self.unlabelled or str(self.left_open().get("unlabelled", ("nothing",))[0])

    def _device(self) -> "torch.device":
        from lithoscope.training.devices import device_of

        return device_of(self.device)

    @property
    def _lora(self) -> "LoraSettings":
        from lithoscope.training.lora import LoraSettings

        return LoraSettings(self.rank, self.alpha, self.dropout, self.stabilised, self.four_bit)

    @property
    def _backbone(self) -> Any:
        from lithoscope.features.backbones import open_backbone

        key = ("backbone", self.backbone, self.device)
        if key not in self.made_:
            check_torch()
            path = Path(self.backbone)
            self.made_[key] = open_backbone(path if path.exists() else self.backbone, device=str(self._device()))
        return self.made_[key]

    @property
    def _grid(self) -> Grid:
        return Grid(self._backbone.patch, self._scale)

    @property
    def _windows(self) -> Windows:
        voxels = self.side or (224 if self.preset == "published" else 112)
        side = max(4, round(voxels * self._scale / self._backbone.patch))
        return Windows(side, max(1, side * 4 // 5))

    def _how(self) -> "How":
        from lithoscope.segmenters.dino_network import How
        from lithoscope.training.loop import Plan

        device = self._device()
        slow, long = device.type == "cpu", self.preset == "published"
        steps = self.steps or (60 if slow else 400) * (5 if long else 1)
        plan = Plan(
            steps, self.batch or (4 if slow else 15), self.rate or (1e-4 if long else 1e-3), weight_decay=1e-4,
            every=max(1, steps // JUDGEMENTS), patience=5, half=not slow, seed=self.seed,
        )  # fmt: skip
        lora = self._lora if self.tuning == "lora" else None
        kind: Literal["linear", "cnn"] = "cnn" if self.head == "cnn" else "linear"
        return How(
            self._backbone, kind, self._grid, AXES[self._plane], self._windows.side, plan, device, lora, self.folder,
            hints=self._unlabelled == "forest", flat=self.dimensions == 2, on=long, toning=self.toning, decides=not self.joined,
        )  # fmt: skip


def check_torch() -> None:
    """Refuse in one line where torch is missing."""
    if words := lacking(DinoSettings):  # type: ignore[type-abstract]
        raise InputError(words)

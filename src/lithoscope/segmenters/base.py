"""The contract of every method: it learns from samples and answers for one block.

A segmenter never sees the volume, a layer or a window. It is a dataclass whose fields, made with `parameter`, are its
settings; what `fit` learns ends in an underscore.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from lithoscope.classes import ClassTable
from lithoscope.errors import MissingError, NotFittedError
from lithoscope.features.base import Extractor
from lithoscope.job import Report, silent
from lithoscope.volume.histogram import Histogram
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.features.token_lookup import TokenSource

Labels = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """All that a method may know of one place.

    `image` is (z, y, x) of native dtype with the method's halo, reflected at the scan's faces; `origin` is the place of its
    first voxel on the scan's grid (below 0 in a reflected halo). `inside` marks the field of view over the same box, or is
    None when all is inside. `window` is (low, high), the scan's .5 and 99.5 percentiles inside the field of view. `core`
    is the part of `image` to answer for. `tokens` gives those of any box of the scan that are kept, if they are.
    """

    image: npt.NDArray[Any]
    core: tuple[slice, slice, slice]
    window: tuple[float, float]
    origin: tuple[int, int, int] = (0, 0, 0)
    inside: npt.NDArray[np.bool_] | None = None
    voxel: Voxel | None = None
    source: "Callable[[Extractor], npt.NDArray[np.float32]] | None" = field(default=None, repr=False)
    tokens: "TokenSource | None" = field(default=None, repr=False)

    @classmethod
    def of(cls, image: npt.NDArray[Any], window: tuple[float, float] | None = None, voxel: Voxel | None = None) -> Self:
        """A whole image (z, y, x) as one block without halo."""
        limits = window or (float(np.nanmin(image)), float(np.nanmax(image)))
        return cls(
            image=image, core=(slice(0, image.shape[0]), slice(0, image.shape[1]), slice(0, image.shape[2])), window=limits, voxel=voxel
        )

    def features(self, extractor: Extractor) -> npt.NDArray[np.float32]:
        """Features (channels, z, y, x) over `image`, from the scan's cache or computed now."""
        if self.source is not None:
            return self.source(extractor)
        return extractor.extract_at(self.image, self.window, None if self.voxel is None else self.voxel.um, self.origin)


@dataclass(frozen=True)
class Sample(Block):
    """A block of which people said something: `labels` (0 = nobody said) and `held`, the voxels kept for the score.

    `strokes` numbers the connected stroke, over the whole scan, that each labelled voxel belongs to. `picked` gives features
    (n, channels) of places (n, 3) on the scan's grid from what is kept, where that is less work than those of the whole block.
    """

    labels: Labels | None = None
    held: npt.NDArray[np.bool_] | None = None
    strokes: npt.NDArray[np.int64] | None = None
    picked: "Callable[[npt.NDArray[np.int64], Extractor], npt.NDArray[np.float32]] | None" = field(default=None, repr=False)


class Samples(Protocol):
    """What a segmenter learns from: labelled blocks for the taught methods, histograms for the others."""

    @property
    def classes(self) -> ClassTable: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def histogram(self, *, report: Report = silent) -> Histogram:
        """Grey values inside the field of view, of all that is to be segmented."""
        ...

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        """The same, one for each z of the scan."""
        ...

    def spread(self, edge: int, count: int, halo: tuple[int, int, int] = (0, 0, 0)) -> Iterator[Block]:
        """Up to `count` blocks with cores of `edge` voxels an axis, spread over what is to be segmented; always the same ones."""
        ...


@dataclass
class Segmenter(ABC):
    """One way to tell the classes apart."""

    name: ClassVar[str]
    """Registry key and command-line name."""
    title: ClassVar[str]
    """What the docks call it."""
    summary: ClassVar[str]
    """One line of what it does and when to use it."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules of the extra `networks` that it cannot do without."""
    live: ClassVar[bool] = False
    """Whether it is taught by strokes, and answers for a plane, within a moment: it is previewed while somebody paints."""
    needs_labels: ClassVar[bool] = False
    refitted: ClassVar[bool] = True
    """Whether, once scored on the strokes held out, it is taught again with all of them; networks choose their weights by them."""

    reflects: ClassVar[bool] = False
    """Whether it sees to what lies beyond the image itself: its blocks then end at the faces of the scan, and nothing is added there."""

    def left_open(self) -> dict[str, tuple[Any, str]]:
        """What it chooses itself for settings that were left open, each with the reason."""
        return {}

    def not_live(self) -> str:
        """Why a method that is `live` is not, as it is set, in words; empty when it is."""
        return ""

    def remarks(self) -> list[str]:
        """What is to be said, in the record, of how it was taught."""
        return []

    def extractors(self) -> tuple[Extractor, ...]:
        """The features it asks blocks for."""
        return ()

    def halo(self) -> tuple[int, int, int]:
        """How many voxels (z, y, x) around a place its answer depends on."""
        return (0, 0, 0)

    def labelled_halo(self) -> tuple[int, int, int]:
        """How many voxels (z, y, x) around what is painted it is taught with, if it asks for no features."""
        return self.halo()

    def halo_given_tokens(self) -> tuple[int, int, int]:
        """The same where the tokens it asks for are kept: what is left that it looks at in the image."""
        return self.halo()

    def labelled_edge(self) -> tuple[int, int, int]:
        """How far (z, y, x) the labelled blocks reach that it is taught with, if it asks for no features."""
        return (64, 64, 64)

    def widest(self) -> tuple[int, int, int] | None:
        """The piece (z, y, x) it would best be given at once, if the shards of a scan are too narrow for it."""
        return None

    def working_bytes(self) -> int:
        """The memory that `predict` takes a voxel, beside image and labels; the engine sizes its blocks by it."""
        return 0

    @abstractmethod
    def fit(self, samples: Samples, *, report: Report = silent) -> Self:
        """Learn from the samples, forgetting what was learnt before."""

    def finished(self, samples: Samples, *, report: Report = silent) -> Self:
        """A method that is not refitted, once it was scored: taught by all samples what does not touch the weights that it chose."""
        return self

    @abstractmethod
    def scores(self, block: Block) -> Scores:
        """How likely each class is: (classes, z, y, x) over `block.image`, summing to one."""

    @abstractmethod
    def predict(self, block: Block) -> Labels:
        """Class 1…n of each voxel of `block.image`, (z, y, x); the engine crops to the core and blanks the outside."""

    def by_features(self, features: npt.NDArray[np.float16], *, certain: bool) -> tuple[Labels, Scores | None]:
        """Of methods that are `live` and need nothing of a voxel but the features (channels, z, y, x) of their one extractor: its
        class 1…n and, if it is to be `certain`, how far the best class is ahead of the second, both (z, y, x)."""
        raise NotImplementedError(f"{self.name} does not answer by features alone")

    @abstractmethod
    def learnt(self) -> dict[str, Any]:
        """What was fitted, as plain JSON, for the run record: `thresholds`, `centres` …"""

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What was fitted, as arrays, for `saving`; raises `NotFittedError` before `fit`."""

    @abstractmethod
    def restore(self, state: dict[str, npt.NDArray[Any]], classes: ClassTable) -> Self:
        """Take up what `state` and `classes_` gave."""

    @property
    @abstractmethod
    def classes_(self) -> ClassTable:
        """The classes it tells apart, known once fitted."""

    def unfitted(self) -> NotFittedError:
        """The error of a segmenter asked before `fit`."""
        return NotFittedError(f"{self.name} has not been fitted; call fit first")


REGISTRY: dict[str, type[Segmenter]] = {}
"""Every method by name, filled by `register` as `lithoscope.segmenters` is imported."""


AnySegmenter = TypeVar("AnySegmenter", bound=Segmenter)


def register(method: type[AnySegmenter]) -> type[AnySegmenter]:
    """Class decorator that makes a method known by its name."""
    if method.name in REGISTRY:
        raise ValueError(f"two segmenters are named {method.name}")
    REGISTRY[method.name] = method
    return method


def lacking(method: type[Segmenter]) -> str:
    """What must be installed before this method can be used, in words; empty when nothing lacks."""
    absent = [module for module in method.modules if find_spec(module) is None]
    return f"{method.title} needs {' and '.join(absent)}, not installed yet: pip install 'lithoscope[networks]'" if absent else ""


def segmenter(name: str) -> type[Segmenter]:
    """The method of this name."""
    if name not in REGISTRY:
        raise MissingError(f"there is no method {name!r}; the methods are {', '.join(REGISTRY)}")
    return REGISTRY[name]

"""What the network is shown of items that teach: small pictures in memory, cut and turned anew at each step, or seen as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import ResourceError
from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval.images import KEPT, SQUASHED, ImageFile, opened, squashed

if TYPE_CHECKING:
    from torch import Generator, Tensor

MOST_BYTES = 4 << 30
"""More than this is not held in memory."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """`values` (n, views, channels, y, x) in eight bits or as parts of a window; the middle `side` × `side` is what is seen.

    The views of an item are the planes through a patch; an image has one. `zoom` is the least part of the side that a crop shows.
    """

    values: npt.NDArray[Any]
    side: int
    zoom: float = 1.0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def views(self) -> int:
        """How many planes there are of each."""
        return int(self.values.shape[1])

    @classmethod
    def of_images(cls, images: Sequence[ImageFile], channels: int, side: int, report: Report = silent) -> Self:
        """Images as the SCAMPI benchmark sees them, smaller: squashed to a square, of which the middle seven eighths are seen."""
        edge = round(side * SQUASHED / KEPT)
        check_size(len(images), channels * edge * edge)
        found = np.empty((len(images), 1, channels, edge, edge), np.uint8)
        for done, image in enumerate(images):
            report(Progress(done, len(images), f"reading {image.name}"))
            small = squashed(opened(image), edge)
            values = np.asarray(small.convert("L") if channels == 1 else small)
            found[done, 0] = values if channels == 1 else np.moveaxis(values, -1, 0)
        return cls(found, side)

    def some(self, rows: npt.ArrayLike) -> "Pictures":
        """Those of some items."""
        return replace(self, values=self.values[np.asarray(rows)])

    def with_zoom(self, zoom: float) -> "Pictures":
        """The same, cropped no closer than this."""
        return replace(self, zoom=zoom)

    def seen(self, rows: npt.ArrayLike) -> "Tensor":
        """The middle (rows, views, channels, side, side) of some, at 0…1."""
        edge = self.values.shape[-1]
        low = (edge - self.side) // 2
        return _scaled(self.values[np.asarray(rows)][..., low : low + self.side, low : low + self.side])

    def drawn(self, rows: npt.ArrayLike, generator: "Generator") -> "Tensor":
        """One view (rows, channels, side, side) of each of some, cut anywhere, mirrored, turned, a little brighter or darker."""
        import torch
        from torch.nn import functional

        numbers = np.asarray(rows)
        n, edge = len(numbers), self.values.shape[-1]
        draws = torch.rand(n, 8, generator=generator).numpy()
        views = np.minimum((draws[:, 0] * self.views).astype(int), self.views - 1)
        whole = _scaled(self.values[numbers, views])
        made = torch.empty(*whole.shape[:2], self.side, self.side)
        for i, (_, size, y, x, down, across, turn, tone) in enumerate(draws.tolist()):
            least = round(self.side * self.zoom)
            cut = min(edge, least + int(size * (self.side - least + 1)))
            top, left = int(y * (edge - cut + 1)), int(x * (edge - cut + 1))
            one = whole[i : i + 1, :, top : top + cut, left : left + cut]
            if cut != self.side:
                one = functional.interpolate(one, size=(self.side, self.side), mode="bilinear", antialias=True)
            turned = [axis for axis, wanted in ((2, down > 0.5), (3, across > 0.5)) if wanted]
            one = one.flip(turned) if turned else one
            one = one.transpose(2, 3) if turn > 0.5 else one
            made[i] = (one[0] - 0.5) * (0.8 + 0.4 * tone) + 0.5
        contrast_free = 0.2 * torch.rand(n, 1, 1, 1, generator=generator) - 0.1
        return made + contrast_free


def _scaled(values: npt.NDArray[Any]) -> "Tensor":
    import torch

    found = torch.from_numpy(np.ascontiguousarray(values)).float()
    return found / 255 if values.dtype == np.uint8 else found


def check_size(count: int, bytes_each: int) -> None:
    """Refuse more pictures than memory holds."""
    if count * bytes_each > MOST_BYTES:
        raise ResourceError(f"{count} pictures need {count * bytes_each >> 20} MB; teach on fewer, or with a smaller side")

"""A backbone and a head as one network on raw crops: the published segmentor, taught by the shared loop, asked plane by plane.

Crops are enlarged `scale` times before the backbone sees them, and the head's logits are brought back to the scan's voxels; labels
stay as they were painted. Only what is taught, and the head, is kept of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.features.token_grid import HIGH, LOW, Grid, Windows, plane_tokens
from lithoscope.training.token_heads import CnnHead, Head, at_pixels

Floats = npt.NDArray[np.float32]
Range = tuple[int, int]

TILE = 40
"""Tokens along a side that the head is asked for at once."""


class TokenNetwork(nn.Module):
    """Logits (n, classes, y, x) of crops (n, 1, y, x) whose window lies at 0…1."""

    def __init__(self, backbone: nn.Module, head: Head, patch: int, scale: float) -> None:
        super().__init__()
        self.backbone, self.head, self.patch, self.scale = backbone, head, patch, scale
        self.taught = any(p.requires_grad for p in backbone.parameters())

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[2:]
        pixels = images
        if self.scale != 1:
            wide = [round(n * self.scale) for n in size]
            pixels = functional.interpolate(images, size=wide, mode="bicubic", align_corners=False).clamp(LOW, HIGH)
        whole = [-(-n // self.patch) * self.patch for n in pixels.shape[2:]]
        if whole != list(pixels.shape[2:]):
            pixels = functional.pad(pixels, (0, whole[1] - pixels.shape[3], 0, whole[0] - pixels.shape[2]), mode="replicate")
        network = cast(Any, self.backbone)
        with torch.set_grad_enabled(self.taught and torch.is_grad_enabled()):
            tokens = network.layers(network.normalised(pixels), (-1,))[0][:, network.prefix :]
        rows, columns = whole[0] // self.patch, whole[1] // self.patch
        logits = self.head(tokens.transpose(1, 2).reshape(len(images), -1, rows, columns).float())
        made = functional.interpolate(logits, size=[round(n / self.scale) for n in whole], mode="bilinear", align_corners=False)
        return made[:, :, : size[0], : size[1]]

    def train(self, mode: bool = True) -> "TokenNetwork":
        super().train(mode)
        if not self.taught:
            self.backbone.eval()
        return self

    def state_dict(self, *given: Any, **more: Any) -> Any:
        """The head and the adapters alone: the backbone is not ours to keep."""
        whole = super().state_dict(*given, **more)
        return {name: value for name, value in whole.items() if not name.startswith("backbone.") or "lora_" in name}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        found = super().load_state_dict(state, strict=False, assign=assign)
        lacking = [n for n in found.missing_keys if not n.startswith("backbone.") or "lora_" in n]
        if lacking or found.unexpected_keys:
            raise RuntimeError(f"weights do not fit: {', '.join([*lacking, *found.unexpected_keys][:3])}")
        return found


def plane_scores(
    backbone: nn.Module,
    head: Head,
    plane: Floats,
    grid: Grid,
    windows: Windows,
    start: tuple[int, int],
    ranges: tuple[Range, Range],
    *,
    half: bool = False,
) -> Floats:
    """How likely each class is (classes, y, x) over two ranges of the scan's voxels, from a plane whose window lies at 0…1.

    The plane begins at voxel `start` and holds what `reach` asks for around the ranges.
    """
    device = next(head.parameters()).device
    step = max(1, int(TILE * grid.patch / grid.scale))
    made: Floats | None = None
    for rows in _pieces(ranges[0], step):
        for columns in _pieces(ranges[1], step):
            (r0, r1), (c0, c1) = (_tokens(grid, span, head) for span in (rows, columns))
            tokens = plane_tokens(cast(Any, backbone), plane, grid, windows=windows, start=start, wanted=((r0, r1), (c0, c1)))
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = head(torch.from_numpy(tokens).to(device).permute(2, 0, 1)[None])[0].float()
                patch = grid.patch if isinstance(head, CnnHead) else 1
                places = [_places(grid, span, patch, first) for span, first in ((rows, r0), (columns, c0))]
                scores = torch.softmax(at_pixels(logits, *(torch.from_numpy(p).to(device) for p in places)), 0).cpu().numpy()
            if made is None:
                made = np.empty((len(scores), ranges[0][1] - ranges[0][0], ranges[1][1] - ranges[1][0]), np.float32)
            made[:, rows[0] - ranges[0][0] : rows[1] - ranges[0][0], columns[0] - ranges[1][0] : columns[1] - ranges[1][0]] = scores
    assert made is not None
    return made


def reach(head: type[Head], grid: Grid, windows: Windows) -> int:
    """Voxels of a plane around a place that its answer depends on."""
    tokens = windows.side + head.margin + head.align + 2
    return int(np.ceil(tokens * grid.patch / grid.scale)) + 1


def _pieces(span: Range, step: int) -> Sequence[Range]:
    return [(a, min(a + step, span[1])) for a in range(span[0], span[1], step)]


def _tokens(grid: Grid, span: Range, head: Head) -> Range:
    """The tokens that a head wants for a range of voxels."""
    first, last, _ = grid.weights(*span)
    low = max(0, (first - head.margin) // head.align * head.align)
    return low, -(-(last + head.margin) // head.align) * head.align


def _places(grid: Grid, span: Range, patch: int, first: int) -> Floats:
    """Where the voxels of a range lie among a head's pixels, `patch` a token, the first of them of token `first`."""
    tokens = np.maximum(grid.places(*span), 0) if patch == 1 else grid.places(*span)
    return np.maximum((tokens + 0.5) * patch - 0.5 - first * patch, 0 if first == 0 else -np.inf).astype(np.float32)

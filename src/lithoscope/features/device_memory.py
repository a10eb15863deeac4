"""What to do when a device, or the computer, has too little memory for all that a network is shown at once: show it half, then say so."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lithoscope.errors import ResourceError

if TYPE_CHECKING:
    from torch import Tensor


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a device, or the computer, that had too little memory."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "not enough memory" in str(error))


def in_parts(ask: "Callable[[Tensor], Tensor]", images: "Tensor") -> "Tensor":
    """`ask` of images (n, …), in halves of halves where memory does not hold them together; refused where it does not hold one."""
    import torch

    try:
        return ask(images)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        if len(images) < 2:
            size, device = " × ".join(map(str, images.shape[2:])), images.device.type
            raise ResourceError(
                f"{device} has too little memory for one window of {size} pixels; use a smaller backbone or scale, or --device cpu"
            ) from error
    if images.device.type == "cuda":
        torch.cuda.empty_cache()
    return torch.cat([in_parts(ask, half) for half in images.chunk(2)])

"""Which class is the likeliest, voxel by voxel: torch's and NumPy's own search along the first axis is some ten times slower."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor


def best(values: "Tensor") -> npt.NDArray[np.uint8]:
    """The number 1…n of the class that rises above the others in values (n, …); of equal ones the first."""
    import torch

    top, found = values[0].clone(), torch.ones(values.shape[1:], dtype=torch.uint8, device=values.device)
    for number in range(1, len(values)):
        found.masked_fill_(values[number] > top, number + 1)
        torch.maximum(top, values[number], out=top)
    return found.cpu().numpy()

"""Pseudo-random rotations: signs drawn once and Hadamard's matrix in turns, as cheap as a Fourier transform (Ailon and Chazelle 2009)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.vectors import Floats


def power_of_two(width: int) -> int:
    """The smallest power of two that is no less than `width`."""
    return 1 << max(0, (width - 1).bit_length())


@cache
def hadamard(size: int) -> Floats:
    """The matrix (size, size) of 1 and -1 by Sylvester, for a power of two."""
    made = np.ones((1, 1), np.float32)
    while len(made) < size:
        made = np.block([[made, made], [made, -made]]).astype(np.float32)
    return made


@dataclass(frozen=True, eq=False)
class Rotation:
    """`signs` (turns, dimensions), or (turns, n, dimensions) to turn each of n vectors its own way, are 1 or -1; the dimensions are a
    power of two, beyond the vectors' width they are zeros."""

    signs: Floats

    @classmethod
    def drawn(cls, width: int, turns: int, rng: np.random.Generator) -> "Rotation":
        """A rotation of vectors of this width."""
        return cls(rng.choice(np.array([-1, 1], np.float32), (turns, power_of_two(width))))

    def __call__(self, vectors: Floats) -> Floats:
        """Vectors (n, width) turned, (n, dimensions); lengths stay."""
        count, dimensions = len(vectors), self.signs.shape[-1]
        turned = np.zeros((count, dimensions), np.float32)
        turned[:, : vectors.shape[1]] = vectors
        left = 1 << (dimensions.bit_length() - 1) // 2
        right = dimensions // left
        # Hadamard's matrix is the Kronecker product of two smaller ones, and these are two products by BLAS.
        for signs in self.signs:
            turned *= signs
            part = (turned.reshape(-1, right) @ hadamard(right)).reshape(count, left, right)
            other = part.transpose(0, 2, 1).reshape(-1, left) @ hadamard(left)
            turned[:] = other.reshape(count, right, left).transpose(0, 2, 1).reshape(count, dimensions) * np.float32(dimensions**-0.5)
        return turned

    def matrix(self, width: int) -> Floats:
        """The same as a matrix (width, dimensions), for rows to be multiplied by."""
        return self(np.eye(width, dtype=np.float32))


Codes = npt.NDArray[np.uint32]

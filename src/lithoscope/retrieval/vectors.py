"""Vectors between Arrow and numpy."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def vectors_of(table: Any, column: str, width: int) -> Floats:
    """A column of vectors (rows, width); what is missing is zeros."""
    chunks = []
    for chunk in table[column].chunks:
        if chunk.null_count:
            values = np.zeros((len(chunk), width), np.float32)
            known = np.asarray(chunk.is_valid())
            values[known] = np.asarray(chunk.drop_null().flatten(), np.float32).reshape(-1, width)
        else:
            values = np.asarray(chunk.flatten(), np.float32).reshape(-1, width)
        chunks.append(values)
    return np.concatenate(chunks) if chunks else np.zeros((0, width), np.float32)

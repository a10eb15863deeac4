"""A taught double Siamese network ready to be asked: what it foretells of vectors, and how it compares two."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.similarity.properties import Properties
from lithoscope.similarity.taught import write_json

if TYPE_CHECKING:
    from torch import nn

    from lithoscope.similarity.siamese import Heads

Json = dict[str, Any]


@dataclass(frozen=True)
class Foretold:
    """A property of an item: what is foretold, and the interval that holds `coverage` of true values, in the property's unit."""

    name: str
    value: float
    low: float
    high: float
    coverage: float

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3g} ({self.low:.3g} … {self.high:.3g})"

    def to_json(self) -> Json:
        return {"value": self.value, "low": _finite(self.low), "high": _finite(self.high), "coverage": self.coverage}


@dataclass(frozen=True, eq=False)
class Double:
    """`heads` over vectors of `width` channels a trunk; `bounds` (columns,) are the intervals' half widths, in deviations."""

    folder: Path
    heads: "Heads"
    width: int
    properties: Properties
    bounds: npt.NDArray[np.float64]
    coverage: float

    @classmethod
    def open(cls, folder: Path) -> "Double":
        """The heads that were taught into a folder; its trunks open as a backbone."""
        from lithoscope.features import twin
        from lithoscope.similarity.siamese import Heads

        told = twin.about(folder)
        heads = Heads(told["width"], len(told["properties"]))
        heads.load_state_dict(twin.tensors_of(folder, "heads"))
        bounds = np.array([np.inf if b is None else b for b in told["bounds"]])
        return cls(folder, heads.eval(), told["width"], Properties.from_json(told["properties"]), bounds, told["coverage"])

    def halves(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Vectors (n, channels) of its backbone as (n, 2, width)."""
        from lithoscope.similarity.siamese import halves

        return halves(vectors, self.width)

    def scaled_properties(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """What vectors (n, 2, width) foretell (n, columns), in deviations."""
        import torch

        with torch.inference_mode():
            scaled = self.heads.scaled(torch.from_numpy(np.asarray(vectors, np.float32)))
            return np.asarray(self.heads.properties(scaled).numpy(), np.float64)

    def foretold(self, vectors: npt.NDArray[Any]) -> list[list[Foretold]]:
        """The properties of each of some vectors (n, 2, width), with intervals."""
        if not self.properties.columns:
            return [[] for _ in vectors]
        middle = self.scaled_properties(vectors)
        low, value, high = (self.properties.restored(v) for v in (middle - self.bounds, middle, middle + self.bounds))
        return [
            [Foretold(n, float(v), float(a), float(b), self.coverage) for n, v, a, b in zip(self.properties.names, *rows, strict=True)]
            for rows in zip(value, low, high, strict=True)
        ]

    def compared(self, query: npt.NDArray[Any], others: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float32]]:
        """How alike a vector (2, width) is to others (n, 2, width): both, image, rock, and the gate's part for looks."""
        from lithoscope.similarity.siamese import compared

        return compared(self.heads, query, others)


def save(folder: Path, image: "nn.Module", rock: "nn.Module | None", double: Double) -> None:
    """Write trunks and heads as one file, and what they mean beside it."""
    from safetensors.torch import save_file

    from lithoscope.features import twin

    parts = {"image": image, "heads": double.heads, **({} if rock is None else {"rock": rock})}
    tensors = {f"{part}.{name}": t.detach().cpu().clone().contiguous() for part, m in parts.items() for name, t in m.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{twin.FILE}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(folder / twin.FILE)
    told = {
        "trunk": twin.shape_of(image),
        "width": double.width,
        "properties": double.properties.to_json(),
        "bounds": [_finite(float(b)) for b in double.bounds],
        "coverage": double.coverage,
    }
    write_json(folder / twin.NAME, told)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

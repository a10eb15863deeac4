"""Voxel sizes and their units."""

from dataclasses import dataclass
from typing import Any, Self

from lithoscope.errors import InputError

UNITS_UM = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6, "inch": 25400.0}
"""The units that are understood, under their OME-Zarr names, with their length in micrometres."""

_SPELLINGS = {
    "nm": "nanometer", "nanometre": "nanometer", "um": "micrometer", "µm": "micrometer", "μm": "micrometer", "micron": "micrometer",
    "microns": "micrometer", "micrometre": "micrometer", "mm": "millimeter", "millimetre": "millimeter", "cm": "centimeter",
    "centimetre": "centimeter", "m": "meter", "metre": "meter", "in": "inch",
}  # fmt: skip
_SYMBOLS = {"nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm", "meter": "m", "inch": "in"}


def unit_named(text: str) -> str:
    """The OME-Zarr name of a unit, however it is spelt: "um", "µm" and "micron" are "micrometer"."""
    name = text.strip()
    name = _SPELLINGS.get(name, _SPELLINGS.get(name.lower(), name.lower()))
    if name not in UNITS_UM:
        raise InputError(f"unit {text!r} is not known; use one of nm, um, mm, cm, m, inch")
    return name


def in_unit(one: str, other: str) -> float:
    """How many of the `other` unit one of the first is; exactly 1 where they are the same."""
    first, second = unit_named(one), unit_named(other)
    return 1.0 if first == second else UNITS_UM[first] / UNITS_UM[second]


@dataclass(frozen=True, slots=True)
class Voxel:
    """The size of a voxel along (z, y, x) in `unit`, an OME-Zarr unit name."""

    size: tuple[float, float, float]
    unit: str = "micrometer"

    def __post_init__(self) -> None:
        if not all(0 < s < float("inf") for s in self.size):
            raise InputError(f"voxel size {self.size} is not three positive numbers (z y x)")
        object.__setattr__(self, "size", tuple(float(s) for s in self.size))
        object.__setattr__(self, "unit", unit_named(self.unit))

    @property
    def um(self) -> tuple[float, float, float]:
        """The size along (z, y, x) in micrometres."""
        z, y, x = self.size
        f = UNITS_UM[self.unit]
        return (z * f, y * f, x * f)

    @property
    def symbol(self) -> str:
        """The unit as it is written beside a number: "µm"."""
        return _SYMBOLS[self.unit]

    @property
    def isotropic(self) -> bool:
        return max(self.size) <= min(self.size) * 1.001

    def __str__(self) -> str:
        text = f"{self.size[2]:g}" if self.isotropic else " × ".join(f"{s:g}" for s in self.size)
        return f"{text} {self.symbol}"

    def to_json(self) -> dict[str, Any]:
        return {"size": list(self.size), "unit": self.unit}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        z, y, x = data["size"]
        return cls((z, y, x), data["unit"])

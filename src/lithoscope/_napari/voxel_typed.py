"""Voxel sizes as a person types them."""

from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel

UNITS = ("nm", "µm", "mm", "cm", "m", "inch")


def voxel_typed(words: str, unit: str) -> Voxel | None:
    """The voxel size that a person typed; None for nothing."""
    parts = words.replace(",", " ").replace("×", " ").split()
    if not parts:
        return None
    try:
        sizes = [float(p) for p in parts]
    except ValueError:
        raise InputError(f"voxel size {words!r} is not one number or three (z y x)") from None
    if len(sizes) not in (1, 3):
        raise InputError(f"voxel size {words!r} is not one number or three (z y x)")
    z, y, x = sizes * 3 if len(sizes) == 1 else sizes
    return Voxel((z, y, x), unit)


def sizes_text(voxel: Voxel) -> str:
    """The sizes as they are typed: one number, or three."""
    return " ".join(f"{s:g}" for s in (voxel.size[:1] if voxel.isotropic else voxel.size))


def unit_text(voxel: Voxel) -> str:
    """The unit as it is listed."""
    return voxel.symbol if voxel.symbol != "in" else "inch"

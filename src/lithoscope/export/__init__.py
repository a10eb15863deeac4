"""Results for other programs: masks as TIFF, OME-Zarr, raw, NumPy and slices, and pictures of slices."""

from lithoscope.export.values import parse_values
from lithoscope.export.volume import export, export_labels

__all__ = ["export", "export_labels", "parse_values"]

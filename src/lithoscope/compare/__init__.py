"""All methods on one scan, by one protocol: the same strokes, the same held-out voxels, the same scores."""

from lithoscope.compare.comparison import METHODS, compare, comparisons, open_comparison
from lithoscope.compare.protocol import Entry, Protocol

__all__ = ["METHODS", "Entry", "Protocol", "compare", "comparisons", "open_comparison"]

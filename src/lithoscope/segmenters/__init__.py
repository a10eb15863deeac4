"""The methods, one a file. Importing this package fills the registry; nothing heavier than numpy is loaded for it."""

from lithoscope.segmenters import fuzzy, kmeans, otsu, threshold
from lithoscope.segmenters.base import REGISTRY, Block, Sample, Samples, Segmenter, segmenter
from lithoscope.segmenters.parameters import Parameter, configured, parameters, settings

__all__ = [
    "REGISTRY",
    "Block",
    "Parameter",
    "Sample",
    "Samples",
    "Segmenter",
    "configured",
    "fuzzy",
    "kmeans",
    "otsu",
    "parameters",
    "segmenter",
    "settings",
    "threshold",
]

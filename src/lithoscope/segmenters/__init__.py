"""The methods, one a file. Importing this package fills the registry; nothing heavier than numpy is loaded for it."""

from lithoscope.parameters import Parameter, configured, parameters, settings
from lithoscope.segmenters import dino, forest, fuzzy, kmeans, otsu, threshold, unet, watershed
from lithoscope.segmenters.base import REGISTRY, Block, Sample, Samples, Segmenter, segmenter

__all__ = [
    "REGISTRY",
    "Block",
    "Parameter",
    "Sample",
    "Samples",
    "Segmenter",
    "configured",
    "dino",
    "forest",
    "fuzzy",
    "kmeans",
    "otsu",
    "parameters",
    "segmenter",
    "settings",
    "threshold",
    "unet",
    "watershed",
]

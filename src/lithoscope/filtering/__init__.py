"""Images made better before they are segmented: one filter a file, and the job that runs one over a scan.

Importing this package fills the registry; nothing heavier than numpy is loaded for it.
"""

from lithoscope.filtering import bilateral, cupping, gaussian, median, nlm, normalise, rings
from lithoscope.filtering.base import REGISTRY, Filter, Piece, image_filter
from lithoscope.filtering.preview import Previewer, preview
from lithoscope.filtering.run import filter_image
from lithoscope.filtering.survey import Survey

__all__ = [
    "REGISTRY",
    "Filter",
    "Piece",
    "Previewer",
    "Survey",
    "bilateral",
    "cupping",
    "filter_image",
    "gaussian",
    "image_filter",
    "median",
    "nlm",
    "normalise",
    "preview",
    "rings",
]

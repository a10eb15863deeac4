"""What the network sees: tokens as colours, attention, likeness, certainty and maps of patches, headless.

Everything here gives arrays at the resolution of what was computed and says where they lie among the scan's voxels; what draws
them in a window is in `_napari`.
"""

from lithoscope.explain.overlay import Overlay
from lithoscope.explain.place import Place

__all__ = ["Overlay", "Place"]

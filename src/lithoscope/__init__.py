"""Lithoscope: from a CT stack to a segmentation that you trust, measure and publish."""

__version__ = "0.1.0"

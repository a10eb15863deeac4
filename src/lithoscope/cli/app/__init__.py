"""The words of the command line: its commands, options and help, a file a group. What they do is in `commands`."""

from lithoscope.cli.app import (
    backbones,
    cleaning,
    explaining,
    images,
    judging,
    learning,
    library,
    machine,
    results,
    retrieval,
    scans,
    segmenting,
    similarity,
)
from lithoscope.cli.app.root import app

__all__ = [
    "app",
    "backbones",
    "cleaning",
    "explaining",
    "images",
    "judging",
    "learning",
    "library",
    "machine",
    "results",
    "retrieval",
    "scans",
    "segmenting",
    "similarity",
]

"""The sample scan: a small simulated rock whose truth is known, kept in the person's own folder."""

from pathlib import Path
from typing import Any

SHAPE = (96, 192, 192)
"""Small enough to be made in seconds, large enough to try everything on."""


def sample_path() -> Path:
    """Where the sample scan of this person lies."""
    import platformdirs

    return Path(platformdirs.user_data_dir("lithoscope", appauthor=False)) / "rock.zarr"


def make_sample_scan(place: Path) -> Path:
    """Make the sample scan at `place`."""
    from lithoscope.sample import simulate

    place.parent.mkdir(parents=True, exist_ok=True)
    simulate(place, shape=SHAPE, seed=0)
    return place


def sample_scan() -> list[tuple[Any, dict[str, Any], str]]:
    """The sample scan as layers, for napari's File ▸ Open sample."""
    from lithoscope._napari.layers import image_data
    from lithoscope.volume.scan import Scan

    place = sample_path()
    if not place.exists():
        make_sample_scan(place)
    return [image_data(Scan.open(place))]

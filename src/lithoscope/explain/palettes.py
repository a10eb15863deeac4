"""The colours of maps: a few stops each, even in lightness where the map is a quantity, and of classes."""

import numpy as np
import numpy.typing as npt

from lithoscope.explain.overlay import Colours, Overlay

STOPS: dict[Colours, tuple[str, ...]] = {
    "viridis": ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"),
    "magma": ("#000004", "#180f3d", "#440f76", "#721f81", "#9e2f7f", "#cd4071", "#f1605d", "#fd9668", "#feca8d", "#fcfdbf"),
    "certainty": ("#ff2bd6", "#c94fc4", "#8f6fb0", "#5d8aa3", "#3aa39a", "#2fbf95"),
    "doubt": ("#23242b", "#4a3a63", "#8a3f95", "#c93bb5", "#ff2bd6"),
}
"""viridis and magma are matplotlib's (CC0), by Smith and van der Walt."""

GROUPS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#e69f00", "#5d3a9b", "#0d7d87", "#99582a", "#777777")
"""Colours that are told apart with any common colour vision, after Paul Tol."""


def coloured(values: npt.NDArray[np.float32], limits: tuple[float, float], colours: Colours) -> npt.NDArray[np.uint8]:
    """A map (…) as colours (…, 4), clear where it is NaN."""
    low, high = limits
    part = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0, 1)
    stops = np.array([list(bytes.fromhex(c[1:])) for c in STOPS[colours]], np.float32)
    place = part * (len(stops) - 1)
    first = np.minimum(place.astype(int), len(stops) - 2)
    made = np.empty((*values.shape, 4), np.uint8)
    made[..., :3] = (stops[first] + (stops[first + 1] - stops[first]) * (place - first)[..., None]).round()
    made[..., 3] = 255 * np.isfinite(values)
    return made


def pixels(overlay: Overlay) -> npt.NDArray[np.uint8]:
    """An overlay's colours (rows, columns, 4)."""
    return overlay.values if overlay.coloured else coloured(overlay.values, overlay.limits, overlay.colours)


def group_colour(number: int) -> str:
    """The colour of the n-th group."""
    return GROUPS[number % len(GROUPS)]

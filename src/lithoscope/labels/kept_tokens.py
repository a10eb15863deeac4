"""The tokens that a method asks for, of a whole scan: taken from the cache, worked out first, or left to be worked out block by block."""

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.segmenters.base import Segmenter
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan

if TYPE_CHECKING:
    from lithoscope.features.token_cache import TokenCache
    from lithoscope.features.tokens import Tokens

MOST = 16 << 30
"""Bytes that the tokens of one scan may take in its cache; the oldest make room."""
WORTH = 0.5
"""A box smaller than this part of the scan is not worth the tokens of all of it."""


def cache_of(scan: Scan, method: Segmenter, image: str | None = None) -> "TokenCache | None":
    """The cache for the tokens that a method asks for, made or not; None for methods that ask for none."""
    from lithoscope.features.tokens import Tokens

    wanted = [e for e in method.extractors() if isinstance(e, Tokens)]
    if not wanted:
        return None
    from lithoscope.features.token_cache import TokenCache

    return TokenCache(scan, wanted[0], image)


def kept_tokens(
    scan: Scan, method: Segmenter, *, image: str | None = None, box: Box | None = None, report: Report = silent
) -> tuple["TokenCache | None", list[str]]:
    """The tokens of the whole scan, worked out now if they are not kept yet, and what is to be said of it.

    None where nothing can be kept, or is not worth it: blocks then work out their own.
    """
    cache = cache_of(scan, method, image)
    if cache is None or cache.complete:
        return cache, []
    if box is not None and box.size < WORTH * scan.box.size:
        return None, []
    if problem := _no_room(cache):
        return None, [f"tokens are not kept, so the next run takes as long: {problem}"]
    _make_room(cache)
    told = cache.estimate()
    words = f"tokens of {scan.name} first: about {_duration(told.seconds)}, {max(1, told.disk_bytes >> 20)} MB of disk"
    report(Progress(0, sum(scan.shape[axis] for axis in cache.tokens.axes), words))
    return cache.make(report), []


def keep_for_strokes(scan: Scan, method: Segmenter, across: int, *, image: str | None = None, report: Report = silent) -> None:
    """Work out the tokens of the whole scan before anything is learnt, where strokes lie on planes that the network does not look at.

    Strokes on its own planes need the tokens of those alone.
    """
    from lithoscope.labels.predict import resolved

    chosen, _ = resolved(scan, method)
    cache = cache_of(scan, chosen, image)
    if cache is not None and cache.tokens.axes != (across,):
        kept_tokens(scan, chosen, image=image, report=report)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(1, seconds):.0f} s"


def _no_room(cache: "TokenCache") -> str:
    """Why the tokens of a scan cannot be kept, if they cannot."""
    if cache.scan.readonly:
        return f"{cache.scan.name} is open read-only"
    if cache.bytes > MOST:
        return f"they would take {cache.bytes >> 30} GB, and {MOST >> 30} are allowed"
    free = shutil.disk_usage(cache.scan.sidecar if cache.scan.sidecar.exists() else cache.scan.sidecar.parent).free
    return f"they take up to {cache.bytes >> 20} MB of disk, and {free >> 20} MB are free" if free < cache.bytes + (1 << 28) else ""


def _make_room(cache: "TokenCache") -> None:
    """Remove the tokens that were made longest ago until these fit beside the others."""
    from lithoscope.features.token_cache import PREFIX

    others = [p for p in cache.folder.parent.glob(f"{PREFIX}*") if p != cache.folder and p.is_dir()]
    sizes = {p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in others}
    for oldest in sorted(others, key=lambda p: max((f.stat().st_mtime for f in p.glob("*.json")), default=0.0)):
        if sum(sizes.values()) + cache.bytes <= MOST:
            return
        shutil.rmtree(oldest, ignore_errors=True)
        del sizes[oldest]


@dataclass(frozen=True)
class Nothing:
    """Tokens that are all nought, to time what is done with them."""

    def near(self, tokens: "Tokens", axis: int, box: Box) -> npt.NDArray[np.float32]:
        from lithoscope.features.token_lookup import around

        (r0, r1), (c0, c1) = around(tokens.grid, axis, box)
        return np.zeros((box.shape[axis], r1 - r0, c1 - c0, tokens.width), np.float32)


def timed(cache: Any) -> float:
    """Seconds that the tokens still take."""
    return 0.0 if cache is None or cache.complete else float(cache.estimate().seconds)

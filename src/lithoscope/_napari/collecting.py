"""Short garbage collections: a full one looks at every object of the process, and napari's start leaves about a million of them.

Such a collection stops every thread for .1 to .25 s, whichever thread happens to set it off; in a window that is a visible stutter. So what
was there before the first scan opened is set aside (`gc.freeze`), and given back to the collector when the last window closes.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_short = 0
_paused = 0
_resume = True


class Collections:
    """One window's wish for short collections."""

    def __init__(self) -> None:
        self._wished = False

    def shorten(self) -> None:
        """Leave what is there now out of further collections, unless some window did so before."""
        global _short
        if not self._wished:
            self._wished = True
            _short += 1
            if _short == 1:
                gc.freeze()

    def lengthen(self) -> None:
        """Withdraw the wish; after the last one everything is the collector's again."""
        global _short
        if self._wished:
            self._wished = False
            _short -= 1
            if not _short:
                gc.unfreeze()


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected while this holds in any thread; what came meanwhile is then set aside too, where a window wishes it."""
    global _paused, _resume
    with _LOCK:
        _paused += 1
        if _paused == 1:
            _resume = gc.isenabled()
            gc.disable()
    try:
        yield
    finally:
        with _LOCK:
            _paused -= 1
            if not _paused and _resume:
                if _short:
                    gc.freeze()
                gc.enable()

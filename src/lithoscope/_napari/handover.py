"""Quick hand-overs between Python's threads while a scan is open.

Drawing calls OpenGL some hundred times, and each call lets other threads have the interpreter: one that reads ahead or computes a preview
then keeps it for 5 ms, Python's default, before the window is drawn on. At half a millisecond the worst waits of the window became a
fifth to a quarter shorter, and the threads took no longer.
"""

import sys

INTERVAL = 0.0005
"""Seconds that a thread keeps the interpreter when another waits for it."""

_wishes = 0
_before = 0.005


class Handover:
    """One window's wish for quick hand-overs."""

    def __init__(self) -> None:
        self._wished = False

    def quicken(self) -> None:
        """Hand over every half millisecond, if some window does not already; a shorter interval of somebody else is kept."""
        global _wishes, _before
        if not self._wished:
            self._wished = True
            _wishes += 1
            if _wishes == 1:
                _before = sys.getswitchinterval()
                sys.setswitchinterval(min(INTERVAL, _before))

    def restore(self) -> None:
        """Withdraw the wish; after the last one the interval is what it was before."""
        global _wishes
        if self._wished:
            self._wished = False
            _wishes -= 1
            if not _wishes:
                sys.setswitchinterval(_before)

"""Threads hand over quickly while a window has a scan open, and not for longer."""

import sys

import pytest

from lithoscope._napari.handover import INTERVAL, Handover


def test_the_interval_is_short_until_the_last_window_closes() -> None:
    before = sys.getswitchinterval()
    first, second = Handover(), Handover()
    first.quicken()
    first.quicken()
    second.quicken()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL)
    first.restore()
    first.restore()
    assert sys.getswitchinterval() == pytest.approx(INTERVAL)
    second.restore()
    assert sys.getswitchinterval() == pytest.approx(before)


def test_a_shorter_interval_of_somebody_else_is_kept() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        window = Handover()
        window.quicken()
        assert sys.getswitchinterval() == pytest.approx(0.0001, rel=0.05)
        window.restore()
        assert sys.getswitchinterval() == pytest.approx(0.0001, rel=0.05)
    finally:
        sys.setswitchinterval(before)

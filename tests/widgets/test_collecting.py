"""Objects are set aside from the collector once, and given back when the last window that wished it is closed."""

import gc

from lithoscope._napari.collecting import Collections, uncollected


def test_what_was_set_aside_is_given_back_after_the_last_wish() -> None:
    one, other = Collections(), Collections()
    one.shorten()
    assert gc.get_freeze_count() > 1000
    other.shorten()
    one.shorten()
    one.lengthen()
    one.lengthen()
    assert gc.get_freeze_count() > 1000
    other.lengthen()
    assert gc.get_freeze_count() == 0


def test_nothing_is_collected_until_the_last_wish_ends_and_what_came_is_set_aside_for_open_windows() -> None:
    window = Collections()
    window.shorten()
    before = gc.get_freeze_count()
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
            kept = [[i] for i in range(1000)]
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(kept)
    window.lengthen()
    with uncollected():
        pass
    assert gc.get_freeze_count() == 0


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

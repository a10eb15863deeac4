"""Objects are set aside from the collector once, and given back when the last window that wished it is closed."""

import gc

from lithoscope._napari.collecting import Collections


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

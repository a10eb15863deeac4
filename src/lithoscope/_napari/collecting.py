"""Short garbage collections: a full one looks at every object of the process, and napari's start leaves about a million of them.

Such a collection stops every thread for .1 to .25 s, whichever thread happens to set it off; in a window that is a visible stutter. So what
was there before the first scan opens is set aside (`gc.freeze`), and given back to the collector when the window closes.
"""

import gc

_set_aside = 0


def set_aside() -> None:
    """Leave what is there now out of further collections; said again it takes up nothing more."""
    global _set_aside
    _set_aside += 1
    if _set_aside == 1:
        gc.freeze()


def give_back() -> None:
    """Hand everything back to the collector, once the last that set it aside has said so."""
    global _set_aside
    if _set_aside:
        _set_aside -= 1
        if not _set_aside:
            gc.unfreeze()

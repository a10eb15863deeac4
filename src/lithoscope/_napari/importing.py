"""Importing large packages in a thread while the window goes on. An import holds the interpreter's lock, and with it the window, for as
long as the system takes to link its libraries; and the hundred thousand objects that it makes set off full garbage collections.

So the libraries are linked before, without that lock, and no garbage is collected meanwhile.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lithoscope._napari.collecting import uncollected

LIBRARIES = {
    "pyarrow": ("libarrow", "libarrow_compute", "libparquet", "libarrow_acero", "libarrow_dataset"),
    "lancedb": ("_lancedb",),
    "torch": ("lib/libc10", "lib/libtorch_cpu"),
}
"""What the system links when a package is imported, without what calls the interpreter as soon as it is linked."""


@contextmanager
def importing(*packages: str) -> Iterator[None]:
    """While this holds, these packages can be imported in the thread that is in it."""
    if all(package in sys.modules for package in packages):
        yield
        return
    with uncollected():
        for package in packages:
            link(package)
        yield


def link(package: str) -> list[str]:
    """Link what a package will link, and say what was; nothing where there is no such package, or the system has no `dlopen`."""
    found = find_spec(package)
    if os.name != "posix" or found is None or found.origin is None:
        return []
    # A function called by way of ctypes runs without the lock; ctypes.CDLL itself keeps it.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    folder = Path(found.origin).parent
    paths = [path for name in LIBRARIES[package] for path in sorted(folder.glob(f"{name}.*")) if {".so", ".dylib"} & set(path.suffixes)]
    return [path.name for path in paths if dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL) is not None]

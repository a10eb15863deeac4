"""Loading torch's own library before torch is imported, without the interpreter's lock. Importing it holds the lock, and with it the
window, for as long as the system takes to link some hundreds of megabytes.
"""

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("libc10", "libtorch_cpu")


def link_torch() -> list[str]:
    """Link what torch will link, and say what was; nothing where there is no torch, or the system has no `dlopen`."""
    found = find_spec("torch")
    if os.name != "posix" or found is None or found.origin is None:
        return []
    # A function called by way of ctypes runs without the lock; ctypes.CDLL itself keeps it.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    folder = Path(found.origin).parent / "lib"
    paths = [path for name in LIBRARIES for path in sorted(folder.glob(f"{name}.*")) if path.suffix in (".so", ".dylib")]
    return [path.name for path in paths if dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL) is not None]

"""Files and folders that a group works on together: who makes one shuts nobody out by his own settings."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def share(path: Path) -> None:
    """Let the group that may write to the folder around `path` write to `path` too. Only its owner can, and only on POSIX; where it
    cannot be, nothing happens."""
    if os.name != "posix":
        return
    with suppress(OSError):
        around, own = path.parent.stat(), path.stat()
        if not around.st_mode & stat.S_IWGRP or own.st_uid != os.geteuid():
            return
        if own.st_gid != around.st_gid:
            os.chown(path, -1, around.st_gid)
        path.chmod(stat.S_IMODE(own.st_mode) | stat.S_IRGRP | stat.S_IWGRP | (stat.S_IXGRP if stat.S_ISDIR(own.st_mode) else 0))

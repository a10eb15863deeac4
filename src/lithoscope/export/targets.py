"""Files and folders that appear whole or not at all, and replace only what may be replaced."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lithoscope.errors import InputError, MissingError, ResourceError, TakenError
from lithoscope.volume.store import storage_errors

RECORD_SUFFIX = ".json"
NOTE_SUFFIX = ".txt"


def record_of(target: Path) -> Path:
    """Where the run record of an exported file or folder lies: beside it."""
    return target.with_name(target.name + RECORD_SUFFIX)


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a target that is in use, cannot be made, or is a folder that no export wrote."""
    if not target.name or target.resolve() == Path(target.anchor or "/"):
        raise InputError(f"{target} is not the name of a file or folder; give one")
    parent = target.absolute().parent
    if not parent.is_dir():
        raise MissingError(f"the folder {parent} is not there; make it first")
    if not (target.exists() or target.is_symlink()):
        return
    if not overwrite:
        raise TakenError(f"{target} exists; add --overwrite to replace it, or choose another name")
    if target.is_dir() and any(target.iterdir()) and not record_of(target).is_file():
        raise TakenError(f"the folder {target} was not written by an export and is not replaced; choose another name")


def check_space(target: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    free = shutil.disk_usage(target.absolute().parent).free
    if needed > free:
        raise ResourceError(
            f"{target} needs about {_size(needed)} and its disk has {_size(free)} left; free some space, compress, or export elsewhere"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target` to write to: renamed to it when all went well, removed otherwise.

    What a killed export left under that name is removed first.
    """
    target = target.absolute()
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    try:
        with storage_errors(target):
            yield partial
            _replace(partial, target)
    except BaseException:
        _remove(partial)
        raise


def _replace(partial: Path, target: Path) -> None:
    """Put `partial` where `target` is; a folder is moved away first, as folders cannot be replaced in one step."""
    old = None
    if (target.is_dir() and not target.is_symlink()) or (partial.is_dir() and target.exists()):
        old = partial.with_suffix(".old")
        target.rename(old)
    try:
        partial.replace(target)
    except OSError:
        if old is not None:
            old.rename(target)
        raise
    if old is not None:
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

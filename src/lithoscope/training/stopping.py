"""A wish to end a training early, with its best weights so far: a file in the folder that it is kept in. Knows nothing of torch."""

from pathlib import Path

STOP = "stop"
"""A file of this name in a training's folder ends it."""


def wish(folder: Path) -> bool:
    """Have the training in `folder`, or what is under way of its parts, end after its next step; False when none is kept there."""
    if not folder.is_dir():
        return False
    for place in (folder, *(part for part in folder.iterdir() if part.is_dir())):
        (place / STOP).touch()
    return True


def forget(folder: Path) -> None:
    """A training that is begun or taken up is not to end because an earlier one was."""
    (folder / STOP).unlink(missing_ok=True)


def wished(folder: Path) -> bool:
    """Whether it is to end."""
    return (folder / STOP).exists()

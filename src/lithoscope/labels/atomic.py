"""Files that are either the old or the new one, whatever happens in between."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

from lithoscope.errors import StorageError


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` at `path`, on the disk, replacing what was there in one step; raises `OSError`."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Put `data` at `path` as JSON; a disk that refuses it is told as `StorageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(data, indent=1, ensure_ascii=False).encode())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}; free space or choose another place") from error

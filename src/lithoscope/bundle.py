"""A scan and all that belongs to it in one zip file, to keep or to hand on."""

import zipfile
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, StorageError, TakenError
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.scan import Scan


def bundle(scan: Scan, out: Path, *, overwrite: bool = False, report: Report = silent) -> dict[str, Any]:
    """Zip the scan and its sidecar to `out`, without the cache; answers {path, files, bytes}.

    Arrays are compressed already and are stored as they are. The file gets its name when it is whole.
    """
    if out.suffix.lower() != ".zip":
        raise InputError(f"{out.name} does not end in .zip; name the bundle so")
    if out.exists() and not overwrite:
        raise TakenError(f"{out} exists; choose another name or say --overwrite")
    files = [*_files(scan.path), *_files(scan.sidecar)]
    partial = out.with_name(out.name + ".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True, strict_timestamps=False) as archive:
            for number, file in enumerate(files):
                report(Progress(number, len(files), "bundling"))
                kind = zipfile.ZIP_DEFLATED if file.suffix in (".json", ".csv", ".txt") else zipfile.ZIP_STORED
                archive.write(file, file.relative_to(scan.path.parent if file.is_relative_to(scan.path) else scan.sidecar.parent), kind)
        partial.replace(out)
    except OSError as error:
        raise StorageError(
            f"the bundle could not be written to {out}: {error.strerror or error}; free some disk or choose another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    report(Progress(len(files), len(files), "bundling"))
    return {"path": str(out), "files": len(files), "bytes": out.stat().st_size}


def _files(folder: Path) -> list[Path]:
    """Every file of a folder but the cache's, locks and unfinished ones, in a fixed order."""
    if not folder.is_dir():
        return []
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in found if not _left_out(file.relative_to(folder))]


def _left_out(path: Path) -> bool:
    lock = path.name in ("lock", "lock.guard") or path.name.startswith(".lock.")  # on another computer they would be believed
    return path.parts[0] == "cache" or lock or any(part.endswith(".partial") for part in path.parts)

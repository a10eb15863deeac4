"""Trainings that are not done: kept beside the scan from their first step until their result is begun, so that none is lost."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.errors import LithoscopeError, StorageError
from lithoscope.labels.result_writer import check_not_in_use
from lithoscope.labels.results import check_name
from lithoscope.record import RunRecord
from lithoscope.volume.lock import WriterLock

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

BEGUN = "begun.json"
"""What was begun, as a run record: which method, with which settings."""

WHAT = "the unfinished training's files"


def training_folder(sidecar: Path, output: str) -> Path:
    """Where the training for the result `output` is kept."""
    return sidecar / "training" / check_name(output)


def model_training_folder(model: Path) -> Path:
    """Where the training of a model is kept: beside it."""
    return model.with_name(f"{model.name}.training")


def begin(folder: Path, record: RunRecord) -> None:
    """Make room for a training; one that was there is dropped, unless another program is at it."""
    check_not_in_use(folder, WHAT)
    drop(folder)
    try:
        folder.mkdir(parents=True)
        (folder / BEGUN).write_text(json.dumps(record.to_json(), indent=1), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the training cannot be kept in {folder}: {error.strerror or error}") from error


def held(folder: Path) -> WriterLock:
    """The right to train there, until it is given back."""
    return WriterLock(folder, WHAT)


def begun(scan: "Scan") -> dict[str, RunRecord]:
    """The trainings of a scan that can be taken up, by the name of their result; those that another program is at are left alone."""
    found = {}
    for place in sorted((scan.sidecar / "training").glob(f"*/{BEGUN}")):
        with suppress(OSError, ValueError, TypeError, LithoscopeError):
            check_not_in_use(place.parent, WHAT)
            found[place.parent.name] = RunRecord.from_json(json.loads(place.read_text(encoding="utf-8")))
    return found


def drop(folder: Path) -> None:
    """Forget a training."""
    shutil.rmtree(folder, ignore_errors=True)

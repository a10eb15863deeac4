"""The commands that learn from strokes: what `segment` does with them, and `train`."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, StorageError
from lithoscope.job import Report, silent

Json = dict[str, Any]
STROKES = "strokes"


def train(
    scans: Sequence[str],
    *,
    method: str,
    model: str,
    strokes: Sequence[str] | str = (STROKES,),
    settings: Mapping[str, Any] | None = None,
    map: Sequence[str] | None = None,
    image: str | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Teach a method by the strokes of scans and save it as a model; answers with the run record, held-out scores under `learnt`.

    A network's training is kept beside the model until it is done; one that was cancelled or killed is taken up with `resume`.
    """
    import shutil

    from lithoscope.errors import MissingError, TakenError
    from lithoscope.labels.trainings import model_training_folder
    from lithoscope.parameters import settings as every
    from lithoscope.record import RunRecord
    from lithoscope.segmenters.saving import save
    from lithoscope.volume.scan import Scan

    folder = Path(model)
    if folder.exists() and not overwrite:
        raise TakenError(f"{folder} exists already; give another name, or --overwrite")
    if not scans:
        raise InputError("no scan given; name at least one")
    unfinished = model_training_folder(folder)
    if resume and not unfinished.is_dir():
        raise MissingError(f"there is no unfinished training of {folder}; leave out --resume to begin it")
    if not resume:
        shutil.rmtree(unfinished, ignore_errors=True)
    opened = [Scan.open(Path(path)) for path in scans]
    where = [strokes] if isinstance(strokes, str) else list(strokes) or [STROKES]
    chosen, lesson = taught(
        opened, method, {"seed": seed, **(settings or {})}, where, map=map, image=image, device=device, folder=unfinished, report=report
    )
    first = opened[0]
    record = RunRecord(
        "train", method, every(chosen), {"scans": [{"uuid": s.uuid, "name": s.name, "content_hash": s.content_hash} for s in opened],
        "image": image, "dtype": str(first.dtype)}, seed, computed_on(chosen),
        output=folder.name, learnt={**chosen.learnt(), **lesson.scores}, classes=chosen.classes_.to_json(),
        inputs=lesson.inputs, notes=lesson.notes,
    )  # fmt: skip
    save(chosen, folder, overwrite=overwrite)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        (folder / "record.json").write_text(json.dumps(record.to_json(), indent=2), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the record of the model could not be written to {folder}: {error.strerror or error}") from error
    return record.to_json()


def place_to_train(scan: Any, method: str, settings: Mapping[str, Any], output: str, image: str | None, *, resume: bool) -> Path | None:
    """Where a method is taught for the result `output`; None to go on with a result that was begun, or for one that learns at once."""
    from lithoscope.labels.result_writer import PARTIAL
    from lithoscope.labels.trainings import begin, training_folder
    from lithoscope.record import RunRecord
    from lithoscope.segmenters import segmenter

    folder = training_folder(scan.sidecar, output)
    answered = (scan.labels_folder / f"{output}{PARTIAL}").exists()
    if resume and (answered or not folder.is_dir()):
        return None
    if "folder" not in segmenter(method).__dataclass_fields__:
        return None
    if not resume:
        source = {"uuid": scan.uuid, "name": scan.name, "image": image}
        begin(folder, RunRecord("segment", method, dict(settings), source, output=output))
    return folder


def taught(
    scans: Sequence[Any],
    method: str,
    settings: Mapping[str, Any],
    where: Sequence[str],
    *,
    map: Sequence[str] | None = None,
    image: str | None = None,
    device: str = "auto",
    folder: Path | None = None,
    report: Report = silent,
) -> tuple[Any, Any]:
    """A method fitted on what is painted on the scans, and its lesson."""
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.labels.kept_tokens import keep_for_strokes
    from lithoscope.labels.teaching import taught_by, teach
    from lithoscope.segmenters import configured, segmenter

    if not segmenter(method).needs_labels:
        raise InputError(f"{method} does not learn from strokes; segment with it: lithoscope segment SCAN --method {method}")
    made = on_device(configured(segmenter(method), settings), device)
    if hasattr(made, "folder"):
        made.folder = folder
    found, classes = taught_by(scans, where, image=image, value_map=parse_value_map(map) if map else None, report=report)
    for one in found:
        keep_for_strokes(one.scan, made, one.painted.across, image=image, report=report)
    return teach(found, made, classes, report=report)


def on_device(method: Any, device: str) -> Any:
    """The method, told where to compute; refused at once where that cannot be."""
    if hasattr(method, "device"):
        from lithoscope.training.devices import device_of

        device_of(device)
        method.device = device
    elif device not in ("auto", "cpu"):
        raise InputError(f"{method.name} computes on the processor alone; leave --device {device} out")
    return method


def computed_on(method: Any) -> str:
    """The kind of device that a method computes on, for the record."""
    if not hasattr(method, "device"):
        return "cpu"
    from lithoscope.training.devices import device_of

    return str(device_of(method.device))


def loaded(model: Path, scan: Any) -> tuple[Any, Any]:
    """A saved model, and a lesson that says which of the scan's classes each of its own is and how it scored."""
    from lithoscope.labels.classes_file import load_classes
    from lithoscope.labels.predict import Lesson
    from lithoscope.labels.teaching import as_named, matched
    from lithoscope.segmenters.saving import load
    from lithoscope.segmenters.study import from_study, is_study

    method: Any = from_study(model) if is_study(model) else load(model)
    notes = [f"the model {model.name}"]
    classes, mapping = None, dict[int, int]()
    if method.needs_labels:
        known = load_classes(scan)
        notes.append(matched(method.classes_, known))
        classes, mapping = as_named(method, known)
    with suppress(OSError, ValueError, KeyError):
        record = json.loads((model / "record.json").read_text(encoding="utf-8"))
        inputs, scores = {"model": record["uuid"]}, {"held_out": record["learnt"]["held_out"]}
        return method, Lesson(scores, inputs, notes, classes, mapping)
    return method, Lesson(notes=notes, classes=classes, mapping=mapping)

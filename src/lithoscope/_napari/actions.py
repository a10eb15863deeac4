"""What the docks have done for them: importing, segmenting, exporting, through the command line's own functions in the worker."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.layers import Layer

from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job
from lithoscope.record import RunRecord
from lithoscope.volume.box import Box
from lithoscope.volume.voxel import Voxel


@dataclass(frozen=True, slots=True)
class ImportWish:
    """What is to be imported: a file, or else an array in memory; voxel size (z, y, x) if the layer knows better than the file."""

    path: Path | None
    array: Any
    target: Path
    voxel_size: tuple[float, float, float] | None = None
    unit: str = "um"
    extra: Mapping[str, Any] | None = None
    replaces: Layer | None = None
    """The layer that the scan is put in the place of."""


def import_scan(session: Session, wish: ImportWish) -> None:
    """Import in the worker, then open the scan. What is in no file is written to a temporary one first."""
    if wish.path is not None:
        _import(session, wish, wish.path)
        return
    session.said.emit(f"writing the layer for the import of {wish.target.name} …", False)

    def write() -> Path:
        from lithoscope._napari.import_form import in_memory

        return in_memory(wish.array)

    session.reading.start(write, lambda path: _import(session, wish, path))


def _import(session: Session, wish: ImportWish, path: Path) -> None:
    arguments: dict[str, Any] = {"source": str(path), "scan": str(wish.target), **(wish.extra or {})}
    if wish.voxel_size is not None:
        arguments |= {"voxel_size": list(wish.voxel_size), "unit": wish.unit}

    def finished(job: Job) -> None:
        if wish.path is None:
            shutil.rmtree(path.parent, ignore_errors=True)
        if job.state == "done":
            if wish.replaces is not None and wish.replaces in session.viewer.layers:
                session.viewer.layers.remove(wish.replaces)
            session.open(wish.target)

    session.run("import", arguments, f"import {wish.target.name}", finished)


def make_sample(session: Session) -> None:
    """Open the sample scan of this person, made first if there is none."""
    from lithoscope._napari.samples import SHAPE, sample_path

    place = sample_path()
    if place.exists():
        session.open(place)
        return
    place.parent.mkdir(parents=True, exist_ok=True)

    def finished(job: Job) -> None:
        if job.state == "done":
            session.open(place)

    session.run("sample", {"scan": str(place), "shape": list(SHAPE)}, "sample scan", finished)


def segment(
    session: Session, method: str, settings: Mapping[str, Any], output: str, *, resume: bool = False, box: Box | None = None
) -> Job | None:
    """Run a method on the whole volume, or on a box of it; the result is shown when it is there.

    A run that was ended before it had written anything is begun anew when it is to be resumed.
    """
    from lithoscope.labels.result_writer import PARTIAL
    from lithoscope.labels.trainings import training_folder

    scan = session.scan
    kept = scan is not None and (
        (scan.labels_folder / f"{output}{PARTIAL}").exists() or training_folder(scan.sidecar, output).is_dir()
    )  # fmt: skip
    arguments: dict[str, Any] = {"method": method, "settings": plain(settings), "resume": resume and kept}
    if box is not None:
        arguments["box"] = str(box)
    return _segment(session, arguments, output)


def _segment(session: Session, arguments: Mapping[str, Any], output: str) -> Job | None:
    scan = session.scan
    if scan is None:
        return None
    path = scan.path
    asked = {"scans": [str(path)], "output": output, **arguments}
    if session.images.chosen is not None:
        asked["image"] = session.images.chosen

    def finished(job: Job) -> None:
        if session.scan is not None and session.scan.path == path:
            if job.state == "done":
                session.show_result(output)
            else:
                session.results_changed.emit()

    return session.run("segment", asked, f"{output} of {scan.name}", finished)


def filter_image(session: Session, method: str, settings: Mapping[str, Any], output: str) -> None:
    """Make a filtered image of the scan, or of the image that is chosen; it is chosen when it is there."""
    _filter(session, {"method": method, "settings": plain(settings), "image": session.images.chosen}, output)


def resume_filter(session: Session, record: RunRecord, output: str) -> None:
    """Go on with a filtered image that was stopped, as it was begun."""
    asked = {"method": record.method, "settings": plain(record.parameters), "image": record.source.get("image")}
    _filter(session, {**asked, "device": record.device, "resume": True}, output)


def _filter(session: Session, asked: Mapping[str, Any], output: str) -> None:
    scan = session.scan
    if scan is None:
        return
    arguments = {"scan": str(scan.path), "output": output, **asked}

    def finished(job: Job) -> None:
        if session.scan is scan:
            if job.state == "done":
                session.images.choose(output)
            session.images.changed.emit()

    session.run("filter", arguments, f"{output} image of {scan.name}", finished)


def save_model(session: Session, method: str, settings: Mapping[str, Any], folder: Path, others: Sequence[Path] = ()) -> None:
    """Teach a method by the strokes of the scan and of others, in the worker, and keep it as a model."""
    if session.scan is not None:
        scans = [str(session.scan.path), *map(str, others)]
        arguments: dict[str, Any] = {"scans": scans, "method": method, "settings": plain(settings), "model": str(folder)}
        if session.images.chosen is not None:
            arguments["image"] = session.images.chosen
        session.painting.flush()
        session.run("train", arguments, f"model {folder.name}")


def apply_model(session: Session, folder: Path, output: str, others: Sequence[Path] = ()) -> None:
    """Segment the scan by a model that was saved, which is shown when it is there, and then others: a job a scan."""
    _segment(session, {"model": str(folder)}, output)
    for path in others:
        asked = {"scans": [str(path)], "output": output, "model": str(folder)}
        if session.images.chosen is not None:
            asked["image"] = session.images.chosen
        session.run("segment", asked, f"{output} of {path.stem}")


def models(session: Session) -> list[Path]:
    """The models that were saved beside the scan."""
    if session.scan is None:
        return []
    return sorted(place.parent for place in models_folder(session.scan.sidecar).glob("*/model.json"))


def models_folder(sidecar: Path) -> Path:
    """Where the models of a scan are kept."""
    return sidecar / "models"


def export(
    session: Session, result: str, target: Path, values: Sequence[str], *, classes: Sequence[str] = (), scores: bool = False
) -> None:
    """Write a result with its corrections to a file; of `classes` each to one of its own, as `scores` if that is asked."""
    if session.scan is not None:
        arguments = {"scan": str(session.scan.path), "result": result, "out": str(target), "values": list(values) or None}
        session.run("export", arguments | {"class_": list(classes) or None, "scores": scores}, f"export {target.name}")


def rename_result(session: Session, old: str, new: str) -> None:
    """Give a result another name."""
    if session.scan is None:
        return
    from lithoscope.labels.results import rename

    shown = session.shown
    if shown == old:
        session.show_result("")
    with session.telling():
        rename(session.scan, old, new)
        shown = new if shown == old else shown
    if shown != session.shown:
        session.show_result(shown)
    session.results_changed.emit()


def delete_result(session: Session, name: str) -> None:
    """Remove a result and its corrections from the disk."""
    scan = session.scan
    if scan is None:
        return
    from lithoscope.labels.results import delete

    if session.shown == name:
        session.show_result("")
    session.reading.start(lambda: delete(scan, name), lambda _: session.results_changed.emit())


def set_voxel(session: Session, voxel: Voxel | None) -> None:
    """Change the voxel size of the open scan and of its layers."""
    scan = session.scan
    if scan is not None:
        session.reading.start(lambda: scan.set(voxel=voxel), lambda _: session.place_layers())


def set_field_of_view(session: Session, wish: str) -> None:
    """Change the field of view ("auto", "none", "cylinder:CY,CX,R"), which counts the grey values again; then open the scan anew."""
    scan = session.scan
    if scan is None:
        return
    path = scan.path

    def finished(job: Job) -> None:
        if job.state == "done":
            session.open(path)

    session.run("set", {"scan": str(path), "fov": wish}, f"field of view of {scan.name}", finished)


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON takes them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def box_in_view(session: Session, edge: int = 128) -> Box | None:
    """A box of the scan around the middle of what is in view."""
    scan = session.scan
    if scan is None:
        return None
    middle = session.place_in_view()
    start, stop = [], []
    for place, size in zip(middle, scan.shape, strict=True):
        low = min(max(place - edge // 2, 0), max(size - edge, 0))
        start.append(low)
        stop.append(min(low + edge, size))
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def free_result_name(session: Session, method: str) -> str:
    """A name for the next result of a method: otsu, otsu-2 …"""
    taken = {name.casefold() for name in session.results()}
    name, n = method, 2
    while name.casefold() in taken:
        name, n = f"{method}-{n}", n + 1
    return name

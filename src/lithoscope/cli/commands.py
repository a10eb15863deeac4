"""The commands themselves: plain arguments in, one JSON object out. The command line, the worker process behind the docks
and scripts all run these functions; none of them prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lithoscope.cli.backbones import backbones, evaluate_backbone, pretrain
from lithoscope.errors import InputError, MissingError
from lithoscope.job import Progress, Report, silent

Json = dict[str, Any]


def import_(
    source: str,
    scan: str,
    *,
    voxel_size: Sequence[float] | None = None,
    unit: str | None = None,
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
    byte_order: str | None = None,
    pattern: str | None = None,
    crop: str | None = None,
    bin: int = 1,
    separate_slices: bool = False,
    fov: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Convert a scanner's files to a scan; answers like `info`."""
    from lithoscope.volume.convert import import_scan

    made = import_scan(
        Path(source),
        Path(scan),
        voxel=_voxel(voxel_size, unit),
        shape=_triple(shape),
        dtype=dtype,
        byte_order=byte_order,
        pattern=pattern,
        crop=crop,
        bin=bin,
        separate_slices=separate_slices,
        field_of_view=fov,
        overwrite=overwrite,
        report=report,
    )
    return _info(made)


def info(scan: str, *, report: Report = silent) -> Json:
    """What a scan is: shape, dtype, voxel size, levels, percentiles, field of view, results."""
    from lithoscope.volume.scan import Scan

    return _info(Scan.open(Path(scan)))


def set_(
    scan: str, *, voxel_size: Sequence[float] | None = None, unit: str | None = None, fov: str | None = None, report: Report = silent
) -> Json:
    """Change a scan's voxel size or field of view; answers like `info`."""
    from lithoscope.volume.scan import Scan

    if voxel_size is None and fov is None:
        raise InputError("nothing to set; give --voxel-size Z Y X, --fov, or both")
    opened = Scan.open(Path(scan))
    changes: Json = {}
    if voxel_size is not None:
        changes["voxel"] = _voxel(voxel_size, unit)
    if fov is not None:
        changes["field_of_view"] = fov
    opened.set(**changes, report=report)
    return _info(opened)


def segment(
    scans: Sequence[str],
    *,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    strokes: str | None = None,
    model: str | None = None,
    output: str | None = None,
    image: str | None = None,
    box: str | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Segment scans by a method, or by a model that was saved; answers with the run record (several: under `runs`)."""
    from lithoscope.labels.predict import segment as run
    from lithoscope.segmenters import configured, segmenter
    from lithoscope.segmenters.saving import load
    from lithoscope.volume.box import Box
    from lithoscope.volume.scan import Scan

    if not scans:
        raise InputError("no scan given; name at least one")
    if (method is None) == (model is None):
        raise InputError("give either --method NAME or --model FOLDER; `lithoscope methods` lists the methods")
    if strokes is not None and method is not None and not segmenter(method).needs_labels:
        raise InputError(f"{method} does not learn from strokes; leave --strokes out")
    records = []
    for number, path in enumerate(scans):
        opened = Scan.open(Path(path))
        if model is not None:
            if settings:
                raise InputError("a saved model keeps its own settings; leave --set out")
            chosen = load(Path(model))
        else:
            assert method is not None
            chosen = configured(segmenter(method), _with_seed(method, settings or {}, seed))
        record = run(
            opened,
            chosen,
            output=output or chosen.name,
            image=image,
            box=None if box is None else Box.parse(box, opened.shape),
            seed=seed,
            resume=resume,
            overwrite=overwrite,
            report=_part(report, number, len(scans), opened.name),
        )
        records.append(record.to_json())
    return records[0] if len(records) == 1 else {"runs": records}


def estimate(
    scan: str,
    *,
    method: str,
    settings: Mapping[str, Any] | None = None,
    image: str | None = None,
    box: str | None = None,
    report: Report = silent,
) -> Json:
    """What a run would take: `seconds`, `disk_bytes`, `memory_bytes`, from one timed block."""
    from dataclasses import asdict

    from lithoscope.labels.predict import estimate as judge
    from lithoscope.segmenters import configured, segmenter
    from lithoscope.volume.box import Box
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan))
    chosen = configured(segmenter(method), settings or {})
    return asdict(judge(opened, chosen, image=image, box=None if box is None else Box.parse(box, opened.shape), report=report))


def labels_import(
    scan: str,
    file: str,
    name: str,
    *,
    map: Sequence[str] | None = None,
    as_: str = "result",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Take up labels made elsewhere as a result, as truth or as strokes."""
    from lithoscope.labels.imports import import_labels, parse_value_map
    from lithoscope.volume.scan import Scan

    if as_ not in ("result", "strokes", "truth"):
        raise InputError(f"--as {as_} is not one of result, strokes, truth")
    opened = Scan.open(Path(scan))
    value_map = parse_value_map(map) if map else None
    import_labels(opened, file, name, value_map=value_map, kind=as_, overwrite=overwrite, report=report)
    return labels_list(scan)


def labels_list(scan: str, *, report: Report = silent) -> Json:
    """The results of a scan with method, date and classes, and how much was painted."""
    from lithoscope.labels.results import open_result, results
    from lithoscope.volume.scan import Scan

    opened = Scan.open(Path(scan), readonly=True)
    listed = []
    for name in results(opened):
        result = open_result(opened, name)
        listed.append(
            {
                "name": name,
                "kind": result.record.kind,
                "method": result.record.method,
                "created": result.record.created,
                "classes": [c.name for c in result.classes],
            }
        )
    return {"scan": opened.name, "results": listed}


def labels_rename(scan: str, old: str, new: str, *, report: Report = silent) -> Json:
    """Give a result another name; its corrections follow."""
    from lithoscope.labels.results import rename
    from lithoscope.volume.scan import Scan

    rename(Scan.open(Path(scan)), old, new)
    return labels_list(scan)


def labels_delete(scan: str, name: str, *, report: Report = silent) -> Json:
    """Delete a result with its corrections."""
    from lithoscope.labels.results import delete
    from lithoscope.volume.scan import Scan

    delete(Scan.open(Path(scan)), name)
    return labels_list(scan)


def export(
    scan: str,
    result: str,
    out: str,
    *,
    values: Sequence[str] | None = None,
    compression: str = "zlib",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Write a result, corrections included, to a file that other programs read."""
    from lithoscope.export import export as write
    from lithoscope.export import parse_values
    from lithoscope.volume.scan import Scan

    record = write(
        Scan.open(Path(scan), readonly=True),
        result,
        Path(out),
        values=parse_values(values) if values else None,
        compression=compression,
        overwrite=overwrite,
        report=report,
    )
    return record.to_json()


def measure(scan: str, result: str, *, truth: str | None = None, map: Sequence[str] | None = None, report: Report = silent) -> Json:
    """Phase fractions of a result and, against a truth, its scores."""
    from lithoscope.labels.imports import parse_value_map
    from lithoscope.measure.phases import measure as count
    from lithoscope.volume.scan import Scan

    return count(Scan.open(Path(scan), readonly=True), result, truth=truth, value_map=parse_value_map(map) if map else None, report=report)


def repeat(scan: str, result: str, *, output: str | None = None, report: Report = silent) -> Json:
    """Make a result again from its record and say whether it is the same, byte for byte."""
    from lithoscope.labels.repeat import repeat as again
    from lithoscope.volume.scan import Scan

    return again(Scan.open(Path(scan)), result, output=output, report=report).to_json()


def bundle(scan: str, out: str, *, overwrite: bool = False, report: Report = silent) -> Json:
    """Zip a scan with all that belongs to it."""
    from lithoscope.bundle import bundle as pack
    from lithoscope.volume.scan import Scan

    return pack(Scan.open(Path(scan), readonly=True), Path(out), overwrite=overwrite, report=report)


def methods(*, report: Report = silent) -> Json:
    """Every method with its parameters, their defaults and bounds."""
    from lithoscope.segmenters import REGISTRY, parameters

    return {
        "methods": [
            {
                "name": method.name,
                "title": method.title,
                "summary": method.summary,
                "needs_labels": method.needs_labels,
                "parameters": [
                    {
                        "name": p.name,
                        "default": p.default,
                        "help": p.help,
                        "choices": list(p.choices),
                        "minimum": p.minimum,
                        "maximum": p.maximum,
                        "unit": p.unit,
                        "level": p.level,
                    }
                    for p in parameters(method)
                ],
            }
            for method in REGISTRY.values()
        ]
    }


def doctor(*, report: Report = silent) -> Json:
    """What this machine and installation can do."""
    from lithoscope.doctor import examine

    return examine()


def sample(
    scan: str,
    *,
    shape: Sequence[int] | None = None,
    dtype: str = "uint8",
    seed: int = 0,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Make the sample scan, a simulated three-phase rock with its exact truth; answers like `info`."""
    from lithoscope.sample import simulate

    made = simulate(Path(scan), shape=_triple(shape) or (128, 256, 256), dtype=dtype, seed=seed, overwrite=overwrite, report=report)
    return _info(made)


def _info(scan: Any) -> Json:
    from lithoscope.labels.results import results

    described: Json = scan.info()
    return described | {"results": results(scan)}


def _voxel(size: Sequence[float] | None, unit: str | None) -> Any:
    from lithoscope.volume.voxel import Voxel

    if size is None:
        if unit is not None:
            raise InputError(f"--unit {unit} says nothing without --voxel-size Z Y X")
        return None
    if len(size) != 3:
        raise InputError(f"--voxel-size takes three numbers, z y x, not {len(size)}")
    return Voxel((float(size[0]), float(size[1]), float(size[2])), unit or "um")


def _triple(shape: Sequence[int] | None) -> tuple[int, int, int] | None:
    if shape is None:
        return None
    if len(shape) != 3:
        raise InputError(f"--shape takes three numbers, z y x, not {len(shape)}")
    return (int(shape[0]), int(shape[1]), int(shape[2]))


def _with_seed(method: str, settings: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
    from lithoscope.segmenters import parameters, segmenter

    names = {p.name for p in parameters(segmenter(method))}
    return {"seed": seed, **settings} if "seed" in names else settings


def _part(report: Report, number: int, count: int, name: str) -> Report:
    """A report for the scan of this number among several."""
    if count == 1:
        return report

    def told(progress: Progress) -> None:
        report(Progress(number * progress.total + progress.done, count * progress.total, f"{name}: {progress.message}"))

    return told


COMMANDS = {
    "import": import_,
    "info": info,
    "set": set_,
    "segment": segment,
    "estimate": estimate,
    "labels_import": labels_import,
    "labels_list": labels_list,
    "labels_rename": labels_rename,
    "labels_delete": labels_delete,
    "export": export,
    "measure": measure,
    "repeat": repeat,
    "bundle": bundle,
    "methods": methods,
    "doctor": doctor,
    "sample": sample,
    "backbones": backbones,
    "pretrain": pretrain,
    "evaluate-backbone": evaluate_backbone,
}
"""The commands by the name that the worker process knows them by."""


def command(name: str) -> Any:
    """The command of this name."""
    if name not in COMMANDS:
        raise MissingError(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    return COMMANDS[name]

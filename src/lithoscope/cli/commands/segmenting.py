"""Methods: listed, judged, run and run again."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lithoscope.cli.commands import learning
from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent

Json = dict[str, Any]


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
    from lithoscope.labels.results import check_free
    from lithoscope.labels.trainings import drop, held, training_folder
    from lithoscope.segmenters import configured, segmenter
    from lithoscope.volume.box import Box
    from lithoscope.volume.scan import Scan

    if not scans:
        raise InputError("no scan given; name at least one")
    if (method is None) == (model is None):
        raise InputError("give either --method NAME or --model FOLDER; `lithoscope methods` lists the methods")
    if strokes is not None and method is not None and not segmenter(method).needs_labels:
        raise InputError(f"{method} does not learn from strokes; leave --strokes out")
    if model is not None and settings:
        raise InputError("a saved model keeps its own settings; leave --set out")
    records = []
    opened = [Scan.open(Path(path)) for path in scans]
    chosen: Any = None
    lesson: Any = None
    training: Path | None = None
    if method is not None and segmenter(method).needs_labels:
        given = _with_seed(method, settings or {}, seed)
        training = learning.place_to_train(opened[0], method, given, output or method, image, resume=resume)
        resume = resume and training is None
        if not resume:
            for scan in opened:
                check_free(scan, output or method, overwrite=overwrite)
            with nullcontext() if training is None else held(training):
                chosen, lesson = learning.taught(
                    opened[:1], method, given, [strokes or learning.STROKES], image=image, device=device, folder=training, report=report
                )
    for number, scan in enumerate(opened):
        if model is not None:
            chosen, lesson = learning.loaded(Path(model), scan)
        elif lesson is None:
            assert method is not None
            chosen = configured(segmenter(method), _with_seed(method, settings or {}, seed))
        chosen = learning.on_device(chosen, device)
        record = run(
            scan,
            chosen,
            output=output or chosen.name,
            image=image,
            box=None if box is None else Box.parse(box, scan.shape),
            lesson=lesson,
            seed=seed,
            device=learning.computed_on(chosen),
            resume=resume,
            overwrite=overwrite,
            report=_part(report, number, len(scans), scan.name),
        )
        if method is not None:
            drop(training_folder(scan.sidecar, output or method))
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


def repeat(scan: str, result: str, *, output: str | None = None, report: Report = silent) -> Json:
    """Make a result again from its record and say whether it is the same, byte for byte."""
    from lithoscope.labels.repeat import repeat as again
    from lithoscope.volume.scan import Scan

    return again(Scan.open(Path(scan)), result, output=output, report=report).to_json()


def methods(*, report: Report = silent) -> Json:
    """Every method with its parameters, their defaults and bounds."""
    from lithoscope.parameters import described
    from lithoscope.segmenters import REGISTRY

    return {"methods": [{**described(method), "needs_labels": method.needs_labels} for method in REGISTRY.values()]}


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

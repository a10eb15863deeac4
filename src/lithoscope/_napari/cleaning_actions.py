"""What the section "Clean and separate" has done in the worker, through the command line's own functions."""

from collections.abc import Callable, Sequence
from typing import Any

from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job
from lithoscope.labels.cleaning.steps import Step


def clean(session: Session, result: str, steps: Sequence[Step], output: str) -> Job | None:
    """Clean a result into a new one, which is shown when it is there."""
    arguments = {"result": result, "steps": [str(step) for step in steps], "output": output}
    return _run(session, "clean", arguments, f"{output} of {result}", lambda job: session.show_result(output))


def correct(session: Session, result: str, steps: Sequence[Step]) -> Job | None:
    """Clean a result by correcting it: all of it is one step back for Ctrl+Z, and the result is in hand to be corrected after it."""
    if session.correcting and session.shown == result:
        session.show_result(result)  # the worker needs the corrections for itself

    def done(job: Job) -> None:
        changed = int(job.result["changed"])
        session.correct(result)
        session.said.emit(
            f"{changed:,} voxels of {result} corrected; Ctrl+Z takes all of it back" if changed else "nothing to correct", False
        )

    arguments = {"result": result, "steps": [str(step) for step in steps], "correct": True}
    return _run(session, "clean", arguments, f"correct {result}", done)


def separate(session: Session, result: str, id: int, height: float, output: str) -> Job | None:
    """Tell the grains of a class apart; they are shown, with their table, when they are there."""
    arguments = {"result": result, "id": id, "height": height, "output": output}
    return _run(session, "separate", arguments, f"grains of {result}", lambda job: session.show_result(output))


def _run(session: Session, command: str, arguments: dict[str, Any], title: str, then: Callable[[Job], None]) -> Job | None:
    scan = session.scan
    if scan is None:
        return None
    path = scan.path

    def finished(job: Job) -> None:
        if session.scan is not None and session.scan.path == path:
            if job.state == "done":
                with session.telling():
                    then(job)
            session.results_changed.emit()

    return session.run(command, {"scan": str(path), **arguments}, title, finished)

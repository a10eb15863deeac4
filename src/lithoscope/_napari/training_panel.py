"""How a network's training goes: its curves while it learns, an early end that keeps the best so far, and how long it will take."""

from functools import partial
from pathlib import Path
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from lithoscope._napari.background import Background
from lithoscope._napari.look import Colours, button, column, row, seconds_text, text
from lithoscope._napari.method_panel import MethodPanel
from lithoscope._napari.session import Session
from lithoscope._napari.step_plot import StepPlot
from lithoscope._napari.taught_panel import described, two_digits
from lithoscope._napari.worker_client import Job
from lithoscope.errors import LithoscopeError
from lithoscope.labels.trainings import model_training_folder, training_folder
from lithoscope.parameters import configured
from lithoscope.segmenters.base import REGISTRY, lacking
from lithoscope.training import stopping

SOON_MS = 400
"""How long the settings rest before it is reckoned how long a training takes."""


class TrainingPanel(QWidget):
    """The curves of the training that runs, or ran last; above them how long one will take. Hidden where there is nothing to say."""

    def __init__(self, session: Session, methods: MethodPanel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._methods = session, methods
        self._job: Job | None = None
        self._reckoned: tuple[Any, ...] = ()
        self._effort = text(muted=True)
        self._effort.setAccessibleName("How long the training will take")
        self.plot = Curves()
        self.words = text(muted=True)
        self.words.setAccessibleName("How the training goes")
        self.stop_button = button(
            "Stop learning", "Stop learning and keep the best so far", "End the training now and go on with its best weights"
        )
        self.resume_button = button("Resume the training", tip="Go on with the training where it was ended")
        self.setLayout(column(self._effort, row(self.stop_button, self.resume_button, 1), self.words, self.plot, spacing=4))
        self._timing = Background(self, newest_only=True)
        self._timing.failed.connect(self._on_reckoning_failed)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self._reckon)
        self.stop_button.clicked.connect(self._on_stop)
        self.resume_button.clicked.connect(self._on_resume)
        session.jobs.changed.connect(self._on_job)
        session.jobs.finished.connect(self._on_finished)
        session.closing.connect(self._timing.close)
        methods.method.currentIndexChanged.connect(self._on_method)
        methods.form.changed.connect(self._on_settings)
        methods.taught.learnt.connect(self._on_settings)
        self.forget()

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        self.plot.set_colours(colours)

    def forget(self) -> None:
        """Another scan is open: nothing was trained on it."""
        self._job, self._reckoned = None, ()
        self._effort.setText("")
        self._refresh()

    # --- how long it will take ------------------------------------------------------------------------------------------

    def _on_method(self, *_: Any) -> None:
        self._reckoned = ()
        self._effort.setText("")
        self._on_settings()

    def _on_settings(self, *_: Any) -> None:
        self._refresh()
        self._soon.start()

    def _reckon(self) -> None:
        """In a thread: time one crop, so that nobody waits without knowing how long."""
        kind, scan = REGISTRY.get(self._methods.name), self._session.scan
        if kind is None:
            return  # a plugin's method that is gone
        ready = scan is not None and hasattr(kind, "effort") and not lacking(kind) and not self._methods.taught.missing()
        if not ready or scan is None or self._session.jobs.jobs:
            return
        try:
            values = self._methods.values()
            method = configured(kind, values)
        except LithoscopeError:
            return
        wish = (str(scan.path), kind.name, repr(values))
        if wish == self._reckoned:
            return
        self._reckoned = wish
        classes = max(len(self._session.classes), 2)

        def work() -> Any:
            from lithoscope.labels.predict import resolved

            chosen, notes = resolved(scan, method)
            return chosen.effort(classes, scan.box.size), notes  # type: ignore[attr-defined]

        self._timing.start(work, partial(self._on_reckoned, wish))

    def _on_reckoned(self, wish: tuple[Any, ...], found: Any) -> None:
        if wish == self._reckoned:
            effort, notes = found
            chosen = "".join(f" · {note.partition(':')[0]}" for note in notes if note.startswith(("preset", "dimensions")))
            self._effort.setText(f"about {took(effort.training)} to learn, {took(effort.answering)} for the volume{chosen}")
            self._refresh()

    def _on_reckoning_failed(self, error: BaseException) -> None:
        self._effort.setText("")
        self._refresh()

    # --- how it goes ----------------------------------------------------------------------------------------------------

    def _on_job(self, job: Job) -> None:
        if job.command not in ("segment", "train") or job.state == "waiting":
            return
        curves = job.details.get("curves")
        if curves:
            self._job = job
            self.plot.show_curves(curves)
            self.words.setText(told(curves, job.message))
        if curves or job is self._job:
            self._refresh()

    def _on_finished(self, job: Job) -> None:
        if job is not self._job:
            return
        learnt = job.result.get("learnt", {}) if job.state == "done" else {}
        if learnt.get("curves"):
            self.plot.show_curves(learnt["curves"])
            self.words.setText(ended(learnt))
        elif job.state != "done":
            self.words.setText(f"{told(job.details.get('curves', {}), '')}; {job.state}, what was learnt is kept")
        self._refresh()

    @property
    def learning(self) -> bool:
        """Whether the running job is learning now."""
        job = self._job
        return job is not None and job.state == "running" and not job.cancelling and job.message.startswith("learning")

    def _refresh(self) -> None:
        job = self._job
        taught = REGISTRY[self._methods.name].needs_labels
        for part in (self.plot, self.words):
            part.setVisible(job is not None)
        self._effort.setVisible(bool(self._effort.text()) and (job is None or job.over))
        self.stop_button.setVisible(self.learning)
        # A result's own run is resumed by the button below Run.
        self.resume_button.setVisible(job is not None and job.command == "train" and job.state in ("cancelled", "failed"))
        self.setVisible(job is not None or (taught and bool(self._effort.text())))

    def _on_stop(self) -> None:
        job = self._job
        if job is not None and stopping.wish(folder_of(job)):
            self.stop_button.setEnabled(False)
            self.words.setText("ending: the best so far is kept")
            QTimer.singleShot(3000, self._let_stop_again)

    def _let_stop_again(self) -> None:
        self.stop_button.setEnabled(True)

    def _on_resume(self) -> None:
        job = self._job
        if job is not None:
            self._session.run("train", {**job.arguments, "resume": True}, job.title)
            self.resume_button.hide()


class Curves(StepPlot):
    """Loss (solid) and held-out IoU (dashed, with points) by step, on one axis from 0 to at least 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        tip = "By step: the loss on the strokes that are learnt from, and the mean IoU on those that are held out"
        super().__init__("Learning curves", tip, parent)
        self.loss = self.plot([], [], name="loss")
        self.held = self.plot([], [], name="held-out IoU", symbol="o", symbolSize=4)

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        super().set_colours(colours)
        accent = QColor(colours.accent)
        self.loss.setPen(pg.mkPen(QColor(colours.text), width=1.5))
        self.held.setPen(pg.mkPen(accent, width=1.5, style=Qt.PenStyle.DashLine))
        self.held.setSymbolPen(pg.mkPen(accent))
        self.held.setSymbolBrush(pg.mkBrush(accent))

    def show_curves(self, curves: dict[str, list[float]]) -> None:
        """Draw these: `step` and `loss`, `judged_at` and `held_out_iou`."""
        self.loss.setData(curves.get("step", []), curves.get("loss", []))
        self.held.setData(curves.get("judged_at", []), curves.get("held_out_iou", []))
        self.show_from_zero(curves.get("loss", []))


def folder_of(job: Job) -> Path:
    """Where the training of a job is kept."""
    if job.command == "train":
        return model_training_folder(Path(job.arguments["model"]))
    from lithoscope.volume.sidecar import sidecar_of

    return training_folder(sidecar_of(Path(job.arguments["scans"][0])), job.arguments["output"])


def told(curves: dict[str, list[float]], message: str) -> str:
    """Where a training stands: "step 120: loss .48, held out IoU .81, best .83 at step 100"."""
    if not curves.get("step"):
        return message
    words = f"step {curves['step'][-1]:.0f}: loss {two_digits(curves['loss'][-1])}"
    held = curves.get("held_out_iou")
    if not held:
        return f"{words}; nothing is held out, so the last weights are kept"
    best = max(range(len(held)), key=held.__getitem__)
    return f"{words}, held out IoU {two_digits(held[-1])}, best {two_digits(held[best])} at step {curves['judged_at'][best]:.0f}"


def ended(learnt: dict[str, Any]) -> str:
    """What came of a training, in one line."""
    words = f"learnt for {learnt['steps']} steps"
    if learnt.get("ended_early"):
        words += ", ended by hand"
    if learnt.get("best_step"):
        words += f", best at {learnt['best_step']}"
    given_back = learnt.get("not_held_out")
    scores = described(learnt.get("held_out", {}))
    lacking_words = f"; no other stroke of {' and '.join(given_back)} was left, so none is held out" if given_back else ""
    return f"{words}{lacking_words}{': ' if scores else ''}{scores}"


def took(seconds: float) -> str:
    """A duration, the shortest ones as a second."""
    return seconds_text(max(seconds, 1.0))

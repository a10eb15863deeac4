"""The name of the next result, the buttons that run a method, and the line beneath that says what is missing."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QWidget

from lithoscope._napari import actions
from lithoscope._napari.look import button, column, main_button, mark_bad, row, text
from lithoscope._napari.session import Session
from lithoscope.segmenters.base import REGISTRY

Run = tuple[str, dict[str, Any], str]
"""Method, settings and the name of the result."""


class RunRow(QWidget):
    """Runs what it is told in the worker, on a box or on the volume, and goes on with what was ended."""

    asked = Signal()
    """Run on the volume."""
    asked_box = Signal()
    """Try on a box."""
    named = Signal()
    """The person wrote another name."""
    finished = Signal()
    """A run ended, one way or another."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._last: Run | None = None
        self.output = QLineEdit()
        self.output.setAccessibleName("Name of the result")
        self.output.setToolTip("The name of the result; corrections and exports go by it")
        self.try_button = button("Try on a box", tip="Run on a box of 128³ voxels around the middle of the view")
        self.run_button = main_button("Run on the volume")
        self.resume_button = button("Resume")
        self.resume_button.hide()
        self.beneath = text(muted=True)
        self.setLayout(
            column(
                row(text("Result", muted=True, wrap=False), self.output, spacing=8),
                row(self.try_button, self.run_button),
                self.resume_button,
                self.beneath,
            )
        )
        self.output.textEdited.connect(self.named)
        self.run_button.clicked.connect(self.asked)
        self.try_button.clicked.connect(self.asked_box)
        self.resume_button.clicked.connect(self.resume)
        session.jobs.finished.connect(self._on_finished)

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        runs = ((r.method, dict(r.parameters), n) for n, r in self._session.unfinished.items() if r.method in REGISTRY)
        self._last = next(runs, None)
        self._offer_resume()

    def propose(self, method: str) -> None:
        """Write a free name."""
        self.output.setText(actions.free_result_name(self._session, method))

    def problem(self) -> str:
        """What is wrong with the name, or nothing."""
        name = self.output.text().strip()
        if not name:
            return "give the result a name"
        if name in self._session.results():
            return f"there is a result {name} already; choose another name"
        return ""

    def allow(self, ready: bool) -> None:
        """Whether a run can begin."""
        self.run_button.setEnabled(ready and self._session.scan is not None)
        self.try_button.setEnabled(self.run_button.isEnabled())

    def say(self, words: str, *, bad: bool = False) -> None:
        """One line beneath the buttons."""
        self.beneath.setText(words)
        mark_bad(self.beneath, bad)

    def start(self, method: str, settings: Mapping[str, Any], *, box: bool = False) -> bool:
        """Run on the volume, or with `box` on one in the middle of the view; whether there is a scan to run on."""
        if not box:
            return self._start((method, dict(settings), self.output.text().strip()), resume=False)
        place = actions.box_in_view(self._session)
        if place is None:
            return False
        output = actions.free_result_name(self._session, f"{method}-box")
        return actions.segment(self._session, method, settings, output, box=place) is not None

    def resume(self) -> None:
        """Go on where a run that was ended stopped."""
        if self._last is not None:
            self._start(self._last, resume=True)

    def _start(self, run: Run, *, resume: bool) -> bool:
        job = actions.segment(self._session, *run, resume=resume)
        if job is not None:
            self.resume_button.hide()
            self._last = run
        return job is not None

    def _offer_resume(self) -> None:
        self.resume_button.setVisible(self._last is not None)
        if self._last is not None:
            self.resume_button.setText(f"Resume {self._last[2]}")
            self.resume_button.setAccessibleName(f"Resume the unfinished run {self._last[2]}")

    def _on_finished(self, job: Any) -> None:
        if job.command != "segment":
            return
        if job.state == "done":
            self._last = None
        self._offer_resume()
        self.finished.emit()

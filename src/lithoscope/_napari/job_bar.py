"""How the running job fares: a bar, the time that is left, and Cancel; and the jobs that wait, each with its own."""

import time

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QProgressBar, QWidget

from lithoscope._napari.look import button, column, row, seconds_text, text
from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job

ROWS = 6
"""Jobs that wait are shown in a line each, up to so many."""

PAUSE = 0.25
"""Seconds between two looks at a job that runs."""


class JobBar(QWidget):
    """Shows the session's jobs; hidden while there are none."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bar = QProgressBar()
        self._bar.setAccessibleName("Progress of the running job")
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(10)
        self._words = text(muted=True)
        self._cancel = button("Cancel", "Cancel the running job")
        self._cancel.clicked.connect(self._on_cancel)
        self._waiting = [_Waiting(session, self) for _ in range(ROWS)]
        self._keep = QCheckBox("go on if napari closes")
        self._keep.setToolTip(
            "When napari closes while a job runs, the job is finished in the background; otherwise it is ended, and can be resumed."
        )
        self._keep.setChecked(session.finish_in_background)
        self._keep.toggled.connect(self._on_keep)
        self.setLayout(column(row(self._bar, self._cancel), row(self._words), *self._waiting, row(self._keep, 1), spacing=2))
        self._refreshed = 0.0
        self._tick = QTimer(self)
        self._tick.setInterval(500)
        self._tick.timeout.connect(self.refresh)
        session.jobs.changed.connect(self._on_job)
        session.jobs.finished.connect(self._on_job)
        self.refresh()

    def refresh(self) -> None:
        """Show how things stand."""
        self._refreshed = time.monotonic()
        jobs = self._session.jobs.jobs
        self.setVisible(bool(jobs))
        if not jobs:
            self._tick.stop()
            return
        self._tick.start()
        job = jobs[0]
        self._bar.setRange(0, 1000 if job.total else 0)
        self._bar.setValue(round(job.fraction * 1000))
        self._words.setText(describe(job, max(0, len(jobs) - 1 - ROWS), time.monotonic()))
        for number, line in enumerate(self._waiting, 1):
            line.show_job(jobs[number] if number < len(jobs) else None)
        self._cancel.setEnabled(not job.cancelling)
        self._cancel.setText("Cancelling" if job.cancelling else "Cancel")

    def _on_job(self, job: Job) -> None:
        """Show what a job tells, but not more often than a person reads: each word that changes has the whole window composed anew."""
        if job.state != "running" or job.cancelling or time.monotonic() - self._refreshed > PAUSE:
            self.refresh()

    def _on_cancel(self) -> None:
        jobs = self._session.jobs.jobs
        if jobs:
            self._session.jobs.cancel(jobs[0])

    def _on_keep(self, on: bool) -> None:
        self._session.finish_in_background = on


class _Waiting(QWidget):
    """A job that waits, and Cancel."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Job | None = None
        self.words = text(muted=True)
        self.cancel = button("Cancel")
        self.cancel.clicked.connect(self._on_cancel)
        line = row(self.words, self.cancel)
        line.setStretch(0, 1)
        self.setLayout(line)
        self.hide()

    def show_job(self, job: Job | None) -> None:
        """Show this job, or nothing."""
        self.setVisible(job is not None)
        if job is not self._job and job is not None:
            self.words.setText(f"{job.title} · waits")
            self.cancel.setAccessibleName(f"Cancel {job.title}, which waits")
            self.cancel.setToolTip(f"Take {job.title} off the jobs that wait; nothing of it was done yet")
        self._job = job

    def _on_cancel(self) -> None:
        if self._job is not None and self._job.state == "waiting":  # one that began meanwhile has its own button
            self._session.jobs.cancel(self._job)


def describe(job: Job, waiting: int, now: float) -> str:
    """One line: "otsu · 63 % · 41 s left · writing · 1 more waits"."""
    parts = [job.title]
    if job.total and not job.cancelling:
        parts.append(f"{job.fraction:.0%}")
    left = job.seconds_left(now)
    if left is not None and not job.cancelling:
        parts.append(f"{seconds_text(left)} left")
    if job.message:
        parts.append(job.message)
    if waiting:
        parts.append(f"{waiting} more {'waits' if waiting == 1 else 'wait'}")
    return " · ".join(parts)

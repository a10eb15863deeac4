"""The filtered image that was stopped before it was whole, and the button that goes on with it."""

from qtpy.QtWidgets import QWidget

from lithoscope._napari import actions
from lithoscope._napari.look import button, row, text
from lithoscope._napari.session import Session
from lithoscope.errors import LithoscopeError
from lithoscope.record import RunRecord


class ResumeRow(QWidget):
    """Hidden while there is nothing to resume."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._found: tuple[str, RunRecord] | None = None
        self._words = text(muted=True)
        self.button = button("Resume", tip="Go on with the filtered image that was stopped, as it was begun; what was done is kept")
        self.setLayout(row(self._words, self.button))
        self.button.clicked.connect(self.resume)
        session.images.changed.connect(self.look)
        self.look()

    def look(self, *_: object) -> None:
        """Offer the first image that is unfinished and that no job is at."""
        from lithoscope.filtering.image_writer import unfinished

        scan, self._found = self._session.scan, None
        if scan is not None and not any(job.command == "filter" for job in self._session.jobs.jobs):
            try:
                self._found = next(iter(unfinished(scan).items()), None)
            except LithoscopeError:
                self._found = None
        if self._found is not None:
            name = self._found[0]
            self._words.setText(f"{name} was stopped before it was whole")
            self.button.setAccessibleName(f"Resume the unfinished image {name}")
        self.setVisible(self._found is not None)

    def resume(self) -> None:
        """Go on with it, in the worker."""
        if self._found is not None:
            name, record = self._found
            actions.resume_filter(self._session, record, name)
            self.look()

"""Which library is asked: its place, what is in it, and putting the open scan into it."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QWidget

from lithoscope._napari.folder_dialog import ask_folder
from lithoscope._napari.look import button, column, mark_bad, row, text

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope._napari.worker_client import Job


class LibraryRow(QWidget):
    """Says which library is meant; the worker fills it."""

    chosen = Signal(str)

    def __init__(self, session: "Session", place: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._dialog: QFileDialog | None = None
        self.place_edit = QLineEdit(str(place))
        self.place_edit.setAccessibleName("Place of the library")
        self._show_place()
        self.place_edit.textChanged.connect(self._show_place)
        self.browse_button = button("…", "Choose the folder of a library")
        self.browse_button.setFixedWidth(26)
        self.metadata_edit = QLineEdit()
        self.metadata_edit.setAccessibleName("Table of what is known of the scans")
        self.metadata_edit.setPlaceholderText("table (CSV), if there is one")
        self.metadata_edit.setToolTip("A table of porosity, lithology and the like, one row a scan; it is taken up with the scan")
        self.add_button = button("Add this scan", tip="See the patches of the open scan through the backbone, and keep them in the library")
        self._line = text(muted=True)
        self._line.setAccessibleName("What the library holds")
        self.setLayout(column(row(self.place_edit, self.browse_button), self._line, row(self.metadata_edit, self.add_button), spacing=4))
        self.place_edit.editingFinished.connect(self._on_edited)
        self.browse_button.clicked.connect(self._on_browse)
        self.add_button.clicked.connect(self.add)
        self._known = self.place
        self._adding = False
        self._holds: tuple[str, Collection[str]] | None = None
        session.scan_changed.connect(self._show_held)

    @property
    def place(self) -> str:
        """Where the library lies."""
        return str(self.place_edit.text().strip())

    def _show_place(self) -> None:
        self.place_edit.setToolTip(f"The folder of the library, or its place in an object store (s3://…):\n{self.place}")

    def holds(self, words: str, uuids: Collection[str]) -> None:
        """Say what the library holds, and whether the open scan is one of these."""
        self._holds = (words, uuids)
        self._show_held()

    def _show_held(self) -> None:
        scan = self._session.scan
        if self._holds is not None and not self._adding:
            words, uuids = self._holds
            own = [] if scan is None else [f"{scan.name} is {'in it' if scan.uuid in uuids else 'not in it'}"]
            self._say(" · ".join([words, *own]))

    def tell(self, words: str, bad: bool = False) -> None:
        """Say that there is no library, what is done with it, or what is wrong with it."""
        self._holds = None
        self._say(words, bad)

    def _say(self, words: str, bad: bool = False) -> None:
        self._line.setText(words)
        mark_bad(self._line, bad)

    def add(self) -> None:
        """Put the open scan into the library, in the worker."""
        scan = self._session.scan
        if scan is None or not self.place:
            return
        table = self.metadata_edit.text().strip()
        arguments: dict[str, Any] = {"library": self.place, "scans": [str(scan.path)], "metadata": table or None}
        self._adding = True
        self.add_button.setEnabled(False)
        self._say(f"{scan.name} is being added …")
        self._session.run("library_add", arguments, f"add {scan.name} to the library", self._on_added)

    def _on_added(self, job: "Job") -> None:
        self._adding = False
        self.add_button.setEnabled(True)
        if job.state == "done":
            for note in job.result.get("notes", []):
                self._session.said.emit(note, False)
            self.chosen.emit(self.place)
        elif not job.began:
            self._say("nothing was added: it was cancelled while it waited")
        else:
            self._say("it was not added whole; add it again to go on where it stopped")

    def _on_edited(self) -> None:
        if self.place and self.place != self._known:
            self._known = self.place
            self.chosen.emit(self.place)

    def _on_browse(self) -> None:
        if self._dialog is not None and self._dialog.isVisible():
            self._dialog.raise_()
            return
        self._dialog = ask_folder(self, "The folder of a library", self._on_selected, self.place)

    def _on_selected(self, path: str) -> None:
        self.place_edit.setText(path)
        self._on_edited()

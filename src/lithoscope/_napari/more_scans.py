"""Scans beside the open one: that teach a model with it, or that a model is applied to as well."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from lithoscope._napari.folder_dialog import ask_folder
from lithoscope._napari.look import button, column, mark_bad, row, small_button, text
from lithoscope._napari.session import Session


class MoreScans(QWidget):
    """A line for the open scan, one for each that was added, and a button to add another."""

    changed = Signal()

    def __init__(self, session: Session, begin: str, add: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._begin = session, begin
        self._dialog: QFileDialog | None = None
        self.paths: list[Path] = []
        """The scans that were added."""
        self._first, self._rows, self._problem = text(), QWidget(), text()
        self._rows.setLayout(column(spacing=2))
        self.add_button = button("Add a scan…", add, "Choose the .zarr folder of another scan")
        self.setLayout(column(row(self._first, self.add_button), self._rows, self._problem, spacing=2))
        self.add_button.clicked.connect(self._on_add)
        self.clear()

    def clear(self) -> None:
        """The open scan alone."""
        self.paths = []
        self._show()

    def add(self, path: Path | str) -> None:
        """Add a scan; said, and left out, if it is none."""
        place = Path(path)
        scan = self._session.scan
        problem = ""
        if scan is None or place.resolve() in {p.resolve() for p in [scan.path, *self.paths]}:
            problem = f"{place.name} is there already"
        elif not any((place / mark).exists() for mark in ("zarr.json", ".zattrs")):
            problem = f"{place.name} is no scan; choose the .zarr folder of an imported one"
        else:
            self.paths.append(place)
        self._show(problem)

    def remove(self, path: Path) -> None:
        """Leave a scan out again."""
        self.paths.remove(path)
        self._show()

    def _show(self, problem: str = "") -> None:
        scan = self._session.scan
        self._first.setText(f"{self._begin} {'this scan' if scan is None else scan.name}")
        layout = self._rows.layout()
        assert layout is not None
        while (item := layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for path in self.paths:
            line, away = QWidget(), small_button("×", f"Leave {path.stem} out")
            name = text(f"and {path.stem}")
            name.setToolTip(str(path))
            away.clicked.connect(lambda _=False, path=path: self.remove(path))
            line.setLayout(row(name, away))
            layout.addWidget(line)
        self._rows.setVisible(bool(self.paths))
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        mark_bad(self._problem, True)
        self.changed.emit()

    def _on_add(self) -> None:
        self._dialog = ask_folder(self, "The .zarr folder of another scan", self.add)

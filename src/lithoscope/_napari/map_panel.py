"""A map of patches of the scan, linked both ways: points mark places, and the place under the cursor marks its point."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QSpinBox, QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.explaining import Explaining
from lithoscope._napari.look import Colours, button, column, main_button, row, text
from lithoscope._napari.looking import look_across
from lithoscope._napari.map_plot import MapPlot
from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job

if TYPE_CHECKING:
    from lithoscope.classes import ClassTable
    from lithoscope.explain.points import Map

PLANES = {"z": 0, "y": 1, "x": 2}


class MapPanel(QWidget):
    """Draws a map in the worker, shows it, and marks what is chosen in it."""

    drawn = Signal(object)
    """A map was drawn and read."""

    def __init__(self, session: Session, explaining: Explaining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._explaining = session, explaining
        self.map: Map | None = None
        self.method = _small("How the map is made", "t-SNE keeps neighbours together; PCA keeps distances")
        self.method.addItem("t-SNE", "tsne")
        self.method.addItem("PCA", "pca")
        self.count = QSpinBox()
        self.count.setRange(50, 20_000)
        self.count.setSingleStep(500)
        self.count.setValue(2000)
        self.count.setSuffix(" patches")
        self.count.setAccessibleName("Number of patches")
        self.result = _small("Result that tells the classes", "The class of a patch is what most of its voxels are in this result")
        self.samples = QCheckBox("squares")
        self.samples.setToolTip("Squares of 12 × 12 tokens, taken together as samples, instead of single patches")
        self.samples.setAccessibleName("Squares of 12 × 12 tokens instead of single patches")
        self.colour = _small("Colour the points by", "What the colours of the points say")
        self.draw_button = main_button("Draw the map")
        self.beneath = text(muted=True)
        self.plot = MapPlot()
        self._key = text()
        self._words = text(muted=True)
        self.save_button = button("Save…", "Save the map as PNG, SVG or a table")
        self.none_button = button("Mark none", "Take the marks away")
        self._shown = QWidget()
        self._shown.setLayout(
            column(
                row(text("Colour", muted=True, wrap=False), self.colour, 1), self.plot, self._key, self._words,
                row(self.save_button, self.none_button, 1), spacing=4,
            )
        )  # fmt: skip
        self._shown.hide()
        self.setLayout(
            column(
                text("Map of patches", bold=True),
                row(self.method, self.count, 1),
                row(text("Classes of", muted=True, wrap=False), self.result, self.samples, 1),
                self.draw_button,
                self.beneath,
                self._shown,
                spacing=5,
            )
        )
        self._dialog: QFileDialog | None = None
        self._reading = Background(self)
        self._reading.failed.connect(self._on_failed)
        session.closing.connect(self._reading.close)
        self.draw_button.clicked.connect(self.draw)
        self.colour.activated.connect(self._recolour)
        self.plot.picked.connect(self._go)
        self.plot.chosen.connect(self._mark)
        self.none_button.clicked.connect(self._on_none)
        self.save_button.clicked.connect(self._on_save)
        explaining.marked.connect(self.plot.mark)

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        self.plot.set_colours(colours.panel, colours.text)

    def on_scan(self) -> None:
        """Another scan: its own map, if one was kept."""
        self.map = None
        self._shown.hide()
        self._words.setText("")
        scan = self._session.scan
        if scan is not None:
            kept = sorted((scan.sidecar / "explain").glob("map-*.safetensors"), key=lambda p: p.stat().st_mtime)
            if kept:
                self._read(kept[-1])

    def show_results(self, names: list[str]) -> None:
        """List the results that can tell classes."""
        chosen = self.result.currentData()
        self.result.clear()
        self.result.addItem("no result", None)
        for name in names:
            self.result.addItem(name, name)
        self.result.setCurrentIndex(max(self.result.findData(chosen if chosen else (names[-1] if names else None)), 0))

    def check(self, missing: str) -> None:
        """Say what is missing before a map can be drawn, or nothing."""
        self.draw_button.setEnabled(not missing)
        self.beneath.setText(missing)
        self.beneath.setVisible(bool(missing))

    def draw(self) -> None:
        """Have the worker draw a map of the scan across the axis in view."""
        scan, plane = self._session.scan, self._session.plane()
        if scan is None:
            return
        folder = scan.sidecar / "explain"
        with self._session.telling():
            from lithoscope.volume.store import storage_errors

            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        result = self.result.currentData()
        axis = "zyx"[0 if plane is None else plane.axis]
        arguments = {
            "scans": [str(scan.path)], "out": str(folder / f"map-{self.method.currentData()}-{axis}.svg"), "kind": "embedding",
            "backbone": self._explaining.wish.backbone, "result": [result] if result else None, "plane": axis,
            "method": self.method.currentData(), "count": self.count.value(), "samples": self.samples.isChecked(),
            "image": self._session.images.chosen, "overwrite": True,
        }  # fmt: skip
        self._session.run("explain", arguments, f"map of {scan.name}", self._on_job)

    def _on_job(self, job: Job) -> None:
        if job.state == "done" and job.result.get("kept"):
            self._read(Path(job.result["kept"][0]))

    def _read(self, path: Path) -> None:
        from lithoscope.explain.points import Map

        self._reading.start(lambda: Map.load(path), self.show_map)

    def show_map(self, found: "Map") -> None:
        """Show a map."""
        from lithoscope.explain.scatter import column_of

        if self._session.scan is None or found.points.number_of(self._session.scan) is None:
            return
        self.map = found
        self.colour.clear()
        for name in found.points.columns:
            self.colour.addItem(name, name)
        self.colour.setCurrentIndex(self.colour.findData(column_of(found, None)))
        self._shown.show()
        self.plot.show_points(found.at, self._colours())
        method = {"pca": "PCA", "tsne": "t-SNE"}[found.method]
        self._words.setText(f"{method} of {len(found.points)} patches · " + " · ".join(found.notes))
        self._explaining.show_map(found)
        self.drawn.emit(found)

    def _colours(self) -> list[str]:
        from lithoscope.explain.scatter import colours_of

        assert self.map is not None
        name = self.colour.currentData()
        classes = self._session.classes_of(self.result.currentData()) if name == "class" and self.result.currentData() else None
        colours, key = colours_of(list(self.map.points.columns[name]), classes)
        self._key.setText("  ".join(f'<span style="color:{c}">■</span>&nbsp;{words}' for c, words in key))
        return colours

    def _recolour(self, *_: Any) -> None:
        if self.map is not None:
            self.plot.recolour(self._colours())

    def _go(self, number: int) -> None:
        """Go to the place of a point, where it is of the scan that is open."""
        scan, found = self._session.scan, self.map
        if scan is None or found is None:
            return
        its = int(found.points.scan[number])
        if its != found.points.number_of(scan):
            name = found.points.scans[its]
            other = "another scan named " if name == scan.name else ""
            self._session.said.emit(f"this patch is of {other}{name}; open it to go there", False)
            return
        z, y, x = (int(p) for p in found.points.places[number])
        look_across(self._session.viewer, int(found.points.axis[number]))
        self._session.go_to((z, y, x))
        self._mark(np.array([number]))

    def _mark(self, numbers: npt.NDArray[np.int64]) -> None:
        scan, found = self._session.scan, self.map
        if scan is None or found is None:
            return
        mine = numbers[found.points.scan[numbers] == found.points.number_of(scan)] if len(numbers) else numbers
        self._explaining.layers.mark(scan, found.points.places[mine], 14.0)
        if len(numbers):
            others = f", {len(numbers) - len(mine)} of other scans" if len(mine) < len(numbers) else ""
            self._session.said.emit(f"{len(mine)} patch{'' if len(mine) == 1 else 'es'} marked in the viewer{others}", False)

    def _on_none(self) -> None:
        self.plot.choose(np.zeros(0, np.int64))
        self._mark(np.zeros(0, np.int64))

    def _on_save(self) -> None:
        if self.map is None:
            return
        found, column = self.map, self.colour.currentData()
        classes = self._session.classes_of(self.result.currentData()) if column == "class" and self.result.currentData() else None
        dialog = QFileDialog(self, "Save the map", "", "Figure (*.png *.svg);;Table (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("png")
        dialog.setModal(False)
        dialog.fileSelected.connect(lambda name: self.save(Path(name), found, column, classes))
        self._dialog = dialog
        dialog.show()

    def save(self, target: Path, found: "Map", column: str, classes: "ClassTable | None") -> None:
        """Save a map, coloured by a column, as it was when the file was asked for."""
        from lithoscope.explain.scatter import scatter

        def work() -> Path:
            return found.table(target) if target.suffix.lower() == ".csv" else scatter(found, column, classes).save(target)

        self._reading.start(work, self._on_saved)

    def _on_saved(self, path: Path) -> None:
        self._session.said.emit(f"saved as {path}", False)

    def _on_failed(self, error: BaseException) -> None:
        self._session.said.emit(sentence(error), True)


def _small(name: str, tip: str) -> QComboBox:
    made = QComboBox()
    made.setAccessibleName(name)
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    return made

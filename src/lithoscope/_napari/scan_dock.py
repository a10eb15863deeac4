"""The Scan dock: what is open, how large its voxels are, which part of it was measured."""

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QWidget

from lithoscope._napari.actions import set_voxel
from lithoscope._napari.dock import Dock
from lithoscope._napari.field_panel import FieldPanel
from lithoscope._napari.filter_panel import FilterPanel
from lithoscope._napari.look import button, bytes_text, column, row, rule, text
from lithoscope._napari.voxel_field import UNITS, voxel_typed
from lithoscope.errors import LithoscopeError


class ScanDock(Dock):
    """Facts of the scan, its voxel size and field of view; opening, importing and closing."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._name = text(bold=True)
        self._facts = QFormLayout()
        self._facts.setContentsMargins(0, 0, 0, 0)
        self._facts.setVerticalSpacing(3)
        self._facts.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._lines = {key: text() for key in ("Size", "Type", "Grey values", "Levels", "From", "Folder")}
        for key, label in self._lines.items():
            self._facts.addRow(text(key, muted=True, wrap=False), label)
        self.voxel_edit = QLineEdit()
        self.voxel_edit.setAccessibleName("Voxel size along z, y and x")
        self.voxel_edit.setPlaceholderText("one number, or z y x")
        self.voxel_edit.setToolTip("The size of a voxel: one number, or three for z y x")
        self.unit_edit = QComboBox()
        self.unit_edit.setAccessibleName("Unit of the voxel size")
        self.unit_edit.addItems(UNITS)
        self.voxel_button = button("Set", "Set the voxel size")
        self.field = FieldPanel(self.session)
        self._more = button("Another scan …", "Open or import another scan")
        self._more.setCheckable(True)
        self._close = button("Close the scan", tip="Take the scan and its layers out of the viewer; everything is kept on disk")
        self.filter = FilterPanel(self.session)
        facts = QWidget()
        facts.setLayout(self._facts)
        self.body.setLayout(
            column(
                self._name,
                facts,
                rule(),
                text("Voxel size", bold=True),
                row(self.voxel_edit, self.unit_edit, self.voxel_button),
                rule(),
                text("Field of view", bold=True),
                self.field,
                rule(),
                text("Image", bold=True),
                self.filter,
                rule(),
                row(self._more, 1, self._close),
            )
        )
        self.start.form.closed.connect(self._on_more_done)
        self.voxel_button.clicked.connect(self._on_voxel)
        self.voxel_edit.returnPressed.connect(self._on_voxel)
        self._more.toggled.connect(self._on_more)
        self._close.clicked.connect(self.session.leave)
        self.session.facts_changed.connect(self.show_facts)
        self.finish()

    def put_away(self) -> None:
        super().put_away()
        self.field.put_away()
        self.filter.live.setChecked(False)

    def on_scan(self) -> None:
        super().on_scan()
        self._more.setChecked(False)
        self.start.explain(self.session.scan is None)
        self.show_facts()

    def show_facts(self) -> None:
        """Show what is known of the scan."""
        scan = self.session.scan
        if scan is None:
            return
        z, y, x = scan.shape
        size = z * y * x * scan.dtype.itemsize
        low, high = scan.window
        grey = scan.histogram
        facts = {
            "Size": f"{z} × {y} × {x} voxels" + (f"\n{_extent(scan)}" if scan.voxel else ""),
            "Type": f"{scan.dtype}, {bytes_text(size)}",
            "Grey values": f"{grey.minimum:g} to {grey.maximum:g}, mostly {low:g} to {high:g}" if grey.total else "none that are finite",
            "Levels": "×".join(str(n) for n in scan.levels[-1].shape) + " is the coarsest of " + str(len(scan.levels))
            if len(scan.levels) > 1
            else "one",
            "From": str(scan.metadata.get("format", "")) + ("" if scan.ours else " · used in place, never written to"),
            "Folder": str(scan.path),
        }
        self._name.setText(scan.name)
        for key, words in facts.items():
            self._lines[key].setText(words)
        self._lines["Folder"].setToolTip(str(scan.path))
        if scan.voxel is not None:
            self.voxel_edit.setText(" ".join(f"{s:g}" for s in (scan.voxel.size[:1] if scan.voxel.isotropic else scan.voxel.size)))
            self.unit_edit.setCurrentText(scan.voxel.symbol if scan.voxel.symbol != "in" else "inch")
        else:
            self.voxel_edit.clear()
            self.unit_edit.setCurrentText("µm")
        self.field.show_state()

    def _on_voxel(self) -> None:
        try:
            set_voxel(self.session, voxel_typed(self.voxel_edit.text(), self.unit_edit.currentText()))
        except LithoscopeError as error:
            self.session.said.emit(str(error), True)

    def _on_more(self, on: bool) -> None:
        self.start.setVisible(on or self.session.scan is None)

    def _on_more_done(self) -> None:
        self._more.setChecked(False)


def _extent(scan: Any) -> str:
    """How large the scan is in the world: "0.2 × 2.5 × 2.5 mm"."""
    sizes = [n * s for n, s in zip(scan.shape, scan.voxel.um, strict=True)]
    unit, factor = ("mm", 1e-3) if max(sizes) >= 1000 else ("µm", 1.0)
    return " × ".join(f"{s * factor:.3g}" for s in sizes) + f" {unit}"

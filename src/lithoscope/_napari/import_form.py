"""Turning a layer or a file into a scan on disk: what, where to, how big, and a button."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from lithoscope._napari import layers as ours
from lithoscope._napari.actions import ImportWish, import_scan
from lithoscope._napari.look import button, bytes_text, column, mark_bad, row, text
from lithoscope._napari.session import Session
from lithoscope._napari.voxel_field import VoxelField
from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel

A_FILE = "a file or folder …"


class ImportForm(QWidget):
    """Asks what to import and where to put it; `Session` jobs do the work."""

    closed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layers: list[Layer | None] = []
        self._dialogs: list[QFileDialog] = []
        self._what = QComboBox()
        self._what.setAccessibleName("What to import")
        self._what.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._source = QLineEdit()
        self._source.setAccessibleName("File or folder to import")
        self._source.setPlaceholderText("TIFF, folder of slices, .raw, .npy, Zarr")
        self._browse_source = button("Browse…", "Choose the file to import")
        self._shape = QLineEdit()
        self._shape.setAccessibleName("Shape and type of a raw file")
        self._shape.setPlaceholderText("only for .raw: 100 200 200 uint8")
        self.voxel = VoxelField()
        self._target = QLineEdit()
        self._target.setAccessibleName("Where to put the scan")
        self._browse_target = button("Browse…", "Choose where to put the scan")
        self._size = text(muted=True)
        self._go = button("Import", "Import into a scan on disk")
        self._cancel = button("Close", "Close the import form")
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Import", self._what)
        self._source_row = QWidget()
        self._source_row.setLayout(row(self._source, self._browse_source))
        form.addRow("File", self._source_row)
        form.addRow("Raw", self._shape)
        form.addRow("Voxel", self.voxel)
        target = QWidget()
        target.setLayout(row(self._target, self._browse_target))
        form.addRow("To", target)
        self._form = form
        layout = column()
        layout.addLayout(form)
        layout.addWidget(self._size)
        layout.addLayout(row(1, self._cancel, self._go))
        self.setLayout(layout)
        self._what.currentIndexChanged.connect(self._on_what)
        self._source.textChanged.connect(self._on_source)
        self._target.textChanged.connect(self._check)
        self.voxel.changed.connect(self._check)
        self._browse_source.clicked.connect(self._on_browse_source)
        self._browse_target.clicked.connect(self._on_browse_target)
        self._go.clicked.connect(self._on_go)
        self._cancel.clicked.connect(self.closed)

    def offer(self) -> None:
        """List the layers that can be imported, the active one first."""
        self._what.blockSignals(True)
        self._what.clear()
        viewer = self._session.viewer
        active = viewer.layers.selection.active
        candidates = [layer for layer in viewer.layers if importable(layer)]
        candidates.sort(key=lambda layer: layer is not active)
        self._layers = [*candidates, None]
        for layer in candidates:
            self._what.addItem(layer.name)
        self._what.addItem(A_FILE)
        self._what.blockSignals(False)
        self._on_what(0)

    def wish(self) -> ImportWish:
        """What the form says."""
        layer = self._layers[self._what.currentIndex()] if self._layers else None
        target = Path(self._target.text()).expanduser()
        voxel = self.voxel.voxel()
        size, unit = (None, "um") if voxel is None else (voxel.size, voxel.unit)
        if layer is None:
            return ImportWish(Path(self._source.text()).expanduser(), None, target, size, unit, extra=self._raw())
        path = source_of(layer)
        return ImportWish(path, None if path else layer.data, target, size, unit, replaces=layer)

    def _raw(self) -> dict[str, Any]:
        parts = self._shape.text().replace(",", " ").replace("×", " ").replace("x", " ").split()
        if not parts:
            return {}
        numbers = [int(p) for p in parts if p.isdigit()]
        kinds = [p for p in parts if not p.isdigit()]
        return {"shape": numbers, **({"dtype": kinds[0]} if kinds else {})}

    def _on_what(self, index: int) -> None:
        layer = self._layers[index] if 0 <= index < len(self._layers) else None
        self._form.setRowVisible(1, layer is None)
        self._form.setRowVisible(2, layer is None and self._source.text().endswith((".raw", ".bin", ".dat", ".img")))
        self.voxel.show_size(*(voxel_of(layer) if layer is not None else (None, "")))
        if layer is not None:
            path = source_of(layer)
            folder = path.parent if path else Path.home()
            self._target.setText(str(free_name(folder, path.stem if path else layer.name)))
        else:
            self._on_source(self._source.text())
        self._check()

    def _on_source(self, typed: str) -> None:
        path = Path(typed).expanduser()
        self._form.setRowVisible(2, typed.endswith((".raw", ".bin", ".dat", ".img")))
        if typed:
            self._target.setText(str(free_name(path.parent, path.stem)))
        self._check()

    def _check(self, *_: Any) -> None:
        """Say how large it will be, or what is missing."""
        problem, about = "", ""
        layer = self._layers[self._what.currentIndex()] if self._layers else None
        target = Path(self._target.text()).expanduser()
        if layer is None and not self._source.text():
            problem = "choose the file or folder to import"
        elif layer is None and not Path(self._source.text()).expanduser().exists():
            problem = f"there is no {self._source.text()}"
        elif not self._target.text():
            problem = "say where to put the scan"
        elif target.suffix != ".zarr":
            problem = "the scan's name must end in .zarr"
        elif target.exists():
            problem = f"{target.name} exists already; choose another name"
        elif self.voxel.problem():
            problem = self.voxel.problem()
        elif layer is not None:
            data = layer.data[0] if layer.multiscale else layer.data
            size = int(np.prod(data.shape)) * np.dtype(data.dtype).itemsize
            about = f"{' × '.join(str(n) for n in data.shape)} {data.dtype}: {bytes_text(size)}, up to {bytes_text(size * 1.15)} on disk"
        self._size.setText(problem or about)
        mark_bad(self._size, False)
        self._go.setEnabled(not problem)

    def _on_browse_source(self) -> None:
        dialog = QFileDialog(self, "Choose a file, or a slice in its folder")
        dialog.setModal(False)
        dialog.fileSelected.connect(self._source.setText)
        self._dialogs = [dialog]
        dialog.show()

    def _on_browse_target(self) -> None:
        dialog = QFileDialog(self, "Where to put the scan", self._target.text())
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setModal(False)
        dialog.fileSelected.connect(self._target.setText)
        self._dialogs = [dialog]
        dialog.show()

    def _on_go(self) -> None:
        import_scan(self._session, self.wish())
        self.closed.emit()


def importable(layer: Layer) -> bool:
    """Whether a layer can become a scan: an image of three axes, not RGB, that is no scan yet."""
    return isinstance(layer, Image) and not layer.rgb and layer.ndim in (2, 3) and ours.about(layer).get("kind") != "image"


def source_of(layer: Layer) -> Path | None:
    """The file that a layer was read from, if it holds just what the layer shows."""
    told = ours.about(layer).get("source")
    return Path(told) if told and Path(told).exists() else None


def voxel_of(layer: Layer) -> tuple[tuple[float, float, float] | None, str]:
    """The voxel size (z, y, x) that a layer states and its unit, "" where it names none; None when its scale says nothing."""
    scale = [float(s) for s in layer.scale[-3:]]
    if len(scale) < 3:
        return None, ""
    size = (scale[0], scale[1], scale[2])
    try:
        return size, Voxel(size, str(layer.units[-1])).symbol
    except InputError:  # of napari's pixels, or of a unit that is no length
        return (None if set(size) == {1.0} else size), ""


def free_name(folder: Path, stem: str) -> Path:
    """A path of a scan that does not exist yet: stem.zarr, stem-2.zarr …"""
    clean = "".join(c if c not in '/\\:*?"<>|' else "-" for c in stem).strip() or "scan"
    place, n = folder / f"{clean}.zarr", 2
    while place.exists():
        place, n = folder / f"{clean}-{n}.zarr", n + 1
    return place


def in_memory(array: Any) -> Path:
    """A temporary .npy of an array that is in no file, for the worker to read."""
    folder = Path(tempfile.mkdtemp(prefix="lithoscope-"))
    path = folder / "layer.npy"
    np.save(path, np.asarray(array))
    return path

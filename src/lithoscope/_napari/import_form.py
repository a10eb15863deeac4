"""Turning a layer or a file into a scan on disk: what, where to, how big, and a button."""

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLineEdit, QWidget

from lithoscope._napari import layers as ours
from lithoscope._napari.actions import ImportWish, import_scan
from lithoscope._napari.background import Background, sentence
from lithoscope._napari.import_choices import ImportChoices
from lithoscope._napari.look import button, bytes_text, column, mark_bad, row, text
from lithoscope._napari.session import Session
from lithoscope._napari.voxel_field import VoxelField
from lithoscope.errors import InputError
from lithoscope.volume.voxel import Voxel

if TYPE_CHECKING:
    from lithoscope.volume.formats.contents import Contents

TYPING_MS = 300
"""How long the name of a file rests before it is looked into."""
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
        self._source.setPlaceholderText("file or folder of slices; scan.h5/entry/data")
        self._browse_source = button("File…", "Choose the file to import")
        self._browse_folder = button("Folder…", "Choose the folder of slices to import")
        self.choices = ImportChoices()
        self.voxel = VoxelField()
        self._contents: Contents | None = None
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
        self._source_row.setLayout(column(self._source, row(self._browse_source, self._browse_folder, 1), spacing=3))
        form.addRow("File", self._source_row)
        form.addRow(self.choices)
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
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(TYPING_MS)
        self._soon.timeout.connect(self._look)
        session.closing.connect(self._work.close)
        self.choices.changed.connect(self._look)
        self.voxel.changed.connect(self._check)
        self._what.currentIndexChanged.connect(self._on_what)
        self._source.textChanged.connect(self._on_source)
        self._target.textChanged.connect(self._check)
        self._browse_source.clicked.connect(partial(self._on_browse_source, False))
        self._browse_folder.clicked.connect(partial(self._on_browse_source, True))
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
        """What the form says; raises `InputError` for a voxel size that is none."""
        layer = self._layers[self._what.currentIndex()] if self._layers else None
        target = Path(self._target.text()).expanduser()
        voxel = self.voxel.voxel()
        size, unit = (None, "um") if voxel is None else (voxel.size, voxel.unit)
        if layer is None:
            return ImportWish(self._path(), None, target, size, unit, extra=self.choices.arguments())
        path = source_of(layer)
        finest = layer.data[0] if layer.multiscale else layer.data  # as an array, data of several levels are the coarsest
        return ImportWish(path, None if path else finest, target, size, unit, replaces=layer)

    def _path(self) -> Path:
        return Path(self._source.text().strip()).expanduser()

    def _on_what(self, index: int) -> None:
        layer = self._layers[index] if 0 <= index < len(self._layers) else None
        self._form.setRowVisible(1, layer is None)
        self.choices.clear()
        self.voxel.show_size(*(voxel_of(layer) if layer is not None else (None, "")))
        if layer is not None:
            path = source_of(layer)
            folder = path.parent if path else Path.home()
            self._target.setText(str(free_name(folder, path.stem if path else layer.name)))
        else:
            self._on_source(self._source.text())
        self._check()

    def _on_source(self, typed: str) -> None:
        path = self._path()
        self.choices.clear()
        self._contents = None
        if typed.strip():
            from lithoscope.volume.formats import hdf5

            inner = hdf5.split(path)
            place = path if inner is None else inner[0]
            self._target.setText(str(free_name(place.parent, place.stem)))
            self._soon.start()
        self._check()

    def _look(self) -> None:
        """Look into the file, in a thread: what must be chosen, and how large it is."""
        path, wishes = self._path(), self.choices.wishes()

        def look() -> "tuple[Path, dict[str, Any], Contents]":
            from lithoscope.volume.formats.contents import look_into

            return path, wishes, look_into(path, wishes)

        if self._source.text().strip():
            self._work.start(look, self._on_contents)

    def _on_contents(self, found: "tuple[Path, dict[str, Any], Contents]") -> None:
        path, wishes, contents = found
        if path == self._path() and wishes == self.choices.wishes():
            self._contents = contents
            self.choices.show_contents(contents)
            known = contents.voxel
            words = "one number, or z y x" if known is None else f"{known} in the file"
            self.voxel.size.setPlaceholderText(words)
            self._check()

    def _on_failed(self, error: BaseException) -> None:
        from lithoscope.volume.formats.contents import Contents

        self._contents = Contents(problem=sentence(error))
        self._check()

    def _check(self, *_: Any) -> None:
        """Say how large it will be, or what is missing."""
        problem, about = "", ""
        layer = self._layers[self._what.currentIndex()] if self._layers else None
        target = Path(self._target.text()).expanduser()
        bad = False
        if layer is None and not self._source.text().strip():
            problem = "choose the file or folder to import"
        elif layer is None and self._contents is None:
            problem = f"looking into {self._path().name} …"
        elif layer is None and self._contents is not None and self._contents.problem:
            lacking = self._contents.raw is not None and not {"shape", "dtype"} <= set(self.choices.wishes())
            problem = "say the shape (z y x) and the type of the raw file" if lacking else self._contents.problem
            bad = not lacking and not problem.startswith("choose")
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
            about = _about(data.shape, data.dtype, size)
        elif self._contents is not None and self._contents.shape is not None:
            about = _about(self._contents.shape, self._contents.dtype, self._contents.bytes)
            if self._contents.voxel is None and not self.voxel.size.text():
                about += "; how large a voxel is stays unknown until you say it"
        self._size.setText(problem or about)
        mark_bad(self._size, bad)
        self._go.setEnabled(not problem)

    def _on_browse_source(self, folder: bool, *_: Any) -> None:
        dialog = QFileDialog(self, "Choose a folder of slices" if folder else "Choose a file")
        dialog.setFileMode(QFileDialog.FileMode.Directory if folder else QFileDialog.FileMode.ExistingFile)
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


def _about(shape: Any, dtype: Any, size: float) -> str:
    return f"{' × '.join(str(n) for n in shape)} {dtype}: {bytes_text(size)}, up to {bytes_text(size * 1.15)} on disk"


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

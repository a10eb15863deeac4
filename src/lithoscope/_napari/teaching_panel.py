"""A network taught on the open scan: adapted with one button, or from nothing; curves and reconstructions while it learns."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QLabel, QLineEdit, QToolButton, QWidget

from lithoscope._napari.forms import ParameterForm
from lithoscope._napari.learning_curve import LearningCurve, Log
from lithoscope._napari.look import Colours, button, column, mark_bad, row, text
from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job
from lithoscope.features.backbones import homes
from lithoscope.parameters import configured, parameters
from lithoscope.training.selfsupervised.choices import Teaching

LOOK_MS = 1000
"""How often the log is looked at while a training runs."""


class TeachingPanel(QWidget):
    """Folded away until asked for. A training that was cancelled is gone on with under the same name."""

    wanted = Signal(str)
    """The person wants to use the network in this folder."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._job: Job | None = None
        self._log: Log | None = None
        self.fold = QToolButton()
        self.fold.setText("Adapt a network to this scan")
        self.fold.setAccessibleName("Show or hide the teaching of networks")
        self.fold.setToolTip("Teach a network on the scan without labels; method dino can then use it")
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setArrowType(Qt.ArrowType.RightArrow)
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.form = ParameterForm()
        self.form.show_parameters(parameters(Teaching))
        self.output = QLineEdit()
        self.output.setAccessibleName("Name of the network")
        self.teach_button = button("Adapt", tip="Teach the network on this scan, in the background; it is kept step by step")
        self.use_button = button("Use it in dino", "Choose method dino with this network")
        self.use_button.hide()
        self._note = text(muted=True)
        self.curve = LearningCurve()
        self.words = text(muted=True)
        self.picture = QLabel()
        self.picture.setAccessibleName("Reconstructions: crop, what was shown, what was painted")
        self.picture.setToolTip("Rows: the crop, what the network was shown of it, what it painted")
        self._inner = QWidget()
        inner = column(
            self.form, row(self.output, self.teach_button), row(self._note, self.use_button), self.curve, self.words, self.picture
        )
        self._inner.setLayout(inner)
        self._inner.hide()
        for part in (self.curve, self.words, self.picture):
            part.hide()
        self.setLayout(column(self.fold, self._inner))
        self._tick = QTimer(self)
        self._tick.setInterval(LOOK_MS)
        self._tick.timeout.connect(self.look)
        self.fold.toggled.connect(self._on_fold)
        self.form.changed.connect(self._check)
        self.output.textChanged.connect(self._check)
        self.teach_button.clicked.connect(self.teach)
        self.use_button.clicked.connect(lambda: self.wanted.emit(str(self.folder)))

    @property
    def folder(self) -> Path:
        """Where the network of this name lies."""
        return homes()[0] / str(self.output.text()).strip()

    def on_scan(self) -> None:
        """Another scan: propose its name."""
        scan = self._session.scan
        if scan is not None and self._job is None:
            self.output.setText(f"{scan.name}-network")

    def set_colours(self, colours: Colours) -> None:
        """Take up the theme."""
        self.curve.set_colours(colours.background, colours.text, colours.accent)

    def teach(self) -> None:
        """Have the worker teach, or go on."""
        scan = self._session.scan
        if scan is None or self._problem():
            return
        told = configured(Teaching, self.form.values()).arguments()
        self._log = Log(self.folder / "log.jsonl")
        arguments = {"scans": [str(scan.path)], "output": str(self.folder), **told}
        self._job = self._session.run("pretrain", arguments, f"teach {self.output.text().strip()}", self._on_end)
        self._tick.start()
        self._check()
        self.look()

    def look(self) -> None:
        """Draw what the training has written so far."""
        if self._log is None:
            return
        if self._log.read():
            self.curve.show_losses(self._log.losses)
            self.words.setText(self._log.words())
        self.curve.setVisible(bool(self._log.losses))
        self.words.setVisible(bool(self._log.losses))
        path = self._log.path.with_name("reconstructions.png")
        pixmap = QPixmap(str(path)) if path.exists() else QPixmap()
        self.picture.setVisible(not pixmap.isNull())
        if not pixmap.isNull():
            width = max(self.width() - 8, 100)
            self.picture.setPixmap(pixmap.scaledToWidth(width, Qt.TransformationMode.SmoothTransformation))

    def _problem(self) -> str:
        name = self.output.text().strip()
        if not name or name in (".", "..") or Path(name).name != name:
            return "give the network a name without slashes"
        if self._job is not None:
            return "a network is being taught; cancel that first, or wait"
        return self.form.error()

    def _check(self, *_: Any) -> None:
        problem = self._problem()
        self.use_button.hide()
        self.teach_button.setEnabled(not problem)
        going_on = not problem and (self.folder / "checkpoint" / "state.safetensors").exists()
        self.teach_button.setText("Go on" if going_on else "Adapt")
        words = problem or ("this network was begun before, and is gone on with: keep its settings" if going_on else "")
        self._note.setText(words)
        self._note.setVisible(bool(words))
        mark_bad(self._note, False)

    def _on_fold(self, shown: bool) -> None:
        self.fold.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._inner.setVisible(shown)
        self._check()

    def _on_end(self, job: Job) -> None:
        self._job = None
        self._tick.stop()
        self.look()
        self._check()
        if job.state == "done":
            self._note.setText("ready")
            self._note.show()
            self.use_button.show()

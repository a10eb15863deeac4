"""Making a better image of the scan: a filter, its settings, the plane in view as it would be, and the run over the volume."""

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QWidget

from lithoscope._napari import actions
from lithoscope._napari.background import Background, sentence
from lithoscope._napari.filter_resume import ResumeRow
from lithoscope._napari.forms import ParameterForm
from lithoscope._napari.look import button, column, mark_bad, row, text
from lithoscope._napari.preview import Plane
from lithoscope._napari.session import Session
from lithoscope.errors import InputError
from lithoscope.filtering import REGISTRY, Previewer
from lithoscope.job import Cancelled, Progress
from lithoscope.parameters import configured, parameters

if TYPE_CHECKING:
    from lithoscope.filtering import Filter
    from lithoscope.volume.scan import Scan

SLIDER_MS = 60
"""How long slider and settings rest before the plane is filtered."""
FIRST = "nlm"


class FilterPanel(QWidget):
    """The image that methods work on, and a filter that makes another."""

    _told = Signal(str)
    """How far the thread is that looks through the slices."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._values: dict[str, dict[str, Any]] = {}
        self._name = ""
        self._previewer: Previewer | None = None
        self._wish: object = None
        self.image = QComboBox()
        self.image.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.image.setMinimumContentsLength(14)
        self.image.setAccessibleName("Image that methods work on")
        self.image.setToolTip("The scan itself, or a filtered image of it: it is shown, and methods work on it")
        self.method = QComboBox()
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.method.setMinimumContentsLength(14)
        self.method.setAccessibleName("Filter")
        for name, kind in REGISTRY.items():
            self.method.addItem(kind.title, name)
        self._summary = text(muted=True)
        self.form = ParameterForm()
        self.live = QCheckBox("Preview on the plane in view")
        self.output = QLineEdit()
        self.output.setAccessibleName("Name of the filtered image")
        self.run_button = button("Filter the volume", tip="Make a filtered image of the whole scan; the scan itself stays as it is")
        self.resume = ResumeRow(session)
        self._note = text(muted=True)
        self.setLayout(
            column(
                row(text("Methods work on", muted=True, wrap=False), self.image),
                row(text("Filter", bold=True, wrap=False), self.method, spacing=8),
                self._summary,
                self.form,
                self.live,
                row(self.output, self.run_button),
                self.resume,
                self._note,
            )
        )
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self._told.connect(self._say)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SLIDER_MS)
        self._soon.timeout.connect(self._preview)
        self.image.activated.connect(self._on_image)
        self.method.currentIndexChanged.connect(self._on_method)
        self.form.changed.connect(self._on_change)
        self.output.textEdited.connect(self._check)
        self.live.toggled.connect(self._on_live)
        self.run_button.clicked.connect(self.run)
        session.plane_changed.connect(self._on_plane)
        session.images.changed.connect(self.show_images)
        session.closing.connect(self._work.close)
        self.method.setCurrentIndex(max(self.method.findData(FIRST), 0))
        self._on_method()
        self.show_images()

    def show_images(self) -> None:
        """List the images that there are."""
        chosen = self._session.images.chosen
        self.image.clear()
        self.image.addItem("the scan itself", None)
        for name in self._session.images.names():
            self.image.addItem(name, name)
        self.image.setCurrentIndex(max(self.image.findData(chosen), 0))
        if self._session.scan is None or self not in self._session.previewing:  # another scan ends the preview
            self.live.setChecked(False)
        self._propose()
        self._on_plane()

    def run(self) -> None:
        """Filter the whole scan, in the worker; the image is shown when it is there."""
        actions.filter_image(self._session, self.method.currentData(), self.form.values(), self.output.text().strip())
        self.live.setChecked(False)
        self.resume.look()

    def _on_image(self, *_: Any) -> None:
        self._session.images.choose(self.image.currentData())

    def _on_method(self, *_: Any) -> None:
        if self._name and not self.form.error():
            self._values[self._name] = self.form.values()
        self._name = self.method.currentData()
        kind = REGISTRY[self._name]
        self._summary.setText(kind.summary)
        self.form.show_parameters(parameters(kind), self._values.get(self._name))
        self._propose()
        self._begin()

    def _on_change(self) -> None:
        self._check()
        self._begin()

    def _propose(self) -> None:
        name, n = self._name, 2
        while name in self._session.images.names():
            name, n = f"{self._name}-{n}", n + 1
        self.output.setText(name)
        self._check()

    def _check(self, *_: Any) -> None:
        name, problem = self.output.text().strip(), self.form.error()
        if not problem and not name:
            problem = "give the image a name"
        elif not problem and name in self._session.images.names():
            problem = f"there is an image {name} already; choose another name"
        self.run_button.setEnabled(not problem)
        self._say(problem)

    def _say(self, words: str, *, bad: bool = False) -> None:
        self._note.setText(words)
        self._note.setVisible(bool(words))
        mark_bad(self._note, bad)

    def _on_live(self, on: bool) -> None:
        previewing, self._wish = self._session.previewing, None
        if on:
            self._session.hide_preview()
            self._begin()
            return
        if previewing.has(self):
            self._session.hide_preview()
        previewing.end(self)

    def _begin(self) -> None:
        """Have the layer, if the plane is to be shown, and show it anew."""
        if self.live.isChecked():
            self._session.previewing.begin(self)
            self._soon.start()

    def _on_plane(self) -> None:
        if self.live.isChecked():
            self._soon.start()

    def _preview(self) -> None:
        scan, plane, image = self._session.scan, self._session.plane(), self._session.images.chosen
        if scan is None or plane is None or not self._session.previewing.has(self):
            return
        try:
            chosen: Filter = configured(REGISTRY[self._name], self.form.values())
        except InputError as error:
            self._say(str(error), bad=True)
            return
        self._say("filtering the plane …")
        wish = self._wish = object()
        if self._previewer is None or self._previewer.scan is not scan or self._previewer.image != image:
            self._previewer = Previewer(scan, image)
        previewer = self._previewer

        def report(progress: Progress) -> None:
            if self._wish is not wish:
                raise Cancelled
            if progress.total:
                self._told.emit(f"{progress.message}: {progress.done} of {progress.total}")

        self._work.start(lambda: (scan, plane, previewer.plane(chosen, plane.axis, plane.index, report=report)), self._on_previewed)

    def _on_previewed(self, found: "tuple[Scan, Plane, Any]") -> None:
        scan, plane, values = found
        image = self._session.layer("image")
        if self._session.previewing.has(self) and plane == self._session.plane() and scan is self._session.scan and image is not None:
            self._session.preview.show_grey(scan, plane, values, image.contrast_limits)
            self._check()

    def _on_failed(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):  # another plane is wanted by now
            return
        if self._session.previewing.has(self):
            self._session.hide_preview()
        self._say(sentence(error), bad=True)

"""The field of view in the Scan dock: proposed from the image, shown as an outline, then Use · Edit · None."""

from collections.abc import Callable

from qtpy.QtWidgets import QLineEdit, QWidget

from lithoscope._napari.actions import set_field_of_view
from lithoscope._napari.background import Background, sentence
from lithoscope._napari.look import button, column, mark_bad, row, text
from lithoscope._napari.outline import Outline, warm
from lithoscope._napari.session import Session
from lithoscope._napari.worker_client import Job
from lithoscope.errors import LithoscopeError
from lithoscope.volume.box import Triple
from lithoscope.volume.field_of_view import BoxView, Cylinder, FieldOfView, Mask, parse

ROUND = "Move and stretch the circle with napari's tools, draw a rectangle for a box, or write it below; Use keeps it."
ON_Z = "A circle is moved and stretched on planes along z: change the order of the axes, or write it below."
NO_SHAPE = "no circle or box is plain to see around the image; Edit draws one"


class FieldPanel(QWidget):
    """What is in use, and what is proposed or edited: only Use changes the scan."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.outline = Outline(session)
        self._told = self._set = ""
        self.state = text()
        self.propose_button = button(
            "Propose", "Propose a field of view from the image", "Look for a circle or box with one constant outside, and show its outline"
        )
        self.use_button = button("Use", "Use the outlined field of view", "Count only what lies inside the outline")
        self.edit_button = button("Edit", "Edit the outline of the field of view", "Move and stretch the outline, or write it")
        self.edit_button.setCheckable(True)
        self.show_button = button(
            "Show", "Show the outline of the field of view in use", "Draw the rim of what is in use on the plane in view"
        )
        self.show_button.setCheckable(True)
        self.none_button = button("None", "Use the whole scan, without a field of view")
        self.edit = QLineEdit()
        self.edit.setAccessibleName("Field of view")
        self.edit.setPlaceholderText("cylinder:CY,CX,R or box:z0:z1,y0:y1,x0:x1")
        self.edit.hide()
        self.note = text(muted=True)
        self.note.setAccessibleName("About the field of view")
        self.note.hide()
        buttons = row(self.propose_button, self.use_button, self.edit_button, self.show_button, self.none_button, 1)
        self.setLayout(column(self.state, buttons, self.edit, self.note))
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self.propose_button.clicked.connect(self.propose)
        self.use_button.clicked.connect(self.use)
        self.edit_button.toggled.connect(self._on_edit)
        self.show_button.toggled.connect(self._on_show)
        self.none_button.clicked.connect(self.none)
        self.edit.textEdited.connect(self._on_typed)
        self.edit.returnPressed.connect(self.use)
        self.outline.changed.connect(self._on_moved)
        session.plane_changed.connect(self._on_plane)
        session.scan_changed.connect(self._on_scan)
        session.jobs.finished.connect(self._on_job)
        session.closing.connect(self._work.close)
        self.show_state()

    # --- what is in use -----------------------------------------------------------------------------------------------

    def show_state(self) -> None:
        """Say what is in use and what is proposed."""
        scan = self._session.scan
        view, shape = None if scan is None else scan.field_of_view, self.outline.shape
        words = "none: the whole scan counts" if view is None else f"{view}; what lies outside does not count"
        self.show_button.setVisible(view is not None and (shape is None or self.show_button.isChecked()))
        if shape is not None and shape != view:
            words = f"{'edited' if self.edit_button.isChecked() else 'proposed'}: {shape}" + (f" (in use: {view})" if view else "")
        self.state.setText(words)
        self.use_button.setVisible(shape is not None and not self.show_button.isChecked())
        self.propose_button.setVisible(shape is None or self.show_button.isChecked())
        if not self.edit.hasFocus() or self.edit_button.isChecked() is False:
            self.edit.setText("" if shape is None and view is None else str(shape or view))

    def _on_scan(self) -> None:
        """Another scan: what the import just found is shown, to be used, edited or put aside."""
        self._dismiss()
        scan = self._session.scan
        if scan is None:
            return
        if self._set == str(scan.path) and isinstance(scan.field_of_view, Mask):
            self.show_button.setChecked(True)
        elif self._told == str(scan.path):
            if isinstance(scan.field_of_view, Cylinder | BoxView):
                found = scan.field_of_view
                self._shown(found, lambda: self._say("The import found this outline: Use keeps it."))
        elif not scan.ours and not scan.knows_field_of_view:
            self.propose(quiet=True)
        self._told = self._set = ""

    def _on_job(self, job: Job) -> None:
        if job.command == "set" and job.state == "done":
            self._set = str(job.arguments["scan"])
        if job.command == "import" and job.state == "done":
            self._told = str(job.arguments["scan"])

    # --- Propose · Use · Edit · None ------------------------------------------------------------------------------------

    def propose(self, checked: bool = False, *, quiet: bool = False) -> None:
        """Look at some planes, in a thread, and show what seems to be the field of view."""
        scan = self._session.scan
        if scan is None:
            return
        if not quiet:
            self._say("looking at the image …")

        def look() -> FieldOfView | None:
            from lithoscope.volume.field_of_view import propose

            found = propose(scan.sample(), scan.shape)
            if found is not None:
                warm()
            return found

        def show(found: FieldOfView | None) -> None:
            if self._session.scan is not scan:
                return
            if isinstance(found, Cylinder | BoxView):
                self.outline.show(found)
                self._say("Use keeps this outline, None puts it aside.")
            else:
                self._say("" if quiet else NO_SHAPE)
            self.show_state()

        self._work.start(look, show)

    def use(self) -> None:
        """Count only what lies inside the outline; the scan is counted again in the worker, unless it is in use already."""
        scan, shape = self._session.scan, self.outline.shape
        if scan is None or shape is None:
            return
        wish = self.edit.text().strip() if self.edit_button.isChecked() else str(shape)
        if self._parsed(wish) is None:
            return
        self._dismiss()
        if wish != str(scan.field_of_view):
            set_field_of_view(self._session, wish)

    def none(self) -> None:
        """Use the whole scan."""
        scan = self._session.scan
        proposed = self.outline.shape is not None
        self._dismiss()
        if scan is not None and (scan.field_of_view is not None or (proposed and not scan.knows_field_of_view)):
            set_field_of_view(self._session, "none")

    def _on_edit(self, on: bool) -> None:
        scan = self._session.scan
        if not on:
            self._dismiss()
            return
        if scan is None:
            return
        self.show_button.blockSignals(True)
        self.show_button.setChecked(False)
        self.show_button.blockSignals(False)
        view = self.outline.shape or scan.field_of_view
        shape = view if isinstance(view, Cylinder | BoxView) else largest_circle(scan.shape)
        self._shown(shape, self._edited)

    def _on_show(self, on: bool) -> None:
        """Show the rim of what is in use, or put it aside."""
        scan = self._session.scan
        view = None if scan is None else scan.field_of_view
        if not on or view is None:
            self._dismiss()
            return
        self._shown(view, lambda: self._say("This is the rim of what is in use, on this plane."))

    def _edited(self) -> None:
        if isinstance(self.outline.shape, Cylinder | BoxView) and self.edit_button.isChecked():
            self.outline.show(self.outline.shape, editing=True)
            self.edit.show()
            self._on_plane()
            self.show_state()

    def _on_plane(self) -> None:
        if self.edit_button.isChecked():
            plane = self._session.plane()
            tools = isinstance(self.outline.shape, BoxView) or (plane is not None and plane.axis == 0)
            self._say(ROUND if tools and plane is not None else ON_Z)

    def _on_moved(self) -> None:
        """The outline was moved by hand, or its layer was deleted."""
        if self.outline.shape is None:
            self._dismiss()
        else:
            self.edit.setText(str(self.outline.shape))
            self.show_state()

    def _on_typed(self, words: str) -> None:
        shape = self._parsed(words, aloud=False)
        if isinstance(shape, Cylinder | BoxView):
            self._on_plane()
            self.outline.show(shape, editing=True)
            self.show_state()

    def _parsed(self, words: str, *, aloud: bool = True) -> FieldOfView | None:
        """What was written, or None; then, `aloud`, what is wrong is said."""
        scan, problem, found = self._session.scan, "press None for the whole scan", None
        assert scan is not None
        try:
            found = parse(words, scan.shape)
        except LithoscopeError as error:
            problem = str(error)
        if found is None and aloud:
            self._say(problem, bad=True)
        return found

    def _shown(self, shape: FieldOfView, then: Callable[[], None]) -> None:
        """Show a shape once napari can draw it without holding up the window."""
        scan = self._session.scan

        def show(_: object) -> None:
            if self._session.scan is scan:
                self.outline.show(shape)
                self.show_state()
                then()

        self._work.start(warm, show)

    def put_away(self) -> None:
        """Take the outline away for good."""
        self._dismiss()
        self.outline.deleteLater()

    def _dismiss(self) -> None:
        for toggle in (self.edit_button, self.show_button):
            toggle.blockSignals(True)
            toggle.setChecked(False)
            toggle.blockSignals(False)
        self.outline.hide()
        self.edit.hide()
        self._say("")
        self.show_state()

    def _say(self, words: str, *, bad: bool = False) -> None:
        self.note.setText(words)
        self.note.setVisible(bool(words))
        mark_bad(self.note, bad)

    def _on_failed(self, error: BaseException) -> None:
        self._say(sentence(error), bad=True)


def largest_circle(shape: Triple) -> Cylinder:
    """The cylinder that just fits into the planes of a scan."""
    _, y, x = shape
    return Cylinder((y - 1) / 2, (x - 1) / 2, min(y, x) / 2)

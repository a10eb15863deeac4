"""The result on show: as it was predicted, with its corrections, or being corrected."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from lithoscope._napari import layers as ours
from lithoscope._napari.opening import corrections_of, outdated
from lithoscope.classes import ClassTable

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class ResultOnShow(QObject):
    """At most one result of the scan is in the viewer. It says what changed through the session's signals."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self.name = ""
        """The name of the result on show."""
        self.correcting = False
        self.classes = ClassTable()

    def show(self, name: str) -> None:
        """Show a result, not to be painted on; an empty name shows none."""
        session = self._session
        if session.scan is None:
            return
        self.end_correcting()
        self.name = ""
        if not name:
            session.stack.drop("result")
        else:
            from lithoscope.labels.results import open_result

            with session.telling():
                found = open_result(session.scan, name)
                self.classes = found.classes
                session.stack.add("result", ours.result_layer(session.scan, found, name, corrections_of(session.scan, found)))
                self.name = name
                session.hide_preview()
                if outdated(session.scan, found.record):
                    session.said.emit(f"{name} was made with another field of view; run it again to bring it up to date", False)
            if not self.name:
                session.stack.drop("result")  # the one before it
        session.results_changed.emit()

    def correct(self, name: str) -> None:
        """Show a result with its corrections, to be painted on."""
        session = self._session
        if session.scan is None:
            return
        from lithoscope.labels.corrections import corrected
        from lithoscope.labels.results import open_result

        self.end_correcting()
        with session.telling():
            self.classes = open_result(session.scan, name).classes
            store = session.painting.corrected = corrected(session.scan, name)
            layer = ours.corrected_layer(session.scan, store, self.classes, name, editable=store.holder is None)
            session.stack.add("result", session.painting.watch(layer))
            if store.holder is not None:
                session.said.emit(f"read-only: {store.holder}", True)
            session.hide_preview()
            self.name, self.correcting = name, True
        session.hide_in_3d()
        session.results_changed.emit()
        session.classes_changed.emit()
        if self.correcting and self.classes.ids:
            session.painting.choose(self.classes.ids[0])

    def change_classes(self, table: ClassTable) -> None:
        """Give the classes of the result other names, colours or porosities, and keep them."""
        from lithoscope.labels.renaming import change_classes_of

        session, layer = self._session, self._session.layer("result")
        assert session.scan is not None
        with session.telling():
            change_classes_of(session.scan, self.name, table)
            self.classes = table
        if layer is not None:
            layer.colormap = ours.colormap(self.classes)
        session.classes_changed.emit()

    def end_correcting(self) -> None:
        """Give the corrections back, if a result is being corrected; it is not on show then."""
        session = self._session
        if session.painting.corrected is not None:
            session.stack.drop("result")
            with session.telling():
                session.painting.corrected.close()
            session.painting.corrected = None
        if self.correcting:
            self.correcting = False
            session.painting.choose_first()
            session.classes_changed.emit()

    def gone(self) -> None:
        """The person deleted its layer."""
        self.end_correcting()
        self.name = ""
        self._session.results_changed.emit()

    def forget(self) -> None:
        """The scan is closed."""
        self.name, self.correcting = "", False
        self.classes = ClassTable()

"""What was kept of the scan: overlays of planes and likeness over the whole scan, shown again as they were."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.look import button, row, text
from lithoscope._napari.session import Session

if TYPE_CHECKING:
    from lithoscope.explain.overlay import Overlay

NOTHING = "kept overlays …"


class KeptPanel(QWidget):
    """Lists what is kept; choosing one reads it."""

    opened = Signal(object)
    """An overlay was read, or the path of an image over the whole scan was chosen."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.names = QComboBox()
        self.names.setAccessibleName("Kept overlays")
        self.names.setToolTip("Overlays that were kept beside the scan; choose one to see it again")
        self.names.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.names.setMinimumContentsLength(10)
        self.delete_button = button("Delete", "Delete the kept overlay that was chosen", "Delete the kept overlay that was chosen")
        self.setLayout(row(text("Kept", muted=True, wrap=False), self.names, self.delete_button))
        self._reading = Background(self, newest_only=True)
        self._reading.failed.connect(self._on_failed)
        session.closing.connect(self._reading.close)
        self.names.activated.connect(self._on_chosen)
        self.delete_button.clicked.connect(self._on_delete)
        self.list_kept()

    def list_kept(self) -> None:
        """Look again at what is kept; nothing is chosen then."""
        from lithoscope.explain import keeping

        scan = self._session.scan
        found = [] if scan is None else keeping.kept(scan) + keeping.kept_volumes(scan)
        self.names.clear()
        self.names.addItem(NOTHING, "")
        for name in found:
            self.names.addItem(name, name)
        self.setVisible(bool(found))
        self.delete_button.setEnabled(False)

    def _on_chosen(self, index: int) -> None:
        from lithoscope.explain import keeping

        name, scan = self.names.itemData(index), self._session.scan
        self.delete_button.setEnabled(bool(name) and scan is not None and not scan.readonly)
        if not name or scan is None:
            return

        def work() -> "Overlay | Path":
            return keeping.kept_again(scan, name)

        def show(found: "Overlay | Path") -> None:
            if self._session.scan is scan:
                self.opened.emit(found)

        self._reading.start(work, show)

    def _on_delete(self) -> None:
        from lithoscope.explain import keeping

        name, scan = self.names.currentData(), self._session.scan
        if name and scan is not None:
            with self._session.telling():
                keeping.delete(scan, name)
            self.list_kept()

    def _on_failed(self, error: Any) -> None:
        self._session.said.emit(sentence(error), True)

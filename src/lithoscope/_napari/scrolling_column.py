"""What scrolls up and down and never sideways: it says how wide it must be for nothing of it to be cut off."""

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QScrollArea, QWidget


class ScrollingColumn(QScrollArea):
    """A column around `inner`, without a frame."""

    needed = Signal(int)
    """So many pixels it must be wide, its scroll bar included; said again when that changes."""

    def __init__(self, inner: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._needs = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(inner)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Look how wide the column must be, now that its parts are laid out anew."""
        inner, bar = self.widget(), self.verticalScrollBar()
        if watched is inner and inner is not None and bar is not None and event is not None and event.type() == QEvent.Type.LayoutRequest:
            needs = inner.minimumSizeHint().width() + bar.sizeHint().width()
            if needs != self._needs:
                self._needs = needs
                self.needed.emit(needs)
        return bool(super().eventFilter(watched, event))

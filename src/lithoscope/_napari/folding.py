"""A part of a dock that is folded away until it is wanted."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QToolButton, QWidget

from lithoscope._napari.look import column


class Folding(QWidget):
    """A heading with an arrow, and the part below it."""

    toggled = Signal(bool)

    def __init__(self, title: str, part: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._part = part
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setAccessibleName(f"Show or hide: {title}")
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setArrowType(Qt.ArrowType.RightArrow)
        self.heading.setCheckable(True)
        self.heading.setAutoRaise(True)
        self.heading.toggled.connect(self._on_toggled)
        part.hide()
        self.setLayout(column(self.heading, part, spacing=4))

    def unfold(self, opened: bool = True) -> None:
        """Show the part, or fold it away."""
        self.heading.setChecked(opened)

    def _on_toggled(self, opened: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self._part.setVisible(opened)
        self.toggled.emit(opened)

"""A few pages of one dock, of which one is in sight, chosen by buttons in a row."""

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QPushButton, QWidget

from lithoscope._napari.look import button, column, row


class Pages(QWidget):
    """Hidden pages take no room, as they would in a stack."""

    turned = Signal(str)

    def __init__(self, pages: Mapping[str, QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages = dict(pages)
        self.buttons: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        for name in self._pages:
            made = button(name, f"Page {name}")
            made.setCheckable(True)
            self._group.addButton(made)
            self.buttons[name] = made
            made.toggled.connect(lambda on, name=name: self._on_toggled(name, on))
        self.setLayout(column(row(*self.buttons.values(), 1, spacing=2), *self._pages.values()))
        for page in self._pages.values():
            page.hide()
        self.turn(next(iter(self._pages)))

    def turn(self, name: str) -> None:
        """Show this page."""
        self.buttons[name].setChecked(True)

    def _on_toggled(self, name: str, on: bool) -> None:
        self._pages[name].setVisible(on)
        if on:
            self.turned.emit(name)

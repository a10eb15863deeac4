"""What every dock has: the session, the theme's colours, a line that speaks to the person, and a place among the tabs."""

from typing import Any

from napari.utils.events import Event
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDockWidget, QMainWindow, QSizePolicy, QVBoxLayout, QWidget

from lithoscope._napari.job_bar import JobBar
from lithoscope._napari.look import Colours, column, mark_bad, style_sheet, text
from lithoscope._napari.scrolling_column import ScrollingColumn
from lithoscope._napari.session import session_of
from lithoscope._napari.start_panel import StartPanel

OURS = "lithoscope_dock"
NARROWEST, WIDEST = 300, 460
"""Pixels that a dock is wide at least, and that what it holds may ask for at most."""


class Dock(QWidget):
    """A scrolling column: the start panel while no scan is open, else the dock's own `body`. Below it, always in sight, jobs and words."""

    title = ""
    _docked = False

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self.setObjectName(OURS)
        self.start = StartPanel(self.session)
        self.body = QWidget()
        self.said = text()
        self.said.setAccessibleName("Messages")
        self.said.hide()
        inner = QWidget()
        layout: QVBoxLayout = column(self.body, self.start, spacing=8, margin=8)
        layout.addStretch(1)
        inner.setLayout(layout)
        area = ScrollingColumn(inner)
        area.needed.connect(lambda width: self.setMinimumWidth(min(max(width, NARROWEST), WIDEST)))
        self.jobs = JobBar(self.session)
        foot = QWidget()
        foot.setLayout(column(self.jobs, self.said, spacing=4, margin=8))
        self.setLayout(column(area, foot, spacing=0))
        self.setMinimumWidth(NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.colours = Colours.of(self.session.viewer)
        self.session.scan_changed.connect(self.on_scan)
        self.session.said.connect(self._on_said)
        self.session.viewer.events.theme.connect(self._on_theme)
        self.session.closing.connect(self._on_closing)
        self._placed = False

    def finish(self) -> None:
        """Called once the body is built."""
        self.restyle()
        self.on_scan()
        for layer in self.session.viewer.layers:
            if self.session.scan is None and self.session.adopt(layer):
                break

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        has_scan = self.session.scan is not None
        self.body.setVisible(has_scan)
        self.start.setVisible(not has_scan)

    def restyle(self) -> None:
        """Take up the theme's colours."""
        self.colours = Colours.of(self.session.viewer)
        self.setStyleSheet(style_sheet(self.colours))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """When first shown beside another of our docks, become a tab of it."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._become_tab)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 - Qt's name
        """A dock that the person closes loses its parent, and napari forgets it: nothing of it may go on."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                QTimer.singleShot(0, self._on_put_away)

    def put_away(self) -> None:
        """Take what this dock shows out of the viewer, and hear of nothing more."""
        self.session.viewer.events.theme.disconnect(self._on_theme)
        self.start.put_away()

    def _on_put_away(self) -> None:
        if self._docked and self.parent() is None:
            self.put_away()
            self.deleteLater()

    def _on_closing(self) -> None:
        self._docked = False  # all goes with the window

    def _become_tab(self) -> None:
        mine = self.parent()
        window = mine.parent() if isinstance(mine, QDockWidget) else None
        if not isinstance(mine, QDockWidget) or not isinstance(window, QMainWindow):
            return
        for other in window.findChildren(QDockWidget):
            if other is not mine and other.findChild(QWidget, OURS) is not None and not other.isFloating():
                window.tabifyDockWidget(other, mine)
                mine.raise_()
                return

    def _on_said(self, words: str, bad: bool) -> None:
        self.said.setText(words)
        self.said.setVisible(bool(words))
        mark_bad(self.said, bad)

    def _on_theme(self, event: Event | None = None) -> None:
        self.restyle()

"""All docks at once, as tabs: what Plugins ▸ Lithoscope ▸ All docks opens."""

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QWidget

DOCKS = ("Scan", "Segment", "Explain")


class AllDocks(QWidget):
    """Opens every dock that is not open yet, then goes."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        QTimer.singleShot(0, self._open)

    def _open(self) -> None:
        open_all(self._viewer)
        mine = self.parent()
        if isinstance(mine, QDockWidget):
            self._viewer.window.remove_dock_widget(mine)


def open_all(viewer: Any) -> None:
    """Every dock as a tab, the first on top."""
    made = [viewer.window.add_plugin_dock_widget("lithoscope", name, tabify=name != DOCKS[0])[0] for name in DOCKS]
    QTimer.singleShot(0, made[0].raise_)  # after each has become a tab

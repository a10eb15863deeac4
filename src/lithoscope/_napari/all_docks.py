"""All docks at once, as tabs: what Plugins ▸ Lithoscope ▸ All docks opens."""

from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QWidget

PLUGIN = "lithoscope"
ALL = "All docks"
"""The name of the entry that opens the others."""


class AllDocks(QWidget):
    """Opens every dock, then goes."""

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
    """Every dock as a tab, in the order of the manifest, the first on top."""
    names = dock_names()
    made = [viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=name != names[0])[0] for name in names]
    QTimer.singleShot(0, made[0].raise_)  # after each has become a tab


def dock_names() -> list[str]:
    """The docks that the manifest names."""
    from npe2 import PluginManager

    widgets = PluginManager.instance().get_manifest(PLUGIN).contributions.widgets or []
    return [widget.display_name for widget in widgets if widget.display_name != ALL]

"""Choosing a folder without holding the window up."""

from collections.abc import Callable

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_folder(parent: QWidget, title: str, then: Callable[[str], object]) -> QFileDialog:
    """Show a dialog that calls `then` with the folder that is chosen; keep what it gives as long as it may be open."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    dialog.setModal(False)
    dialog.fileSelected.connect(then)
    dialog.show()
    return dialog

"""Choosing a folder without holding the window up."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_folder(parent: QWidget, title: str, then: Callable[[str], object], near: str = "") -> QFileDialog:
    """Show a dialog that calls `then` with the folder that is chosen; keep what it gives as long as it may be open. It begins in the
    folder around `near`, or the nearest one that is there."""
    dialog = QFileDialog(parent, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    dialog.setModal(False)
    if near and "://" not in near:
        around = next((folder for folder in Path(near).absolute().parents if folder.is_dir()), None)
        if around is not None:
            dialog.setDirectory(str(around))
    dialog.fileSelected.connect(then)
    dialog.show()
    return dialog

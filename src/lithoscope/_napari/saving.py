"""Asking where a file is to be written, without holding the window up."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_where(parent: QWidget, title: str, proposal: Path, kinds: str, then: Callable[[Path], None]) -> QFileDialog:
    """Open a dialog beside the window; `then` is told the file that was chosen, replacing one of that name having been confirmed."""
    dialog = QFileDialog(parent, title, str(proposal), kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setModal(False)
    dialog.selectFile(str(proposal))
    ending = proposal.suffix

    def chosen(name: str) -> None:
        place = Path(name)
        then(place if place.suffix else place.with_suffix(ending))

    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog

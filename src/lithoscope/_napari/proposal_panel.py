"""Taking a found place as labels: which of its voxels match, by a threshold set on the picture, accepted place by place."""

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSlider, QWidget

from lithoscope._napari.look import button, column, row, text

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope.retrieval.proposals import Proposal
    from lithoscope.retrieval.search import Hit

NO_PLANE = "look at one plane (2D) to see what is proposed"


class ProposalPanel(QWidget):
    """The place on show, how much of it is proposed, and the buttons that accept it or go on."""

    next_wanted = Signal()
    """Show the next place."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._proposal: Proposal | None = None
        self._line = text(muted=True)
        self._line.setAccessibleName("What is proposed")
        self.threshold = QSlider(Qt.Orientation.Horizontal)
        self.threshold.setAccessibleName("How alike a voxel must be")
        self.threshold.setRange(0, 100)
        self.threshold.setValue(50)
        self.accept_button = button("Accept", "Take the proposed voxels as strokes of the chosen class", "One step to undo")
        self.skip_button = button("Skip", "Go on to the next place without taking this one")
        self.close_button = button("Done", "Propose no more")
        self.setLayout(
            column(
                self._line,
                row(text("How alike", muted=True, wrap=False), self.threshold),
                row(self.accept_button, self.skip_button, 1, self.close_button),
                spacing=4,
            )
        )
        self.threshold.valueChanged.connect(self._on_threshold)
        self.accept_button.clicked.connect(self.accept)
        self.skip_button.clicked.connect(self.next_wanted)
        self.close_button.clicked.connect(self.end)
        session.classes_changed.connect(self._show)
        session.painting.class_chosen.connect(self._on_class)
        session.plane_changed.connect(self._show)
        self.hide()

    def begin(self, threshold: float) -> None:
        """Start with this threshold; meanwhile no method shows the plane in view."""
        self._session.previewing.begin(self)
        self.threshold.setValue(round(100 * threshold))

    def offer(self, hit: "Hit", proposal: "Proposal | None") -> None:
        """Show what of a place matches."""
        self._proposal = proposal
        self.show()
        if proposal is None:
            self._line.setText("the question was asked on another plane; ask again on this one")
            self.accept_button.setEnabled(False)
            return
        self._session.previewing.begin(self)
        z, y, x = ((a + b) // 2 for a, b in zip(proposal.box.start, proposal.box.stop, strict=True))
        self._session.go_to((z, y, x))
        self._show()

    def end(self) -> None:
        """Propose no more."""
        self._proposal = None
        self.hide()
        if self._session.previewing.has(self):
            self._session.hide_preview()
        self._session.previewing.end(self)

    def _on_threshold(self) -> None:
        if self._proposal is not None:  # what the person moves is what is shown
            self._session.previewing.begin(self)
        self._show()

    def _on_class(self, _id: int = 0) -> None:
        self._show()

    def _show(self, *_: object) -> None:
        session, proposal = self._session, self._proposal
        if proposal is None or session.scan is None:
            return
        if session.correcting:  # its classes and its layer are the result's, what is proposed becomes strokes
            self._line.setText("end the correction first: what is accepted becomes strokes of the scan")
            self.accept_button.setEnabled(False)
            return
        if session.plane() is None or not session.previewing.has(self):  # in 3D all of the scan would be read as nothing
            in_3d = session.plane() is None
            self._line.setText(NO_PLANE if in_3d else "another preview is shown; move the slider to see what is proposed")
            self.accept_button.setEnabled(False)
            if in_3d and session.previewing.has(self):
                session.hide_preview()
            return
        mask, chosen = proposal.mask(self.threshold.value() / 100), session.painting.chosen
        known = chosen in session.classes
        name = session.classes[chosen].name if known else "no class"
        count = int(mask.sum())
        told = f"{count:,} of {mask.size:,} voxels on {'zyx'[proposal.axis]} = {proposal.box.start[proposal.axis]} as {name}"
        self._line.setText(told if known else "choose the class that they are, in the Segment dock")
        writable = session.painting.strokes is not None and not session.readonly
        self.accept_button.setEnabled(bool(count) and known and writable)
        if known:
            session.show_preview((mask * np.uint8(chosen)).astype(np.uint8), session.classes, proposal.origin)

    def accept(self) -> None:
        """Paint what is proposed, as one stroke, where nobody has said anything yet."""
        session, proposal = self._session, self._proposal
        store = session.painting.strokes
        if proposal is None or store is None or session.scan is None:
            return
        with session.telling():
            mask = proposal.mask(self.threshold.value() / 100)
            if (inside := session.scan.inside(proposal.box)) is not None:
                mask = mask & inside
            mask = mask & (store.read(proposal.box) == 0)
            store.write(proposal.box, mask, session.painting.chosen)
            if (layer := session.layer("strokes")) is not None:
                layer.refresh()
            session.painting.painted.emit()
            self._proposal = None
            session.hide_preview()
            self.next_wanted.emit()

"""The places that were found, best first: a thumbnail, the score, the scan, the place, and what is known of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QAbstractItemView, QFrame, QLabel, QListWidget, QListWidgetItem, QWidget

from lithoscope._napari.look import column, row, text

if TYPE_CHECKING:
    from lithoscope.retrieval.search import Hit

SIDE = 56
ROWS = 6
Role = int(Qt.ItemDataRole.UserRole)


class HitList(QListWidget):
    """Hits under headings; says which one the person wants to see."""

    wanted = Signal(object)
    """Go to this hit."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("places")
        self.setAccessibleName("Similar places")
        self.setToolTip("Double-click a place to go there; choose several to take them as examples or labels")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(ROWS * (SIDE + 6))
        self.itemActivated.connect(self._on_activated)

    def show_groups(self, groups: "dict[str, list[Hit]]", ranks: dict[int, int]) -> None:
        """List these hits; the heading is left out where there is one group without a name. `ranks` are by row of the library."""
        self.clear()
        for name, hits in groups.items():
            if name:
                heading = QListWidgetItem(f"{name} · {len(hits)}")
                heading.setFlags(Qt.ItemFlag.ItemIsEnabled)  # readable, not to be chosen
                self.addItem(heading)
            for hit in hits:
                item = QListWidgetItem()
                item.setData(Role, hit)
                item.setSizeHint(QSize(0, SIDE + 6))
                item.setData(int(Qt.ItemDataRole.AccessibleTextRole), ", ".join(lines(hit, ranks[hit.row])))
                self.addItem(item)
                self.setItemWidget(item, _card(hit, ranks[hit.row]))

    def chosen(self) -> "list[Hit]":
        """The hits that are selected, in the order of the list."""
        found = [self.item(i) for i in range(self.count())]
        return [item.data(Role) for item in found if item is not None and item.isSelected() and item.data(Role) is not None]

    def hits(self) -> "list[Hit]":
        """All hits, in the order of the list."""
        found = [self.item(i) for i in range(self.count())]
        return [item.data(Role) for item in found if item is not None and item.data(Role) is not None]

    def _on_activated(self, item: Any) -> None:
        if (hit := item.data(Role)) is not None:
            self.wanted.emit(hit)


def lines(hit: "Hit", rank: int) -> Sequence[str]:
    """What is said of a hit: score and scan, place, metadata."""
    known = " · ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in hit.metadata.items() if v is not None)
    gone = "" if hit.present else " (gone)"
    return (f"{rank}  ·  {hit.score:.2f}  ·  {hit.name}{gone}", "z {}, y {}, x {}".format(*_middle(hit)), known)


def _middle(hit: "Hit") -> tuple[int, int, int]:
    z, y, x = ((a + b) // 2 for a, b in zip(hit.box.start, hit.box.stop, strict=True))
    return (z, y, x)


def _card(hit: "Hit", rank: int) -> QWidget:
    picture = QLabel()
    picture.setFixedSize(SIDE, SIDE)
    picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
    pixmap = QPixmap()
    if hit.thumbnail and pixmap.loadFromData(hit.thumbnail):
        kept, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        picture.setPixmap(pixmap.scaled(SIDE, SIDE, kept, smooth))
    first, place, known = (text(line, bold=i == 0, muted=i > 0, wrap=False) for i, line in enumerate(lines(hit, rank)))
    for label in (first, place, known):
        label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        label.setMinimumWidth(1)
    card = QWidget()
    card.setLayout(row(picture, column(first, place, known, spacing=1), spacing=8))
    card.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    return card

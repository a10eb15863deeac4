"""The places that were found, best first: a thumbnail, the score, the scan, the place, and what is known of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QFrame, QLabel, QListWidget, QListWidgetItem, QWidget

from lithoscope._napari.look import column, row

if TYPE_CHECKING:
    from lithoscope.retrieval.search import Hit

SIDE = 56
ROWS = 6
HEADING = 26
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
                heading.setSizeHint(QSize(0, HEADING))
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
                self.addItem(heading)
            for hit in hits:
                item = QListWidgetItem()
                item.setData(Role, hit)
                item.setSizeHint(QSize(0, SIDE + 6))
                said = [line for line in lines(hit, ranks[hit.row]) if line]
                item.setData(int(Qt.ItemDataRole.AccessibleTextRole), ", ".join(said))
                item.setToolTip("\n".join(said))
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
    told = {k: v for k, v in hit.metadata.items() if v is not None}
    voxel = told.pop("voxel_um", None)
    said = [f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in told.items()]
    known = " · ".join(said if voxel is None else [*said, f"voxel {voxel:g} µm"])  # what the lab's table says comes first
    gone = "" if hit.present else " (gone)"
    return (f"{rank}  ·  {hit.score:.2f}  ·  {hit.name}{gone}", "z {}, y {}, x {}".format(*_middle(hit)), known)


def _middle(hit: "Hit") -> tuple[int, int, int]:
    z, y, x = ((a + b) // 2 for a, b in zip(hit.box.start, hit.box.stop, strict=True))
    return (z, y, x)


class _Line(QLabel):
    """One line of a card; what does not fit ends in dots."""

    def __init__(self, words: str, *, bold: bool) -> None:
        super().__init__(words)
        self.setProperty("strong", bold)
        self.setProperty("muted", not bold)
        self.setMinimumWidth(1)

    def paintEvent(self, _: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw as much as fits."""
        fits = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        QPainter(self).drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter), fits)


def _card(hit: "Hit", rank: int) -> QWidget:
    picture = QLabel()
    picture.setFixedSize(SIDE, SIDE)
    picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
    pixmap = QPixmap()
    if hit.thumbnail and pixmap.loadFromData(hit.thumbnail):
        kept, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        picture.setPixmap(pixmap.scaled(SIDE, SIDE, kept, smooth))
    first, place, known = (_Line(line, bold=i == 0) for i, line in enumerate(lines(hit, rank)))
    card = QWidget()
    card.setLayout(row(picture, column(first, place, known, spacing=1), spacing=8))
    card.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    return card

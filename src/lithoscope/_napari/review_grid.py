"""The review of what self-training proposes: thumbnails by class; a person accepts and rejects with mouse or keys, and takes back."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QWidget

from lithoscope._napari.look import button, column, row, text

SIDE = 72
WORDS = 16
ACCEPTED, REJECTED = "#2e9e5b", "#d64541"
SIGNS = {True: ("✓", ACCEPTED), False: ("✗", REJECTED)}
ITEM = int(Qt.ItemDataRole.UserRole)
SAID = ITEM + 1
Json = dict[str, Any]


class _Tile(QStyledItemDelegate):
    """A picture, its proposed class below it, and what was said of it in its corner."""

    def sizeHint(self, option: Any, index: Any) -> QSize:  # noqa: N802 - Qt's name
        return QSize(SIDE + 8, SIDE + WORDS + 8)

    def paint(self, painter: QPainter | None, option: Any, index: Any) -> None:
        if painter is None:
            return
        painter.save()
        place = option.rect.adjusted(3, 3, -3, -3)
        picture = QRect(place.left(), place.top(), place.width(), place.height() - WORDS)
        painter.drawPixmap(picture, index.data(int(Qt.ItemDataRole.DecorationRole)))
        said = index.data(SAID)
        if said is not None:
            sign, colour = SIGNS[said]
            if not said:
                painter.fillRect(picture, QColor(0, 0, 0, 130))
            painter.setPen(QPen(QColor(colour), 3))
            painter.drawRect(picture.adjusted(1, 1, -2, -2))
            corner = QRect(picture.right() - 19, picture.top() + 2, 18, 18)
            painter.fillRect(corner, QColor(colour))
            painter.setPen(QColor("white"))
            painter.drawText(corner, int(Qt.AlignmentFlag.AlignCenter), sign)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(QPen(option.palette.highlight().color(), 2))
            painter.drawRect(place.adjusted(-2, -2, 1, 1))
        painter.setPen(option.palette.text().color())
        below = QRect(place.left(), place.bottom() - WORDS + 1, place.width(), WORDS)
        words = option.fontMetrics.elidedText(index.data(int(Qt.ItemDataRole.DisplayRole)), Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, int(Qt.AlignmentFlag.AlignCenter), words)
        painter.restore()


class Tiles(QListWidget):
    """The thumbnails. A and R accept and reject what is selected, arrows go on, Ctrl+Z takes back; a click changes one."""

    said = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Proposals to be reviewed")
        self.setToolTip("A accepts, R rejects, Ctrl+Z takes back; a double-click changes one; drag or Shift selects several")
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setMovement(QListWidget.Movement.Static)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformItemSizes(True)
        self.setSpacing(0)
        self.setItemDelegate(_Tile(self))
        self.setMinimumHeight(3 * (SIDE + WORDS + 10))
        self._undo: list[list[tuple[int, bool | None]]] = []
        self.itemDoubleClicked.connect(self._on_double_click)

    def show_proposals(self, proposals: Sequence[Json]) -> None:
        """List these, those of one class together, the surest first."""
        self.clear()
        self._undo.clear()
        for one in sorted(proposals, key=lambda p: (p["label"], -p["margin"])):
            item = QListWidgetItem(str(one["label"]))
            pixmap = QPixmap(one.get("picture", ""))
            if pixmap.isNull():
                pixmap = QPixmap(SIDE, SIDE)
                pixmap.fill(QColor(128, 128, 128))
            kept, smooth = Qt.AspectRatioMode.KeepAspectRatioByExpanding, Qt.TransformationMode.SmoothTransformation
            item.setData(int(Qt.ItemDataRole.DecorationRole), pixmap.scaled(SIDE, SIDE, kept, smooth))
            item.setData(ITEM, one)
            item.setData(SAID, None)
            near = f'<br><img src="{one["like"]}" width="96"><br>nearest: {one["nearest"]}' if one.get("like") else ""
            item.setToolTip(f"<b>{one['label']}</b>? {one['item']}<br>distance {one['distance']:.2f}, ahead by {one['margin']:.2f}{near}")
            item.setData(int(Qt.ItemDataRole.AccessibleTextRole), f"{one['item']} as {one['label']}")
            self.addItem(item)
        if self.count():
            self.setCurrentRow(0)

    def decisions(self) -> dict[str, bool]:
        """What was said so far, by item."""
        items = [self.item(i) for i in range(self.count())]
        return {item.data(ITEM)["item"]: item.data(SAID) for item in items if item is not None and item.data(SAID) is not None}

    def say(self, answer: bool, rows: Sequence[int] | None = None) -> None:
        """Accept or reject these, or what is selected; one step to undo."""
        chosen = [i.row() for i in self.selectedIndexes()] if rows is None else list(rows)
        if not chosen:
            return
        self._undo.append([(r, self._answer(r)) for r in chosen])
        for r in chosen:
            self._set(r, answer)
        self.said.emit()

    def undo(self) -> None:
        """Take the last answer back."""
        if self._undo:
            for r, before in self._undo.pop():
                self._set(r, before)
            self.said.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """A, R and Ctrl+Z; everything else as in any list."""
        if event is None:
            return
        key, control = event.key(), event.modifiers() == Qt.KeyboardModifier.ControlModifier
        if control and key == Qt.Key.Key_Z:
            self.undo()
        elif key in (Qt.Key.Key_A, Qt.Key.Key_R) and not control:
            several = len(self.selectedIndexes()) > 1
            self.say(key == Qt.Key.Key_A)
            if not several and self.currentRow() + 1 < self.count():
                self.setCurrentRow(self.currentRow() + 1)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _answer(self, r: int) -> bool | None:
        item = self.item(r)
        found: bool | None = None if item is None else item.data(SAID)
        return found

    def _set(self, r: int, answer: bool | None) -> None:
        item = self.item(r)
        if item is not None:
            item.setData(SAID, answer)

    def _on_double_click(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.say(not item.data(SAID), [self.row(item)])


class ReviewGrid(QWidget):
    """The tiles, the buttons that answer, and how many are left; says when the review is done."""

    done = Signal(object)
    """What was said, by item: of every one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = text(muted=True)
        self._line.setAccessibleName("How far the review is")
        self.tiles = Tiles()
        self.accept_button = button("Accept  A", "Accept the selected proposals")
        self.reject_button = button("Reject  R", "Reject the selected proposals")
        self.undo_button = button("Undo", "Take the last answer back")
        self.rest_button = button("Accept rest", "Accept everything that nothing was said of")
        self.no_rest_button = button("Reject rest", "Reject everything that nothing was said of")
        self.done_button = button("Go on", "Take up what was accepted, and teach the next round")
        self.setLayout(
            column(
                self._line,
                self.tiles,
                row(self.accept_button, self.reject_button, self.undo_button, 1, spacing=4),
                row(self.rest_button, self.no_rest_button, 1, self.done_button, spacing=4),
                spacing=4,
            )
        )
        self.accept_button.clicked.connect(lambda: self.tiles.say(True))
        self.reject_button.clicked.connect(lambda: self.tiles.say(False))
        self.undo_button.clicked.connect(self.tiles.undo)
        self.rest_button.clicked.connect(lambda: self._on_rest(True))
        self.no_rest_button.clicked.connect(lambda: self._on_rest(False))
        self.done_button.clicked.connect(lambda: self.done.emit(self.tiles.decisions()))
        self.tiles.said.connect(self._refresh)
        self.tiles.itemSelectionChanged.connect(self._refresh)

    def show_proposals(self, proposals: Sequence[Json]) -> None:
        """Review these."""
        self.tiles.show_proposals(proposals)
        self._refresh()

    def _on_rest(self, answer: bool) -> None:
        said = self.tiles.decisions()
        items = [(i, self.tiles.item(i)) for i in range(self.tiles.count())]
        self.tiles.say(answer, [i for i, item in items if item is not None and item.data(ITEM)["item"] not in said])

    def _refresh(self) -> None:
        said = self.tiles.decisions()
        yes, left = sum(said.values()), self.tiles.count() - len(said)
        self._line.setText(f"{self.tiles.count()} proposed: {yes} accepted, {len(said) - yes} rejected, {left} to be looked at")
        chosen = bool(self.tiles.selectedIndexes())
        self.accept_button.setEnabled(chosen)
        self.reject_button.setEnabled(chosen)
        self.rest_button.setEnabled(bool(left))
        self.no_rest_button.setEnabled(bool(left))
        self.done_button.setEnabled(bool(said) and not left)

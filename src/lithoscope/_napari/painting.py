"""Painting on the open scan: whose brush is in hand, what was undone, and whether it all reached the disk."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari.background import Background
from lithoscope._napari.journalled import Journal, Labels
from lithoscope._napari.opening import painted_voxels

if TYPE_CHECKING:
    from lithoscope._napari.session import Session


class Painting(QObject):
    """The strokes and, while a result is corrected, its corrections."""

    painted = Signal()
    class_chosen = Signal(int)

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._session = session
        self.strokes: Journal | None = None
        self.corrected: Journal | None = None
        self.chosen = 0
        """The class whose brush is in hand."""
        self._counting = Background(self, newest_only=True)
        self._care = QTimer(self)
        self._care.setInterval(1000)
        self._care.setSingleShot(True)
        self._care.timeout.connect(self._tell_problems)

    def watch(self, layer: Labels) -> Labels:
        """Follow what is painted on this layer."""
        layer.events.paint.connect(self._on_paint)
        layer.events.stepped.connect(self._on_step)
        layer.events.selected_label.connect(self._on_selected_label)
        return layer

    def brush(self) -> Any:
        """The layer that is painted on: corrections while correcting, else strokes."""
        return self._session.layer("result" if self._session.correcting else "strokes")

    def choose(self, id: int) -> None:
        """Take the brush of this class in hand, on the layer that is painted on."""
        layer = self.brush()
        if layer is None or id not in self._session.palette:
            return
        self.chosen = id
        self._session.viewer.layers.selection.active = layer
        layer.visible = True
        layer.selected_label = id
        if layer.editable:
            layer.mode = "paint"
        else:
            store = self.corrected if self._session.correcting else self.strokes
            holder = None if store is None else store.holder
            self._session.said.emit(f"read-only: {holder or 'another window paints on these labels'}", True)
        self.class_chosen.emit(id)

    def choose_nth(self, n: int) -> None:
        """Choose the n-th class of the table, counted from one."""
        ids = self._session.palette.ids
        if 1 <= n <= len(ids):
            self.choose(ids[n - 1])

    def choose_first(self) -> None:
        """Have the first class chosen, without taking its brush in hand."""
        self.chosen = self._session.palette.ids[0] if self._session.palette.ids else 0

    def undo(self) -> None:
        """Take back the last stroke on the layer that is painted on."""
        if (layer := self.brush()) is not None:
            layer.undo()

    def redo(self) -> None:
        """Paint again what was taken back."""
        if (layer := self.brush()) is not None:
            layer.redo()

    def count(self, then: Callable[[dict[int, int]], None]) -> None:
        """Count the voxels of each class among the strokes, in a thread."""
        store = self.strokes
        if store is not None:
            self._counting.start(lambda: painted_voxels(store), then)

    def flush(self) -> None:
        """See to it that everything painted is on disk."""
        for store in self._stores():
            with self._session.telling():
                store.flush()

    def close(self) -> None:
        """Give strokes and corrections back, everything on disk."""
        for store in self._stores():
            with self._session.telling():
                store.close()
        self.strokes = self.corrected = None
        self.chosen = 0

    def shut(self) -> None:
        """The window closes."""
        self._counting.close()
        self._care.stop()
        self.close()

    def _stores(self) -> list[Journal]:
        return [store for store in (self.corrected, self.strokes) if store is not None]

    def _on_paint(self, event: Any = None) -> None:
        self._care.start()
        self.painted.emit()

    def _on_step(self, event: Any) -> None:
        """Say where an undo or redo changed something, when it is not in view."""
        word, plane, say = "redone" if event.forward else "undone", self._session.plane(), self._session.said.emit
        if event.box is None:
            say(f"nothing more to be {word}", False)
        elif plane is not None and not event.box.start[plane.axis] <= plane.index < event.box.stop[plane.axis]:
            say(f"{word} at {'zyx'[plane.axis]} = {event.box.start[plane.axis]}, which is not in view", False)
        else:
            say(f"{word} one stroke", False)
        self._on_paint()

    def _on_selected_label(self, event: Any = None) -> None:
        layer = self.brush()
        if layer is not None and layer.selected_label != self.chosen and layer.selected_label in self._session.palette:
            self.chosen = int(layer.selected_label)
            self.class_chosen.emit(self.chosen)

    def _tell_problems(self) -> None:
        """The stores write by themselves; say it when they cannot."""
        for store in self._stores():
            if store.problem:
                self._session.said.emit(store.problem, True)
                self._care.start()

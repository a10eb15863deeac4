"""Answers wishes to see what the network sees, in a thread, for the plane in view and the place under the cursor."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.explain_layers import ExplainLayers
from lithoscope._napari.explain_wish import NETWORK, Wish, answer
from lithoscope._napari.session import Session
from lithoscope.job import Cancelled
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.explain.overlay import Overlay
    from lithoscope.explain.points import Map
    from lithoscope.explain.views import Views
    from lithoscope.volume.scan import Scan

REST_MS = 40
"""How long slider and settings rest before anything is worked out; the cursor is not waited for."""


class Explaining(QObject):
    """One wish at a time; a newer one ends the older between two of its steps."""

    shown = Signal(object)
    """The overlays that lie over the plane now: a list, empty when there are none."""
    busy = Signal(str)
    """What is being worked out, or nothing."""
    refused = Signal(str)
    marked = Signal(int)
    """The point of the map that is most like the place under the cursor."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.wish = Wish()
        self.at: Triple | None = None
        """The voxel that was pointed at last."""
        self.layers = ExplainLayers(session)
        self.map: Map | None = None
        self._views: tuple[tuple[Any, ...], Views] | None = None
        self._number = 0
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(REST_MS)
        self._soon.timeout.connect(self._ask)
        self._listening = False
        session.plane_changed.connect(self._on_plane)
        session.scan_changed.connect(self._on_scan)
        session.facts_changed.connect(self._soon.start)
        session.closing.connect(self._close)

    def show(self, wish: Wish) -> None:
        """Show this from now on."""
        self.wish = wish
        self._listen(wish.pointed or self.map is not None)
        if not wish.kind:
            self._number += 1
            self.layers.clear()
            self.busy.emit("")
            self.shown.emit([])
        else:
            self._soon.start()

    def show_map(self, found: "Map | None") -> None:
        """Mark points of this map as the cursor moves."""
        self.map = found
        self._listen(self.wish.pointed or found is not None)

    def point(self, voxel: Triple) -> None:
        """Ask about the place that holds a voxel."""
        self.at = voxel
        if self.wish.pointed:
            self._ask()
        elif self.map is not None:
            self._find()

    def views(self, wish: Wish) -> "Views":
        """The backbone's views of the scan; opened, in the thread, when first asked for."""
        from lithoscope.explain.views import Views

        scan, image = self._session.scan, self._session.images.chosen
        assert scan is not None
        key = (scan.path, scan.content_hash, image, wish.backbone, wish.tuned)
        if self._views is None or self._views[0] != key:
            self._views = (key, Views(scan, wish.backbone, tuned=wish.tuned or None, image=image))
        return self._views[1]

    def known(self) -> tuple[str, int, int] | None:
        """The backbone that was asked last, its blocks and its heads."""
        if self._views is None:
            return None
        config = self._views[1].backbone.config
        return self._views[1].source.tokens.backbone, config.depth, config.heads

    def place(self) -> tuple[int, Triple] | None:
        """The axis across which the person looks, and the voxel asked about on the plane in view; None in 3D."""
        plane = self._session.plane()
        if plane is None:
            return None
        at = list(self.at or self._session.place_in_view())
        at[plane.axis] = plane.index
        return plane.axis, (at[0], at[1], at[2])

    def _ask(self) -> None:
        wish, place, scan = self.wish, self.place(), self._session.scan
        if not wish.kind or scan is None:
            return
        missing = wish.missing() or ("this is shown on planes: leave the 3D view" if place is None else "")
        if missing or place is None:
            self.layers.clear()
            self.refused.emit(missing)
            return
        self._number += 1
        mine = self._number

        def check() -> None:
            if mine != self._number:
                raise Cancelled

        axis, at = place
        self.busy.emit("looking …")
        self._work.start(partial(self._answer, wish, axis, at, check), self._on_answer)

    def _answer(self, wish: Wish, axis: int, at: Triple, check: Any) -> "tuple[Scan, Wish, list[Overlay], int | None] | None":
        scan = self._session.scan
        if scan is None:
            return None
        try:
            check()
            made = answer(wish, scan, self.views(wish) if wish.kind in NETWORK else None, axis, at, check)
        except Cancelled:
            return None
        return scan, wish, made, self._nearest(wish, axis, at) if self.map is not None and wish.kind in NETWORK else None

    def _on_answer(self, found: Any) -> None:
        if found is None:
            return
        asked, wish, made, near = found
        scan = self._session.scan
        if wish != self.wish or scan is None or scan is not asked:  # another scan was opened meanwhile
            return
        self.busy.emit("")
        self.layers.show(scan, made)
        self.shown.emit(made)
        if near is not None:
            self.marked.emit(near)

    def _find(self) -> None:
        place = self.place()
        if place is not None and self._session.scan is not None and self.wish.backbone:
            self._work.start(partial(self._nearest, self.wish, *place), self._on_found)

    def _on_found(self, near: Any) -> None:
        if isinstance(near, int):
            self.marked.emit(near)

    def _nearest(self, wish: Wish, axis: int, at: Triple) -> int | None:
        """The point of the map most like a place: by its token where that is kept, else the nearest in the scan."""
        found, scan = self.map, self._session.scan
        if found is None or scan is None or not len(found.points):
            return None
        points, source = found.points, self.views(wish).source
        tokens = source.kept(axis, at[axis])
        row, column = source.place(axis, at[axis]).cell(at)
        if tokens is not None and tokens.shape[-1] == points.vectors.shape[-1] and row < tokens.shape[0] and column < tokens.shape[1]:
            apart = ((points.vectors - tokens[row, column].astype(np.float32)) ** 2).sum(1)
        else:
            apart = ((points.places - np.array(at)) ** 2).sum(1) + np.where(points.scan == points.number_of(scan), 0, 10**12)
        return int(apart.argmin())

    def _on_plane(self) -> None:
        if self.wish.kind:
            self._soon.start()

    def _on_scan(self) -> None:
        self._number += 1
        self.at, self._views, self.map = None, None, None
        self.layers.forget()
        self.shown.emit([])

    def _on_failed(self, error: BaseException) -> None:
        self.busy.emit("")
        self.layers.clear()
        self.refused.emit(sentence(error))

    def _listen(self, on: bool) -> None:
        """Follow the cursor in the viewer, or do not."""
        callbacks = self._session.viewer.mouse_move_callbacks
        if on and not self._listening:
            callbacks.append(self._on_move)
        elif not on and self._listening and self._on_move in callbacks:
            callbacks.remove(self._on_move)
        self._listening = on

    def _on_move(self, viewer: Any, event: Any) -> None:
        scan, image = self._session.scan, self._session.layer("image")
        if scan is None or image is None or viewer.dims.ndisplay != 2:
            return
        data = image.world_to_data(event.position)[-3:]
        z, y, x = (int(np.floor(float(p) + 0.5)) for p in data)
        if all(0 <= v < n for v, n in zip((z, y, x), scan.shape, strict=True)) and self._is_new((z, y, x)):
            self.point((z, y, x))

    def _is_new(self, voxel: Triple) -> bool:
        return self.at != voxel

    def leave(self) -> None:
        """Answer no more, and take the layers away."""
        self._close()
        self.layers.clear()
        self.layers.forget()

    def _close(self) -> None:
        self._number += 1
        if self._listening:
            self._listen(False)
        self._work.close()
        self._soon.stop()

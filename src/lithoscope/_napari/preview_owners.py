"""Who shows something of his own over the plane in view: a filter, a cleaning, a proposal. Methods show nothing meanwhile."""

from qtpy.QtCore import QObject, Signal


class PreviewOwners(QObject):
    """There is one layer for all of them. Who began last has it; when he ends, who began before him has it again."""

    changed = Signal()
    """Another one has the layer now, or nobody."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._owners: list[object] = []

    def __bool__(self) -> bool:
        return bool(self._owners)

    def __contains__(self, owner: object) -> bool:
        return any(o is owner for o in self._owners)

    def has(self, owner: object) -> bool:
        """Whether this one has the layer now."""
        return bool(self._owners) and self._owners[-1] is owner

    def begin(self, owner: object) -> None:
        """Have the layer from now on; who has it already keeps it."""
        if not self.has(owner):
            self._owners = [*(o for o in self._owners if o is not owner), owner]
            self.changed.emit()

    def end(self, owner: object) -> None:
        """Want the layer no longer; who has it takes away first what he shows."""
        had = self.has(owner)
        self._owners = [o for o in self._owners if o is not owner]
        if had:
            self.changed.emit()

    def clear(self) -> None:
        """Nobody has it: another scan was opened."""
        self._owners.clear()

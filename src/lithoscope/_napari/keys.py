"""Keys of our layers.

1–9 take a class's brush in hand, Space held hides the overlay, C shows contours, Ctrl+Z takes back; letters are the tools of correcting.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

TOOLS = {"H": "fill_holes", "I": "interpolate", "N": "copy_on", "Shift-N": "copy_back", "L": "lasso", "G": "grow", "D": "ball"}
"""Keys of the tools of correcting: holes, interpolate, next slice, lasso, grow, and the 3D brush."""

CONTOUR = 2
"""Thickness of contours in pixels of the data."""


class Keys:
    """Binds our keys to each of our layers, where they come before napari's own for labels layers; those of others are left alone."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._numbers = [_Number(session, n) for n in range(1, 10)]

    def bind(self, provider: Any) -> None:
        """Bind the keys to a layer."""
        for number in self._numbers:
            provider.bind_key(str(number.n), number.press, overwrite=True)
        provider.bind_key("Space", self.hide_overlay, overwrite=True)
        provider.bind_key("C", self.contours, overwrite=True)
        for key, tool in TOOLS.items():
            provider.bind_key(key, _Tool(self._session, tool).press, overwrite=True)
        provider.bind_key("Control-Z", self.undo, overwrite=True)
        provider.bind_key("Control-Shift-Z", self.redo, overwrite=True)

    def hide_overlay(self, _: Any) -> Iterator[None]:
        """Hide what lies over the image while the key is held."""
        hidden = [layer for layer in self._session.overlays() if layer.visible]
        for layer in hidden:
            layer.visible = False
        yield
        for layer in hidden:
            layer.visible = True

    def contours(self, _: Any) -> None:
        """Show the overlay as contours, or filled again."""
        overlays = [layer for layer in self._session.overlays() if hasattr(layer, "contour")]
        thickness = 0 if any(layer.contour for layer in overlays) else CONTOUR
        for layer in overlays:
            if layer is not self._session.layer("strokes"):
                layer.contour = thickness

    def undo(self, _: Any) -> None:
        """Take back the last stroke."""
        self._session.painting.undo()

    def redo(self, _: Any) -> None:
        """Paint again what was taken back."""
        self._session.painting.redo()


class _Number:
    """The key of the n-th class. A bound method, because napari calls it with the layer."""

    def __init__(self, session: "Session", n: int) -> None:
        self._session = session
        self.n = n

    def press(self, _: Any) -> None:
        self._session.painting.choose_nth(self.n)


class _Tool:
    """The key of a tool of correcting."""

    def __init__(self, session: "Session", tool: str) -> None:
        self._session = session
        self._tool = tool

    def press(self, _: Any) -> None:
        getattr(self._session.tools, self._tool)()

"""A fault of napari's that ends the program, kept from happening."""

from typing import Any

from napari.components.overlays import BrushCircleOverlay


def hide_brush_box(viewer: Any) -> None:
    """Take away the invisible box behind the brush's circle.

    napari 0.9.2 shows it in paint mode and never hides it again. Drawn in a viewer that has become empty, its vertices are gone,
    and software OpenGL ends the process.
    """
    for overlay in viewer.canvas.overlays.values():
        if isinstance(overlay, BrushCircleOverlay):
            overlay.box = False

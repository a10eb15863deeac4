"""Opening napari with a scan and our docks, for the command line."""

from pathlib import Path
from typing import Any

SIZE = (1500, 950)


def launch(scan: Path, *, result: str = "") -> None:
    """Open a window on the scan with the Scan and Segment docks, and stay until it is closed."""
    import napari

    viewer = prepared(napari.Viewer(title=f"Lithoscope · {scan.stem}"), scan, result)
    viewer.window.resize(*SIZE)
    napari.run()


def prepared(viewer: Any, scan: Path, result: str = "") -> Any:
    """The viewer with our docks, the scan being opened, and `result` to be shown when it is."""
    from lithoscope._napari.session import session_of

    for name in ("Scan", "Segment", "Measure"):
        viewer.window.add_plugin_dock_widget("lithoscope", name, tabify=name != "Scan")
    session = session_of(viewer)
    if result:

        def show() -> None:
            session.scan_changed.disconnect(show)
            session.show_result(result)

        session.scan_changed.connect(show)
    session.open(scan)
    return viewer

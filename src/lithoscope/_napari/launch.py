"""Opening napari with a scan and our docks, for the command line."""

from pathlib import Path
from typing import Any

from lithoscope._napari.all_docks import open_all

SIZE = (1500, 950)


def launch(scan: Path, *, result: str = "") -> None:
    """Open a window on the scan with our docks, and stay until it is closed."""
    import napari

    viewer = prepared(napari.Viewer(title=f"Lithoscope · {scan.stem}"), scan, result)
    viewer.window.resize(*SIZE)
    napari.run()


def prepared(viewer: Any, scan: Path, result: str = "") -> Any:
    """The viewer with our docks, the scan being opened, and `result` to be shown when it is."""
    from lithoscope._napari.session import session_of

    open_all(viewer)
    session = session_of(viewer)
    if result:

        def show() -> None:
            session.scan_changed.disconnect(show)
            session.show_result(result)

        session.scan_changed.connect(show)
    session.open(scan)
    return viewer

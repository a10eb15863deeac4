"""The Explain dock in a window that is seen: every dock as a tab, and what the network sees over the plane, under the strokes."""

import numpy as np
import pytest

pytest.importorskip("torch")


def wait_for(qtbot, condition, seconds=120):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


def test_all_docks_open_as_tabs_and_one_of_them_explains_the_plane_in_view(make_napari_viewer, plugin, tmp_path, qtbot, monkeypatch):
    from qtpy.QtWidgets import QDockWidget, QWidget

    from lithoscope._napari.all_docks import ALL, dock_names
    from lithoscope._napari.dock import OURS
    from lithoscope._napari.explain_dock import ExplainDock
    from lithoscope._napari.session import session_of
    from lithoscope.sample import simulate

    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    simulate(tmp_path / "rock.zarr", shape=(16, 96, 96), seed=0)
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    viewer.window.add_plugin_dock_widget("lithoscope", ALL)

    def ours():
        return [d for d in window.findChildren(QDockWidget) if d.findChild(QWidget, OURS) is not None]

    wait_for(qtbot, lambda: len(ours()) == len(dock_names()))
    wait_for(qtbot, lambda: all(len(window.tabifiedDockWidgets(d)) >= len(dock_names()) - 1 for d in ours()))
    session = session_of(viewer)
    dock = window.findChildren(ExplainDock)[0]
    try:
        session.open(tmp_path / "rock.zarr")
        wait_for(qtbot, lambda: session.scan is not None and dock.options.backbone.count() > 0)
        for kind in ("pca", "attention", "similarity"):
            dock.options.kind.setCurrentIndex(dock.options.kind.findData(kind))
            wait_for(qtbot, lambda kind=kind: bool(dock._overlays) and dock._overlays[0].kind == kind)
        layers = list(viewer.layers)
        seen, strokes = dock.explaining.layers.get("seen"), session.layer("strokes")
        assert layers.index(seen) < layers.index(strokes)
        np.testing.assert_allclose(seen.scale, (2.5, 20, 20))
        assert not dock.said.text()
    finally:
        session.jobs.kill()
        session.forget()
        session.shut()

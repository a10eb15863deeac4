"""Whole windows: what only OpenGL, the event loop and napari's own machinery can show."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")


@pytest.fixture
def plugin():
    """Our manifest, known to npe2 also where the tests run from a checkout that is not installed."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    manager.discover()
    if "lithoscope" not in manager:
        manager.register(PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml"))
    return manager


@pytest.fixture
def docks(make_napari_viewer, plugin, tmp_path, monkeypatch):
    """A visible window with both docks: (viewer, scan dock, segment dock)."""
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    opened = []

    def make():
        from lithoscope._napari.session import session_of

        viewer = make_napari_viewer(show=True)
        scan = viewer.window.add_plugin_dock_widget("lithoscope", "Scan")[1]
        segment = viewer.window.add_plugin_dock_widget("lithoscope", "Segment")[1]
        opened.append(session_of(viewer))
        return viewer, scan, segment

    yield make
    for session in opened:
        session.jobs.kill()
        session.forget()
        session.shut()


@pytest.fixture
def steps() -> np.ndarray:
    """Three grey levels side by side with noise, (20, 48, 60) uint8."""
    rng = np.random.default_rng(0)
    grey = 60 + 60 * (np.arange(60) // 20) + rng.normal(0, 6, (20, 48, 60))
    return grey.clip(0, 255).astype(np.uint8)

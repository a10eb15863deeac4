"""The Similar dock in a window that is seen: a library is chosen by the button beside its place, asked and proposed from."""

import os

import pytest
from library_data import SMALL, small_scan

pytest.importorskip("torch")
pytest.importorskip("lancedb")

NAMES = ("my library", "Библиотека 岩石 λ")


def wait_for(qtbot, condition, seconds=120):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


@pytest.fixture
def dock(make_napari_viewer, plugin, tmp_path, monkeypatch):
    from lithoscope._napari.session import session_of
    from lithoscope._napari.similar_dock import SimilarDock

    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    monkeypatch.setattr("lithoscope._napari.similar_dock.library_place", lambda: tmp_path / "none")
    viewer = make_napari_viewer(show=True)
    viewer.window.add_plugin_dock_widget("lithoscope", "Similar")
    yield viewer.window._qt_window.findChildren(SimilarDock)[0]
    session = session_of(viewer)
    session.jobs.kill()
    session.forget()
    session.shut()


def screenshot(window, name):
    """Kept where the pictures are asked for."""
    if folder := os.environ.get("LITHOSCOPE_SCREENSHOTS"):
        window.grab().save(f"{folder}/{name}.png")


@pytest.mark.parametrize("name", NAMES)
def test_the_button_beside_the_place_chooses_a_library(dock, tmp_path, qtbot, name):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QDialogButtonBox, QFileDialog, QLineEdit

    from lithoscope.retrieval.adding import add

    session, window = dock.session, dock.window()
    folder = tmp_path / "shared disk" / name
    for scan in ("stripes", "grains"):
        small_scan(tmp_path, scan)
    add(str(folder), [tmp_path / "stripes.zarr", tmp_path / "grains.zarr"], **SMALL)
    session.open(tmp_path / "stripes.zarr")
    wait_for(qtbot, lambda: session.scan is not None)
    qtbot.mouseClick(dock.library.browse_button, Qt.MouseButton.LeftButton)
    dialog = dock.library._dialog
    wait_for(qtbot, dialog.isVisible)
    assert not dialog.isModal(), "the window goes on meanwhile"
    assert dialog.fileMode() == QFileDialog.FileMode.Directory
    assert dialog.directory().absolutePath() == str(tmp_path), "it begins where the library lies, or nearest to it"
    line, buttons = dialog.findChild(QLineEdit), dialog.findChild(QDialogButtonBox)
    line.setText(str(folder))
    screenshot(dialog, "similar-dialog")
    with qtbot.waitSignal(dock.finder.loaded, timeout=60_000):
        qtbot.mouseClick(buttons.button(QDialogButtonBox.StandardButton.Open), Qt.MouseButton.LeftButton)
    assert dock.library.place == str(folder)
    assert str(folder) in dock.library.place_edit.toolTip(), "what the line is too short for"
    assert "stripes is in it" in dock.library._line.text()
    qtbot.mouseClick(dock.library.browse_button, Qt.MouseButton.LeftButton)
    again = dock.library._dialog
    wait_for(qtbot, again.isVisible)
    assert again.directory().absolutePath() == str(folder.parent)
    again.reject()
    assert dock.library.place == str(folder), "to choose none changes nothing"
    dock.ask_box(0, 8, [(8.0, 23.0), (8.0, 23.0)])
    wait_for(qtbot, lambda: dock._answer is not None and not dock._answer.rough)
    assert dock.hits.hits()
    screenshot(window, "similar-dock")

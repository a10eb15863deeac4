"""The main job through the docks, in a window that is seen: from a folder of slices to a corrected, exported mask."""

import os
import signal

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt


def pressed(viewer, key):
    """What a key of the canvas does for the active layer."""
    layer = viewer.layers.selection.active
    bound = {str(k): action for k, action in layer.keymap.items()}
    return bound[key](layer)


def wait_for(qtbot, condition, seconds=90):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


def test_from_slices_to_a_corrected_exported_mask(docks, steps, tmp_path, qtbot):
    folder = tmp_path / "slices of clay"
    folder.mkdir()
    for z, plane in enumerate(steps):
        tifffile.imwrite(folder / f"slice_{z:03}.tif", plane)
    viewer, scan_dock, dock = docks()
    session = dock.session

    viewer.open(folder, plugin="lithoscope")
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data[4]), steps[4])

    scan_dock.start.import_button.click()
    scan_dock.start.form._target.setText(str(tmp_path / "clay.zarr"))
    scan_dock.start.form._go.click()
    wait_for(qtbot, lambda: session.scan is not None)
    assert viewer.layers[0].name == "clay"
    assert "slices of clay" not in viewer.layers

    dock.methods.choose("otsu", {"classes": 3})
    wait_for(qtbot, lambda: len(dock.methods.plot.thresholds) == 2)
    qtbot.keyClick(dock.methods.plot, Qt.Key.Key_Right)
    assert dock.methods.name == "threshold"
    bounds = dock.methods.values()["bounds"]
    wait_for(qtbot, lambda: session.layer("preview") is not None)

    dock.methods.output.setText("by hand")
    dock.methods.run_button.click()
    wait_for(qtbot, lambda: session.shown == "by hand")
    expected = (np.digitize(steps, bounds, right=True) + 1).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(session.layer("result").data[7]), expected[7])

    dock.classes._add.click()
    pressed(viewer, "1")
    strokes = session.layer("strokes")
    strokes.paint((3, 10, 10), 1)
    assert np.count_nonzero(strokes.data[3]) > 0
    pressed(viewer, "Ctrl+Z")
    assert np.count_nonzero(strokes.data[3]) == 0
    pressed(viewer, "Ctrl+Shift+Z")
    painted = np.array(strokes.data[3])
    assert painted.any()

    session.show_result("")
    dock._remembered.save()
    before, path = session.scan, session.scan.path
    session.open(path)
    wait_for(qtbot, lambda: session.scan not in (None, before))
    assert dock.methods.name == "threshold"
    assert dock.methods.values()["bounds"] == bounds
    np.testing.assert_array_equal(session.layer("strokes").data[3], painted)

    dock.results._correct.click()
    pressed(viewer, "3")
    corrected = session.layer("result")
    corrected.brush_size = 7
    before = np.array(corrected.data[7])
    corrected.paint((7, 24, 5), 3)
    expected[7] = np.asarray(corrected.data[7])
    assert (expected[7] != before).any()

    dock.results._export.click()
    dock.export_form._target.setText(str(tmp_path / "mask.tif"))
    dock.export_form._go.click()
    wait_for(qtbot, lambda: not session.jobs.jobs)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), expected)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")
def test_a_killed_worker_leaves_the_window_and_its_job_is_resumed(docks, tmp_path, qtbot):
    from lithoscope.labels.predict import segment
    from lithoscope.labels.results import open_result
    from lithoscope.segmenters import segmenter
    from lithoscope.volume.convert import import_scan

    volume = np.random.default_rng(1).integers(0, 255, (64, 300, 300), np.uint8)
    np.save(tmp_path / "noise.npy", volume)
    scan = import_scan(tmp_path / "noise.npy", tmp_path / "noise.zarr", field_of_view=None)
    viewer, _, dock = docks()
    session = dock.session
    session.open(tmp_path / "noise.zarr")
    wait_for(qtbot, lambda: session.scan is not None)
    killed = []

    def kill(job):
        # The radius makes a block take so long that the job is far from done when the window hears of its first progress.
        if job.command == "segment" and job.total and not killed:
            killed.append(session.jobs.pid)
            os.kill(session.jobs.pid, signal.SIGKILL)

    session.jobs.changed.connect(kill)
    dock.methods.choose("fuzzy", {"classes": 2, "spatial": True, "radius": 2})
    dock.methods.run_button.click()
    wait_for(qtbot, lambda: bool(killed) and not session.jobs.jobs)
    assert "fuzzy" not in session.results()
    assert viewer.window._qt_window.isVisible()
    assert "ended from outside" in dock.said.text()
    assert dock.methods.resume_button.isVisible()

    dock.methods.resume_button.click()
    wait_for(qtbot, lambda: session.shown == "fuzzy", 180)
    segment(scan, segmenter("fuzzy")(classes=2, spatial=True, radius=2), output="uninterrupted")
    np.testing.assert_array_equal(open_result(scan, "fuzzy").array[...], open_result(scan, "uninterrupted").array[...])


def test_the_command_line_opens_the_docks_on_a_result(make_napari_viewer, plugin, steps, tmp_path, qtbot):
    from lithoscope._napari.launch import prepared
    from lithoscope._napari.session import session_of
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import segmenter
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "steps.npy", steps)
    segment(import_scan(tmp_path / "steps.npy", tmp_path / "steps.zarr", field_of_view=None), segmenter("otsu")(), output="otsu")
    viewer = prepared(make_napari_viewer(show=True), tmp_path / "steps.zarr", "otsu")
    session = session_of(viewer)
    try:
        wait_for(qtbot, lambda: session.shown == "otsu")
        # A preview that was quicker than the result has left its layer, out of sight.
        wait_for(qtbot, lambda: [layer.name for layer in viewer.layers if layer.visible] == ["steps", "steps · otsu", "steps · strokes"])
        assert {name.split(" (")[0] for name in viewer.window.dock_widgets} >= {"Scan", "Segment"}
    finally:
        session.shut()

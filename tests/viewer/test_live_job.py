"""The loop that people paint in, in a window that is seen: strokes on the sample scan, the plane after each, then the volume."""

import numpy as np
import pytest

from lithoscope.volume.scan import Scan

pytest.importorskip("torch")


def wait_for(qtbot, condition, seconds=60):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


def places(plane, label, count):
    """Places of a plane (y, x) well inside a class, far from one another."""
    from scipy.ndimage import distance_transform_edt

    depth, found = distance_transform_edt(plane == label), []
    for _ in range(count):
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        found.append((int(y), int(x)))
        depth[max(0, y - 20) : y + 20, max(0, x - 20) : x + 20] = 0
    return found


def test_two_strokes_a_class_show_the_plane_and_then_segment_the_volume(docks, tmp_path, qtbot):
    from lithoscope.labels.results import open_result
    from lithoscope.sample import CLASSES, simulate

    scan = simulate(tmp_path / "rock.zarr", shape=(24, 160, 160), seed=0)
    truth = np.asarray(open_result(scan, "truth").array[:])
    viewer, _, dock = docks()
    session = dock.session
    session.open(tmp_path / "rock.zarr")
    wait_for(qtbot, lambda: session.scan is not None)
    session.change_classes(CLASSES)
    dock.methods.choose("forest", {"dimensions": 2})
    assert not dock.methods.run_button.isEnabled()
    assert "paint at least two classes" in dock.methods._beneath.text()

    viewer.dims.set_current_step(0, 12)
    strokes = session.layer("strokes")
    strokes.brush_size = 4
    for label in (1, 2, 3):
        for y, x in places(truth[12], label, 2):
            strokes.paint((12, y, x), label)
    wait_for(qtbot, lambda: session.layer("preview") is not None and set(np.unique(session.layer("preview").data.plane)) == {0, 1, 2, 3})
    wait_for(qtbot, lambda: dock.methods.taught._score.text() != "")
    shown = np.array(session.layer("preview").data.plane[0])
    inside = shown > 0
    assert (shown == truth[12])[inside].mean() > 0.75

    dock.methods.output.setText("painted")
    wait_for(qtbot, dock.methods.run_button.isEnabled)
    dock.methods.run_button.click()
    wait_for(qtbot, lambda: session.shown == "painted", 120)
    result = open_result(Scan.open(tmp_path / "rock.zarr"), "painted")
    assert [c.name for c in result.classes] == ["pore", "clay", "grain"]
    assert session.layer("preview") is None or not session.layer("preview").visible
    np.testing.assert_array_equal(np.asarray(result.array[12])[inside] > 0, True)
    assert (np.asarray(result.array[12]) == shown)[inside].mean() > 0.995

"""One model from the strokes of several scans, and its results in several, by the dock and the worker that the window uses."""

import numpy as np
import pytest

from lithoscope.volume.scan import Scan

pytest.importorskip("torch")


def wait_for(qtbot, condition, seconds=240):
    qtbot.waitUntil(condition, timeout=seconds * 1000)


def patches(truth, count, seed):
    """Boxes of 5 × 5 voxels of one plane that lie inside one class, some of every class: (y, x, class)."""
    from scipy.ndimage import minimum_filter

    rng, found = np.random.default_rng(seed), []
    for label in (1, 2, 3):
        inside = np.argwhere(minimum_filter(truth == label, 5)[4:-4, 4:-4]) + 4
        found += [(int(y), int(x), label) for y, x in inside[rng.choice(len(inside), min(count, len(inside)), replace=False)]]
    return found


@pytest.fixture
def rocks(tmp_path):
    """Three scans of one kind of rock, their truths; the second is painted already, its classes added in another order."""
    from lithoscope.classes import ClassTable
    from lithoscope.labels.classes_file import save_classes
    from lithoscope.labels.results import open_result
    from lithoscope.labels.strokes import strokes
    from lithoscope.sample import simulate
    from lithoscope.volume.box import Box

    scans = [simulate(tmp_path / f"rock{n}.zarr", shape=(16, 96, 96), seed=n) for n in range(3)]
    truths = [np.asarray(open_result(scan, "truth").array[:]) for scan in scans]
    save_classes(scans[1], ClassTable().add("grain").add("pore").add("clay"))
    own = {1: 2, 2: 3, 3: 1}
    with strokes(scans[1]) as store:
        for y, x, label in patches(truths[1][8], 6, 1):
            store.write(Box((8, y - 2, x - 2), (9, y + 3, x + 3)), None, np.uint8(own[label]))
    return [scan.path for scan in scans], truths


def test_a_model_of_two_scans_is_applied_to_three_with_a_row_each(docks, rocks, qtbot):
    from lithoscope.labels.results import open_result, results
    from lithoscope.sample import CLASSES

    paths, truths = rocks
    viewer, _, dock = docks()
    session, models = dock.session, dock.methods.models
    session.open(paths[0])
    wait_for(qtbot, lambda: session.scan is not None)
    session.change_classes(CLASSES)
    dock.methods.choose("forest", {"dimensions": 2})
    viewer.dims.set_current_step(0, 8)
    layer = session.layer("strokes")
    layer.brush_size = 4
    for y, x, label in patches(truths[0][8], 6, 0):
        layer.paint((8, y, x), label)
    wait_for(qtbot, models.save_button.isEnabled)

    models.save_button.click()
    models.teachers.add(paths[1])
    models._save.click()
    folder = Scan.open(paths[0]).sidecar / "models" / "rock0-1"
    wait_for(qtbot, (folder / "model.json").exists)
    wait_for(qtbot, lambda: not session.jobs.jobs)

    models.apply_button.click()
    for path in paths[1:]:
        models.targets.add(path)
    assert models._apply.isEnabled()
    models._apply.click()
    assert [job.title for job in session.jobs.jobs] == ["rock0-1 of rock0", "rock0-1 of rock1", "rock0-1 of rock2"]
    dock.jobs.refresh()
    waiting = [line.words.text() for line in dock.jobs._waiting if line.isVisibleTo(dock)]
    assert waiting == ["rock0-1 of rock1 · waits", "rock0-1 of rock2 · waits"]
    wait_for(qtbot, lambda: not session.jobs.jobs)
    wait_for(qtbot, lambda: session.shown == "rock0-1")
    for path, truth in zip(paths, truths, strict=True):
        scan = Scan.open(path)
        assert "rock0-1" in results(scan)
        result = open_result(scan, "rock0-1")
        ids = {c.name: c.id for c in result.classes}
        wanted = np.array([0, ids["pore"], ids["clay"], ids["grain"]], np.uint8)[truth]
        found = np.asarray(result.array[:])
        assert (found == wanted)[found > 0].mean() > 0.75

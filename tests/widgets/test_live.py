"""The loop that people paint in, with a method that needs no torch."""

import threading

import numpy as np
import pytest
from live_data import Nearest

from lithoscope._napari.live import Live, Wish, spread
from lithoscope._napari.preview import Plane
from lithoscope._napari.segment_dock import SegmentDock
from lithoscope._napari.taught_panel import described
from lithoscope.classes import ClassTable
from lithoscope.segmenters.base import REGISTRY


@pytest.fixture
def dock(session, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr("lithoscope._napari.remembered.hints_file", lambda: tmp_path / "hints.json")
    monkeypatch.setitem(REGISTRY, "nearest", Nearest)
    made = SegmentDock(session.viewer)
    qtbot.addWidget(made)
    made.resize(360, 800)
    made.show()
    return made


@pytest.fixture
def painting(opened, dock, qtbot):
    """The dock with that method chosen and two classes, of which nothing is painted."""
    opened.change_classes(ClassTable().add("pore").add("grain"))
    dock.methods.choose("nearest")
    strokes = opened.layer("strokes")
    strokes.brush_size = 3
    opened.viewer.dims.set_point(0, 5)
    return strokes


def expected(session, plane, means=(60, 180)):
    grey = np.take(np.asarray(session.scan.levels[0][:]), [plane.index], plane.axis).astype(float)
    return np.where(np.abs(grey - means[0]) <= np.abs(grey - means[1]), 1, 2)


def right(session, share=0.9):
    """Whether the preview lies on the plane in view and is what grey levels say."""
    layer, plane = session.layer("preview"), session.plane()
    if layer is None or (layer.data.axis, layer.data.index) != (plane.axis, plane.index):
        return False
    wanted = expected(session, plane)
    return layer.data.plane.shape == wanted.shape and (layer.data.plane == wanted).mean() > share


def paint_both(strokes):
    strokes.paint((5, 10, 4), 1)
    strokes.paint((5, 20, 40), 2)


def test_what_is_missing_is_said_below_the_button(opened, dock, painting, qtbot):
    methods = dock.methods
    assert "paint at least two classes" in methods._beneath.text()
    assert not methods.run_button.isEnabled()
    painting.paint((5, 10, 4), 1)
    qtbot.waitUntil(lambda: "only pore" in methods._beneath.text(), timeout=5_000)
    painting.paint((5, 20, 40), 2)
    qtbot.waitUntil(methods.run_button.isEnabled, timeout=5_000)
    assert "2 classes" in methods._beneath.text()
    opened.change_classes(ClassTable().add("pore"))
    assert "+ Class" in methods._beneath.text()


def test_a_method_whose_libraries_are_absent_is_listed_and_cannot_be_chosen(opened, qtbot, monkeypatch):
    class Absent(Nearest):
        name, modules = "absent", ("no_such_module",)

    monkeypatch.setitem(REGISTRY, "absent", Absent)
    dock = SegmentDock(opened.viewer)
    qtbot.addWidget(dock)
    methods = dock.methods
    place = methods.method.findData("absent")
    assert not methods.method.model().item(place).isEnabled()
    assert "pip install" in methods.method.itemText(place)
    methods.choose("absent")
    assert "pip install" in methods._beneath.text()
    assert not methods.run_button.isEnabled()


def test_a_stroke_updates_the_plane_whichever_it_is(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)
    for order, index in (((1, 0, 2), 7), ((2, 0, 1), 44)):
        opened.viewer.dims.order = order
        opened.viewer.dims.set_point(order[0], index)
        assert opened.plane() == Plane(order[0], index)
        qtbot.waitUntil(lambda: right(opened), timeout=60_000)


def test_a_stroke_that_is_taken_back_is_forgotten(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)
    before = np.array(opened.layer("preview").data.plane)
    painting.paint((5, 20, 25), 1)  # the middle step is as pore now, and all that is nearer to it
    qtbot.waitUntil(lambda: (opened.layer("preview").data.plane != before).mean() > 0.1, timeout=60_000)
    opened.painting.undo()
    qtbot.waitUntil(lambda: np.array_equal(opened.layer("preview").data.plane, before), timeout=60_000)


def test_painting_puts_a_result_aside(opened, dock, painting, qtbot):
    from lithoscope.labels.predict import segment
    from lithoscope.segmenters import segmenter

    segment(opened.scan, segmenter("otsu")(), output="otsu")
    opened.show_result("otsu")
    paint_both(painting)
    assert opened.shown == ""
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)


def test_certainty_glares_where_two_classes_are_near(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)
    plain = np.array(opened.layer("preview").data.plane)
    dock.methods.taught.certainty.setChecked(True)
    qtbot.waitUntil(lambda: opened.layer("preview").data.plane.max() > 2, timeout=60_000)
    shaded = np.array(opened.layer("preview").data.plane)
    np.testing.assert_array_equal((shaded - 1) % 2 + 1, plain)
    middle, edge = shaded[0, :, 20:28], shaded[0, :, :8]
    assert middle.mean() > edge.mean() + 4
    dock.methods.taught.certainty.setChecked(False)
    np.testing.assert_array_equal(opened.layer("preview").data.plane, plain)


def test_the_next_doubtful_place_is_brought_into_view(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(dock.methods.taught.next.isEnabled, timeout=60_000)
    taught = dock.methods.taught
    with qtbot.waitSignal(taught.live.doubtful, timeout=60_000) as found:
        taught.next.click()
    place = found.args[0]
    assert opened.plane() == Plane(0, place[0])
    assert opened.place_in_view() == place
    with qtbot.waitSignal(taught.live.doubtful, timeout=60_000) as found:
        taught.next.click()  # at once, while the plane of the first is still being asked for
    assert found.args[0] is None or found.args[0] != place


def test_the_held_out_score_is_one_line(opened, dock, painting, qtbot):
    paint_both(painting)
    score = dock.methods.taught._score
    qtbot.waitUntil(lambda: "for a score" in score.text(), timeout=60_000)
    assert described({"mean_iou": 0.869, "iou": {"pore": 0.91, "clay": float("nan")}}) == "held out  IoU .87   pore .91 · clay –"
    assert described({}) == ""


def test_another_method_takes_the_preview_over(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)
    dock.methods.choose("otsu", {"classes": 2})
    grey = np.asarray(opened.scan.levels[0][5])

    def shows():
        bounds = dock.methods.plot.thresholds
        return len(bounds) == 1 and np.array_equal(opened.layer("preview").data.plane[0], np.digitize(grey, bounds, right=True) + 1)

    qtbot.waitUntil(shows, timeout=60_000)
    dock.methods.choose("nearest")
    qtbot.waitUntil(lambda: right(opened), timeout=60_000)


def test_only_the_newest_wish_is_answered(opened, painting, qtbot, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Nearest):
        name = "slow"

        def fit(self, samples, *, report=None):
            begun.set()
            go_on.wait(10)
            return super().fit(samples)

    monkeypatch.setitem(REGISTRY, "slow", Slow)
    paint_both(painting)
    live, seen = Live(), []
    live.seen.connect(lambda s: seen.append((s.plane.index, s.version)))
    wishes = [Wish(opened.scan, opened.painting.strokes, opened.classes, "slow", {}, 1, True, Plane(0, z)) for z in (1, 2, 3)]
    live.ask(wishes[0])
    assert begun.wait(10)
    live.ask(wishes[1])
    live.ask(wishes[2])
    go_on.set()
    qtbot.waitUntil(lambda: seen == [(3, 1)], timeout=60_000)
    live.close()


def test_a_model_is_saved_beside_the_scan_under_a_free_name(opened, dock, painting, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(opened, "run", lambda command, arguments, *_: asked.append((command, arguments)))
    paint_both(painting)
    models = dock.methods.models
    qtbot.waitUntil(models.save_button.isEnabled, timeout=60_000)
    models.save_button.click()
    models._save.click()
    folder = opened.scan.sidecar / "models" / "steps-1"
    assert asked == [("train", {"scans": [str(opened.scan.path)], "method": "nearest", "settings": {}, "model": str(folder)})]
    models.apply_button.click()
    assert not models._apply.isEnabled()
    models._on_chosen(str(folder))
    models._apply.click()
    assert asked[-1][0] == "segment"
    assert asked[-1][1]["model"] == str(folder)


def test_a_model_is_taught_by_several_scans_and_applied_to_several(opened, dock, painting, qtbot, monkeypatch, tmp_path):
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "b.npy", np.zeros((4, 8, 8), np.uint8))
    other = import_scan(tmp_path / "b.npy", tmp_path / "b.zarr", field_of_view=None).path
    asked = []
    monkeypatch.setattr(opened, "run", lambda command, arguments, title, *_: asked.append((command, arguments, title)))
    paint_both(painting)
    models = dock.methods.models
    qtbot.waitUntil(models.save_button.isEnabled, timeout=60_000)
    models.save_button.click()
    models.teachers.add(other)
    models.teachers.add(other)
    assert "there already" in models.teachers._problem.text()
    models.teachers.add(tmp_path)
    assert "no scan" in models.teachers._problem.text()
    models._save.click()
    assert asked[0][1]["scans"] == [str(opened.scan.path), str(other)]
    assert models.teachers.paths == []
    models.apply_button.click()
    models._on_chosen(str(tmp_path / "m"))
    models.targets.add(other)
    models._apply.click()
    assert [(a[1]["scans"], a[2]) for a in asked[1:]] == [([str(opened.scan.path)], "m of steps"), ([str(other)], "m of b")]


def test_what_a_run_takes_is_told_before_it_begins(opened, dock, painting, qtbot):
    paint_both(painting)
    qtbot.waitUntil(lambda: "of memory" in dock.methods._beneath.text(), timeout=60_000)
    assert "2 classes" in dock.methods._beneath.text()


def test_doubtful_planes_are_spread_and_never_asked_twice():
    known = {}
    for _ in range(6):
        more = spread((12, 40, 40), Plane(0, 5), known, 2)
        known |= dict.fromkeys(more)
    assert {p.index for p in known} == set(range(12)) - {5}

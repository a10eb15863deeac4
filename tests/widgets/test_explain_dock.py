"""The Explain dock without a window: what is wished for, what lies over the plane, and the map linked both ways."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from lithoscope._napari import explain_dock, explaining
from lithoscope._napari.explain_dock import NO_TORCH, ExplainDock
from lithoscope._napari.explain_layers import drawn_lines
from lithoscope._napari.explain_wish import Wish
from lithoscope._napari.map_plot import within
from lithoscope.explain.overlay import Overlay
from lithoscope.explain.place import Place
from lithoscope.explain.points import Map, Points
from lithoscope.features.token_grid import Grid
from lithoscope.volume.box import Box

LONG = 60_000


@pytest.fixture
def dock(opened, qtbot, monkeypatch):
    """The dock on the small scan, with one backbone that answers at once and remembers what it was asked."""
    monkeypatch.setattr(explain_dock, "backbones_here", lambda: [("fake", "a network", 4, 3)])
    asked = []

    def fake(wish, scan, views, axis, at, check):
        asked.append((wish, axis, at))
        sides = [n for a, n in enumerate(scan.shape) if a != axis]
        grid = Grid(8)
        values = np.random.default_rng(0).random((grid.count(sides[0]), grid.count(sides[1])), np.float32)
        place = Place.of_tokens(axis, at[axis], grid)
        return [
            Overlay(wish.kind, "fake", values, place, outline=values > 0.5, frame=scan.box, at=at, notes=("a note",), ends=("low", "high"))
        ]

    monkeypatch.setattr(explaining, "answer", fake)
    monkeypatch.setattr(explaining.Explaining, "views", lambda self, wish: None)
    made = ExplainDock(opened.viewer)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.options.backbone.count() == 1, timeout=LONG)
    made.asked = asked
    return made


def show(dock, qtbot, kind):
    with qtbot.waitSignal(
        dock.explaining.shown, timeout=LONG, check_params_cb=lambda overlays: bool(overlays) and overlays[0].kind == kind
    ):
        dock.options.kind.setCurrentIndex(dock.options.kind.findData(kind))


def a_map(scans=("steps",), uuids=()):
    rng = np.random.default_rng(0)
    count = 40
    scan = np.arange(count) % len(scans)
    at = rng.random((count, 2)).astype(np.float32)
    places = rng.integers(0, 24, (count, 3))
    columns = {"scan": [scans[n] for n in scan], "class": ["a", "b"] * 20}
    return Map(
        Points(rng.random((count, 5), np.float32), places, np.zeros(count, np.int64), scan, tuple(scans), columns, uuids), at, "pca", ("n",)
    )


def test_the_overlay_is_a_layer_at_token_resolution_in_its_place(dock, qtbot):
    show(dock, qtbot, "pca")
    layer = dock.explaining.layers.get("seen")
    plane = dock.session.plane()
    assert layer.data.shape == (1, 5, 6, 4)
    np.testing.assert_allclose(layer.scale, (1, 8, 8))
    np.testing.assert_allclose(layer.translate, (plane.index, 3.5, 3.5))
    assert str(layer.units[0]) == "pixel"
    assert "a note" in dock._notes.text()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_plane_has_its_overlay(dock, qtbot, axis):
    show(dock, qtbot, "similarity")
    dock.session.viewer.dims.order = (axis, *[a for a in range(3) if a != axis])
    qtbot.waitUntil(lambda: bool(dock._overlays) and dock._overlays[0].place.axis == axis, timeout=LONG)
    dock.session.viewer.dims.set_current_step(axis, 7)
    qtbot.waitUntil(lambda: dock._overlays[0].place.index == 7, timeout=LONG)
    layer = dock.explaining.layers.get("seen")
    assert layer.data.shape[axis] == 1
    assert layer.translate[axis] == 7


def test_pointing_asks_about_the_voxel_under_the_cursor(dock, qtbot):
    show(dock, qtbot, "attention")

    class Event:
        position = (4.0, 20.4, 30.6)

    dock.session.viewer.dims.set_current_step(0, 4)
    with qtbot.waitSignal(dock.explaining.shown, timeout=LONG, check_params_cb=lambda o: bool(o) and o[0].at == (4, 20, 31)):
        dock.explaining._on_move(dock.session.viewer, Event())
    assert dock.asked[-1][2] == (4, 20, 31)
    dock.options.whole.setChecked(True)
    qtbot.waitUntil(lambda: dock.asked[-1][0].whole, timeout=LONG)
    assert dock.explaining._on_move not in dock.session.viewer.mouse_move_callbacks


def test_what_is_hidden_for_the_overlay_comes_back(dock, qtbot):
    session = dock.session
    session.show_preview(np.ones((1, 40, 48), np.uint8), session.classes, (0, 0, 0))
    show(dock, qtbot, "pca")
    assert not session.layer("preview").visible
    dock.options.kind.setCurrentIndex(0)
    assert session.layer("preview").visible
    assert not dock.explaining.layers.get("seen").visible


def test_deleting_the_overlay_in_the_viewer_is_no_harm(dock, qtbot):
    show(dock, qtbot, "pca")
    dock.session.viewer.layers.remove(dock.explaining.layers.get("seen"))
    show(dock, qtbot, "rollout")
    assert dock.explaining.layers.get("seen") is not None


def test_its_layers_go_with_the_scan(dock, qtbot):
    show(dock, qtbot, "attention")
    dock.session.forget()
    assert len(dock.session.viewer.layers) == 0
    assert dock._overlays == []


def test_the_frame_outline_and_token_are_drawn_in_the_scans_voxels():
    values = np.zeros((3, 4), np.float32)
    outline = values > 0
    outline[1, 2] = True
    made = Overlay(
        "attention", "a", values, Place.of_tokens(1, 9, Grid(8)), outline=outline, frame=Box((0, 9, 0), (24, 10, 32)), at=(0, 9, 0)
    )
    lines, colours = drawn_lines(made)
    assert (lines[:, 0, 1] == 9).all()
    assert (lines[:, 1, 1] == 0).all()
    ends = np.concatenate([lines[:, 0], lines.sum(1)])
    white = np.concatenate([lines[colours == "#ffffff", 0], lines[colours == "#ffffff"].sum(1)])
    np.testing.assert_allclose([white[:, 0].min(), white[:, 0].max()], [7.5, 15.5])
    np.testing.assert_allclose([white[:, 2].min(), white[:, 2].max()], [15.5, 23.5])
    np.testing.assert_allclose([ends[:, 0].min(), ends[:, 2].max()], [-0.5, 31.5])


def test_each_kind_shows_its_own_settings(dock):
    options = dock.options

    def shown():
        return {key for key, widget in options._rows.items() if options._form.isRowVisible(widget)}

    expected = {
        "": set(),
        "pca": {"backbone", "basis", "cut"},
        "attention": {"backbone", "block", "head", "source", "window", "mass", "whole"},
        "rollout": {"backbone", "source", "window", "mass", "whole"},
        "similarity": {"backbone"},
        "certainty": {"result"},
        "disagreement": {"results"},
    }
    for kind, rows in expected.items():
        options.kind.setCurrentIndex(options.kind.findData(kind))
        assert shown() == rows, kind
    assert (options.block.maximum(), options.head.count()) == (4, 4)
    assert options.block.value() == 4


def test_what_is_missing_is_said(dock, qtbot):
    with qtbot.waitSignal(dock.explaining.refused, timeout=LONG):
        dock.options.kind.setCurrentIndex(dock.options.kind.findData("certainty"))
    assert "run a method first" in dock._notes.text()
    dock.options.kind.setCurrentIndex(dock.options.kind.findData("pca"))
    with qtbot.waitSignal(dock.explaining.refused, timeout=LONG):
        dock.session.viewer.dims.ndisplay = 3
    assert "3D" in dock._notes.text()
    assert not dock.save_button.isEnabled()
    assert Wish("disagreement", results=("a",)).missing()


def test_without_torch_the_dock_says_what_to_install(opened, qtbot, monkeypatch):
    monkeypatch.setattr(explain_dock, "backbones_here", list)
    made = ExplainDock(opened.viewer)
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: made.map.beneath.text() == NO_TORCH, timeout=LONG)
    assert not made.map.draw_button.isEnabled()


def test_an_overlay_is_kept_and_saved(dock, qtbot, tmp_path):
    from lithoscope.explain import keeping

    show(dock, qtbot, "similarity")
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "kept as" in words and not bad):
        dock.keep_button.click()
    assert len(keeping.kept(dock.session.scan)) == 1
    for ending in ("png", "svg", "csv", "zarr"):
        with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "saved as" in words and not bad):
            dock.save_button.click()
            dock._dialog.fileSelected.emit(str(tmp_path / f"f.{ending}"))
        assert (tmp_path / f"f.{ending}").exists()
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: bad):
        dock.save_button.click()
        dock._dialog.fileSelected.emit(str(tmp_path / "nowhere" / "f.png"))
    dock.save_button.click()
    dock._on_shown([])
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "saved as" in words and not bad):
        dock._dialog.fileSelected.emit(str(tmp_path / "asked for.csv"))
    assert (tmp_path / "asked for.csv").read_text() == (tmp_path / "f.csv").read_text(), "whatever is on show by then"


@pytest.mark.parametrize("axis", [0, 2])
def test_what_was_kept_is_shown_again_on_its_plane_and_can_be_deleted(dock, qtbot, axis):
    from lithoscope.explain import keeping
    from lithoscope.explain.keeping import new_volume

    scan, viewer = dock.session.scan, dock.session.viewer
    values = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    made = Overlay("similarity", "kept", values, Place.of_tokens(axis, 5, Grid(8)), at=(5, 5, 5), notes=("as it was",))
    name = keeping.keep(scan, made).stem
    with new_volume(scan.sidecar / "explain" / "likeness-z-1-2-3.zarr", scan, Place.of_tokens(0, 0, Grid(8)), (5, 6), {}) as array:
        array[...] = 9
    assert dock.kept.isHidden()
    dock.on_scan()
    show(dock, qtbot, "pca")
    assert [dock.kept.names.itemData(i) for i in range(dock.kept.names.count())] == ["", name, "likeness-z-1-2-3"]
    viewer.dims.order = (1, 0, 2)

    def choose(number):
        dock.kept.names.setCurrentIndex(number)
        with qtbot.waitSignal(dock.kept.opened, timeout=LONG):
            dock.kept.names.activated.emit(number)

    choose(1)
    assert dock.options.kind.currentData() == ""
    assert (dock.session.plane().axis, dock.session.plane().index) == (axis, 5)
    layer = dock.explaining.layers.get("seen")
    assert layer.visible
    assert layer.data.shape[axis] == 1
    assert "as it was" in dock._notes.text()
    assert dock.save_button.isEnabled()
    choose(2)
    assert dock.explaining.layers.get("likeness").data.shape == (24, 5, 6)
    dock.kept.delete_button.click()
    assert keeping.kept_volumes(scan) == []
    (scan.sidecar / "explain" / f"{name}.zarr" / "zarr.json").write_text("{}")
    dock.kept.names.setCurrentIndex(1)
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: bad and "damaged" in words):
        dock.kept.names.activated.emit(1)


def test_a_lasso_marks_places_and_a_point_is_gone_to(dock, qtbot, tmp_path):
    found = a_map(("steps", "other"))
    dock.map.show_map(found)
    x, y = found.at.min(0) - 1, found.at.max(0) + 1
    dock.map.plot._on_closed([(x[0], x[1]), (y[0], x[1]), (y[0], y[1]), (x[0], y[1])])
    np.testing.assert_array_equal(dock.explaining.layers.get("marks").data, found.points.places[found.points.scan == 0])
    dock.map.plot.picked.emit(4)
    assert dock.session.plane().index == found.points.places[4][0]
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "is of other" in words):
        dock.map.plot.picked.emit(5)
    dock.map.save_button.click()
    other = a_map(("another", "other"))
    dock.map.map = other
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "saved as" in words and not bad):
        dock.map._dialog.fileSelected.emit(str(tmp_path / "map.csv"))
    assert "steps" in (tmp_path / "map.csv").read_text(), "the map it was asked for, whatever is on show by then"
    dock.map.map = found
    dock.map.none_button.click()
    assert not dock.explaining.layers.get("marks").visible


def test_a_map_of_another_scan_of_the_same_name_is_not_shown(dock, qtbot):
    dock.map.show_map(a_map(uuids=("of another folder",)))
    assert dock.map.map is None
    dock.map.show_map(a_map(("steps", "steps"), ("of another folder", dock.session.scan.uuid)))
    found = dock.map.map
    dock.map._mark(np.arange(40))
    np.testing.assert_array_equal(dock.explaining.layers.get("marks").data, found.points.places[found.points.scan == 1])
    with qtbot.waitSignal(dock.session.said, timeout=LONG, check_params_cb=lambda words, bad: "another scan named steps" in words):
        dock.map.plot.picked.emit(4)


def test_the_place_under_the_cursor_marks_its_point(dock, qtbot, monkeypatch):
    found = a_map()
    dock.map.show_map(found)

    class Source:
        def kept(self, axis, index):
            return np.broadcast_to(found.points.vectors[17], (9, 9, 5))

        def place(self, axis, index):
            return Place.of_tokens(axis, index, Grid(8))

    class Views:
        source = Source()

    monkeypatch.setattr(dock.explaining, "views", lambda wish: Views())
    with qtbot.waitSignal(dock.explaining.marked, timeout=LONG) as heard:
        dock.explaining.point((3, 9, 9))
    assert heard.args == [17]
    assert len(dock.map.plot._ring.data) == 1


def test_keys_step_through_the_points(dock, qtbot):
    dock.map.show_map(a_map())
    went = []
    dock.map.plot.picked.connect(went.append)
    dock.map.plot.choose(np.array([3, 8]))
    for _ in range(3):
        qtbot.keyClick(dock.map.plot, Qt.Key.Key_N)
    assert went == [3, 8, 3]
    qtbot.keyClick(dock.map.plot, Qt.Key.Key_Escape)
    assert len(dock.map.plot._inside) == 0


def test_a_map_is_drawn_by_the_worker_with_the_settings_chosen(dock, monkeypatch):
    ran = []
    monkeypatch.setattr(dock.session, "run", lambda *words: ran.append(words))
    dock.explaining.show(Wish(backbone="fake"))
    dock.map.count.setValue(500)
    dock.map.samples.setChecked(True)
    dock.map.draw_button.click()
    command, arguments, title, _ = ran[0]
    assert (command, title) == ("explain", "map of steps")
    assert arguments["count"] == 500
    assert arguments["samples"]
    assert arguments["method"] == "tsne"
    assert arguments["backbone"] == "fake"


def test_likeness_over_the_whole_scan_is_worked_out_by_the_worker_and_shown_in_its_place(dock, qtbot, monkeypatch):
    from lithoscope._napari.worker_client import Job
    from lithoscope.explain.keeping import new_volume

    show(dock, qtbot, "similarity")
    ran = []
    monkeypatch.setattr(dock.session, "run", lambda *words: ran.append(words))
    dock.session.viewer.dims.set_current_step(0, 3)
    dock.explaining.point((3, 9, 9))
    qtbot.waitUntil(lambda: dock._overlays[0].at == (3, 9, 9), timeout=LONG)
    dock.whole_button.click()
    command, arguments, _, then = ran[0]
    assert (command, arguments["kind"], arguments["token"], arguments["plane"]) == ("explain", "similarity", "3,9,9", "z=3")
    scan = dock.session.scan
    from pathlib import Path

    target = Path(arguments["out"])
    with new_volume(target, scan, Place.of_tokens(0, 0, Grid(8)), (5, 6), {}) as array:
        array[...] = 9
    elsewhere = {**arguments, "scans": [str(scan.path.with_name("another.zarr"))]}
    then(Job(1, "explain", elsewhere, "", state="done", result={"output": str(target), "notes": ["most alike"]}))
    assert dock.explaining.layers.get("likeness") is None  # of a scan that was left meanwhile
    then(Job(1, "explain", arguments, "", state="done", result={"output": str(target), "notes": ["most alike"]}))
    layer = dock.explaining.layers.get("likeness")
    assert layer.data.shape == (24, 5, 6)
    np.testing.assert_allclose(layer.scale, (1, 8, 8))
    np.testing.assert_allclose(layer.translate, (0, 3.5, 3.5))


def test_a_polygon_holds_what_lies_within():
    corners = np.array([(0, 0), (4, 0), (4, 4), (2, 1), (0, 4)], float)
    inside = within(corners, np.array([(1, 1), (3, 1), (2, 3), (2, 0.5), (5, 1)]))
    assert inside.tolist() == [True, True, False, True, False]
    assert not within(corners[:2], np.array([(1, 1)])).any()


@pytest.mark.parametrize("kind", ["pca", "attention", "disagreement"])
def test_the_dock_fits_360_pixels_and_every_control_has_a_name(dock, qtbot, kind):
    dock.map.show_map(a_map())
    dock.options.kind.setCurrentIndex(dock.options.kind.findData(kind))
    dock.resize(360, 900)
    dock.show()
    assert dock.body.minimumSizeHint().width() <= 344
    for part in dock.body.findChildren(QWidget):
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus and part.isVisible() and not part.objectName().startswith("qt_"):
            assert part.accessibleName() or getattr(part, "text", lambda: "")() or part.parent().accessibleName(), part


def test_fine_tuned_tokens_lie_beside_the_scan(dock, qtbot):
    scan, values = dock.session.scan, np.full((5, 6, 4), 255, np.uint8)
    both = [Overlay("pca", title, values, Place.of_tokens(0, 3, Grid(8))) for title in ("frozen", "tuned")]
    dock.explaining.layers.show(scan, both)
    first, second = (dock.explaining.layers.get(name) for name in ("seen", "fine-tuned"))
    np.testing.assert_allclose(first.translate, (3, 3.5, 3.5))
    np.testing.assert_allclose(second.translate, (3, 3.5, 3.5 + 1.04 * 48))
    dock.explaining.layers.show(scan, both[:1])
    assert not second.visible
    dock.options.kind.setCurrentIndex(dock.options.kind.findData("pca"))
    assert not dock.options._form.isRowVisible(dock.options.tuned)
    dock.options.show_tuned([("mine", "/models/mine")])
    assert dock.options._form.isRowVisible(dock.options.tuned)
    dock.options.tuned.setCurrentIndex(1)
    assert dock.options.wish().tuned == "/models/mine"

"""The Measure dock counts as one corrects, measures, checks random places and compares methods, by the commands' own functions."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox

from lithoscope._napari.measure_dock import MeasureDock
from lithoscope._napari.worker_client import Job
from lithoscope.classes import ClassTable
from lithoscope.cli.commands import command
from lithoscope.labels.corrections import corrected
from lithoscope.measure import named_places
from lithoscope.measure.live_counts import live_counts
from lithoscope.volume.box import Box


@pytest.fixture
def shown(opened, qtbot):
    """The session with a result of three classes on show."""
    command("segment")([str(opened.scan.path)], method="otsu", settings={"classes": 3}, output="otsu")
    opened.show_result("otsu")
    return opened


@pytest.fixture
def dock(shown, qtbot):
    made = MeasureDock(shown.viewer)
    qtbot.addWidget(made)
    made.resize(360, 900)
    made.show()
    qtbot.waitUntil(lambda: made.phases.item(0, 1) is not None and made.phases.item(0, 1).text() != "–", timeout=60_000)
    return made


def fraction(dock, row: int) -> float:
    return float(dock.phases.item(row, 1).text())


def counted(session) -> np.ndarray:
    with corrected(session.scan, "otsu", readonly=True) as labels:
        return np.bincount(labels.read(Box.whole(session.scan.shape)).reshape(-1), minlength=256)


def test_fractions_are_counted_at_once_and_again_after_each_correction(dock, shown, qtbot):
    before = counted(shown)
    assert [fraction(dock, r) for r in range(3)] == pytest.approx([100 * n / before.sum() for n in before[1:4]], abs=0.006)
    shown.correct("otsu")
    with qtbot.waitSignal(dock.live.counted, timeout=60_000):
        pass
    layer = shown.painting.brush()
    with qtbot.waitSignal(dock.live.counted, timeout=60_000):
        layer.brush_size = 20
        layer.paint((5, 20, 40), 1)
    shown.painting.flush()
    after = counted(shown)
    assert after[1] > before[1]
    qtbot.waitUntil(lambda: abs(fraction(dock, 0) - 100 * after[1] / after.sum()) < 0.006, timeout=60_000)


def test_live_counts_are_the_counts_of_the_whole_however_it_was_painted(shown):
    rng = np.random.default_rng(0)
    with corrected(shown.scan, "otsu") as labels:
        live = live_counts(shown.scan, labels)
        for _ in range(5):
            start = [int(rng.integers(0, n - 2)) for n in shown.scan.shape]
            box = Box(tuple(start), tuple(min(a + int(rng.integers(1, 20)), n) for a, n in zip(start, shown.scan.shape, strict=True)))
            labels.write(box, None, int(rng.integers(0, 4)))
            assert np.array_equal(live.now(), np.bincount(labels.read(Box.whole(shown.scan.shape)).reshape(-1), minlength=256))


def test_measure_adds_intervals_and_a_plot_until_something_is_corrected(dock, shown, qtbot):
    with qtbot.waitSignal(shown.jobs.finished, timeout=120_000):
        dock.measure.click()
    qtbot.waitUntil(lambda: "Sampling:" in dock._words.text(), timeout=60_000)
    assert dock.plot.as_text().count("\n") == 3 * 24
    dock.copy_plot.click()
    assert QApplication.clipboard().text().startswith("class\tat")
    dock.kind.setCurrentIndex(3)
    dock.copy_table.click()
    assert QApplication.clipboard().text().startswith("phase\t%")
    shown.correct("otsu")
    with qtbot.waitSignal(dock.live.counted, timeout=60_000):
        shown.painting.brush().paint((5, 20, 40), 1)
    qtbot.waitUntil(lambda: "measure again" in dock._words.text(), timeout=60_000)


def test_what_was_measured_of_another_scan_is_not_told_of_this_one(dock, shown, qtbot):
    measured = command("measure")(str(shown.scan.path), "otsu")
    elsewhere = {"scan": str(shown.scan.path.with_name("another.zarr")), "result": "otsu"}
    dock._on_measured("otsu", Job(1, "measure", elsewhere, "", state="done", result=measured))
    assert "Sampling:" not in dock._words.text()
    dock._on_measured("otsu", Job(1, "measure", {**elsewhere, "scan": str(shown.scan.path)}, "", state="done", result=measured))
    assert "Sampling:" in dock._words.text()


def test_structure_and_thickness_are_told_by_phase_and_plotted(dock, shown, qtbot):
    assert not dock.kind.model().item(dock.kind.findData("thickness")).isEnabled()
    dock.structure.setChecked(True)
    dock.thickness.setChecked(True)
    with qtbot.waitSignal(shown.jobs.finished, timeout=120_000):
        dock.measure.click()
    qtbot.waitUntil(lambda: "thickness" in dock._structure_words.text(), timeout=120_000)
    assert "across" in dock._structure_words.text()
    dock.copy_table.click()
    copied = QApplication.clipboard().text().splitlines()
    assert copied[0].split("\t")[0] == copied[copied.index("") + 1].split("\t")[0] == "phase"
    dock.kind.setCurrentIndex(dock.kind.findData("thickness"))
    parts = [float(line.rsplit("\t", 1)[1]) for line in dock.plot.as_text().splitlines()[1:]]
    assert sum(parts) == pytest.approx(300, abs=0.1)


def test_the_spot_check_goes_from_place_to_place_and_keeps_every_answer(dock, shown, qtbot):
    truth = np.clip(np.arange(48) // 16, 0, 2) + 1
    dock.spot.count.setValue(60)
    with qtbot.waitSignal(shown.jobs.finished, timeout=120_000):
        dock.spot.begin.click()
    qtbot.waitUntil(lambda: dock.spot._mark.shown, timeout=60_000)
    assert not shown.layer("result").visible
    first = dock.spot.check.drawn.places[0].at
    assert tuple(dock.spot._mark._layer.data[0]) == first
    for _ in range(60):
        dock.spot.name(int(truth[int(dock.spot._mark._layer.data[0][2])]))
    assert dock.spot.check.next is None
    assert not dock.spot._mark.shown
    assert shown.layer("result").visible
    assert "Accuracy" in dock.spot._found.text()
    assert len(named_places.load(shown.scan, "otsu").seen) == 60


def test_skipped_places_come_last_and_back_goes_back(dock, shown, qtbot):
    named_places.begin(shown.scan, "otsu", 60)
    dock.spot.on_result()
    dock.spot.resume()
    dock.spot._skip()
    assert dock.spot._at == 1
    dock.spot.name(1)
    assert dock.spot._at == 2
    dock.spot._back()
    assert dock.spot._at == 1
    assert "named" in dock.spot._where.text()
    for _ in range(59):
        dock.spot._name_nth(1)
    assert dock.spot.check.next in (0, None)
    dock.spot.stop()
    assert len([layer for layer in shown.viewer.layers if layer.name == "spot check"]) == 0


def test_methods_are_compared_and_the_winner_is_promoted(dock, shown, qtbot):
    shown.change_classes(ClassTable.numbered(3))
    for id, x in ((1, 4), (2, 22), (3, 40)):
        for z in (2, 8, 14, 20):
            shown.painting.strokes.write(Box((z, 4, x), (z + 1, 36, x + 4)), None, id)
    shown.painting.flush()
    command("segment")([str(shown.scan.path)], method="threshold", settings={"bounds": [90, 150]}, output="reference")
    shown.results_changed.emit()
    panel = dock.compare
    for i in range(panel._methods.count()):
        panel._methods.item(i).setCheckState(panel._methods.item(i).checkState().Unchecked)
    with qtbot.waitSignal(shown.said, check_params_cb=lambda words, bad: bad and "at least one method" in words, timeout=60_000):
        panel.compare.click()
    for i in range(panel._methods.count()):
        if panel._methods.item(i).text() in ("otsu", "kmeans"):
            panel._methods.item(i).setCheckState(panel._methods.item(i).checkState().Checked)
    panel.truth.setCurrentIndex(panel.truth.findData("reference"))
    with qtbot.waitSignal(shown.jobs.finished, timeout=240_000):
        panel.compare.click()
    qtbot.waitUntil(lambda: panel.table.rowCount() == 2, timeout=60_000)
    panel.table.selectRow(0)
    assert shown.shown.startswith("comparison ")
    panel.promote.click()
    assert shown.shown in ("otsu-2", "kmeans", "kmeans-2")
    assert shown.shown in shown.results()


def test_the_dock_fits_360_pixels_and_every_control_has_a_name(dock):
    assert dock.body.minimumSizeHint().width() <= 360 - 16
    for kind in (QAbstractButton, QAbstractSpinBox, QComboBox):
        reached = [w for w in dock.findChildren(kind) if w.focusPolicy() != Qt.FocusPolicy.NoFocus]
        assert all(w.accessibleName() or (hasattr(w, "text") and w.text()) for w in reached)

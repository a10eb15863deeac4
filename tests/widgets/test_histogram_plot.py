"""Thresholds are moved on the histogram, by mouse or by keys."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from lithoscope._napari.histogram_plot import HistogramPlot, columns
from lithoscope.classes import ClassTable
from lithoscope.volume.histogram import Histogram


@pytest.fixture
def histogram():
    rng = np.random.default_rng(0)
    return Histogram.of(np.concatenate([rng.normal(60, 8, 4000), rng.normal(160, 9, 6000)]).clip(0, 255).astype(np.uint8))


@pytest.fixture
def plot(qtbot, histogram):
    made = HistogramPlot()
    qtbot.addWidget(made)
    made.resize(360, 160)
    made.show()
    made.show_histogram(histogram)
    made.show_thresholds((100, 180), ClassTable.numbered(3))
    return made


def test_columns_hold_every_voxel(histogram):
    edges, heights = columns(histogram, count=40)
    assert len(edges) == len(heights) + 1 <= 41
    assert (10 ** heights[heights > 0]).sum() == pytest.approx(histogram.total, rel=0.01)


def test_keys_move_the_chosen_line_by_a_grey_level(plot, qtbot):
    with qtbot.waitSignal(plot.moved) as told:
        qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert told.args == [(101.0, 180.0)]
    qtbot.keyClick(plot, Qt.Key.Key_Up)
    qtbot.keyClick(plot, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert plot.thresholds == (101.0, 170.0)


def test_a_line_does_not_pass_its_neighbour(plot, qtbot):
    for _ in range(20):
        qtbot.keyClick(plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert plot.thresholds == (179.0, 180.0)


def test_lines_shown_by_us_are_not_told_as_moves(plot):
    told = []
    plot.moved.connect(told.append)
    plot.show_thresholds((90, 120), ClassTable.numbered(3))
    plot.show_thresholds((90,), ClassTable.numbered(2))
    assert plot.thresholds == (90.0,)
    assert told == []


def test_a_line_is_added_where_most_voxels_are_and_taken_away_again(plot):
    plot.show_thresholds((100,), ClassTable.numbered(2))
    more = plot.with_one_more()
    assert len(more) == 2
    assert 140 < more[1] < 180
    plot.show_thresholds(more, ClassTable.numbered(3))
    assert len(plot.with_one_fewer()) == 1


def test_an_empty_histogram_is_drawn_without_complaint(plot):
    plot.show_histogram(Histogram.of_levels(np.zeros(0, np.int64), 0))
    plot.show_thresholds((3,), ClassTable.numbered(2))
    assert plot.with_one_more() == (3.0,)


def test_a_threshold_that_is_added_is_the_chosen_one(plot):
    plot.show_thresholds((20.0, 90.0), ClassTable.numbered(3))
    more = plot.with_one_more()
    plot.show_thresholds(more, ClassTable.numbered(4))
    assert plot.with_one_fewer() == (20.0, 90.0)


def test_between_two_lines_of_one_boundary_nobody_has_decided(plot):
    classes = ClassTable.numbered(2)
    plot.show_thresholds((100, 120), classes)
    shown = [bar.opts["fillBrush"].color().name() for bar in plot._bars]
    assert shown == [classes[1].colour, plot._text.name(), classes[2].colour]

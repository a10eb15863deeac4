"""A hand-made mask as field of view is seen as an outline, on any plane."""

import numpy as np
import pytest

from lithoscope._napari.mask_outline import MOST_POINTS, rims
from lithoscope._napari.outline import Outline
from lithoscope._napari.scan_dock import ScanDock
from lithoscope.volume.field_of_view import Mask


@pytest.fixture
def mask():
    """A blob that is no circle and no box, with a hole, 24 × 40 × 48."""
    inside = np.zeros((24, 40, 48), np.uint8)
    inside[:, 5:30, 6:40] = 1
    inside[:, 20:30, 6:20] = 0
    inside[:, 10:14, 25:31] = 0
    inside[12:, :10] = 0
    return inside


@pytest.fixture
def masked(opened, mask, tmp_path, qtbot):
    np.save(tmp_path / "mask.npy", mask)
    dock = ScanDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.resize(360, 800)
    dock.show()
    panel = dock.field
    panel.edit_button.setChecked(True)
    qtbot.waitUntil(lambda: panel.edit.isVisibleTo(panel), timeout=60_000)
    panel.edit.setText(str(tmp_path / "mask.npy"))
    panel.use_button.click()
    qtbot.waitUntil(lambda: isinstance(opened.scan and opened.scan.field_of_view, Mask), timeout=60_000)
    return dock


def filled(drawn, shape, axes):
    """What lies within an odd number of rims."""
    from skimage.measure import points_in_poly

    places = np.argwhere(np.ones(shape, bool))
    inside = sum(points_in_poly(places, np.asarray(rim)[:, axes]).astype(int) for rim in drawn)
    return (inside % 2 == 1).reshape(shape)


def test_a_mask_that_is_taken_into_use_is_outlined_on_every_plane(masked, opened, mask, qtbot):
    panel = masked.field
    outline: Outline = panel.outline
    qtbot.waitUntil(lambda: outline.layer is not None and len(outline.layer.data) > 0, timeout=60_000)
    assert panel.show_button.isChecked()
    for axis, index in ((0, 3), (0, 20), (1, 12), (2, 10)):
        opened.viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
        opened.viewer.dims.set_point(axis, index)
        wanted = np.take(mask, index, axis) > 0
        axes = [a for a in range(3) if a != axis]

        def shows(axis=axis, index=index, wanted=wanted, axes=axes):
            drawn = outline.layer.data
            return all((np.asarray(rim)[:, axis] == index).all() for rim in drawn) and np.array_equal(
                filled(drawn, wanted.shape, axes), wanted
            )

        qtbot.waitUntil(shows, timeout=60_000)
    panel.show_button.setChecked(False)
    assert outline.layer is None
    panel.show_button.setChecked(True)
    qtbot.waitUntil(lambda: outline.layer is not None and len(outline.layer.data) > 0, timeout=60_000)
    panel.edit_button.setChecked(True)
    qtbot.waitUntil(lambda: not isinstance(outline.shape, Mask) and outline.editing, timeout=60_000)
    assert not panel.show_button.isChecked()


def test_what_is_in_use_can_be_shown_whatever_its_shape(opened, qtbot):
    opened.scan.set(field_of_view="cylinder:20,24,15")
    dock = ScanDock(opened.viewer)
    qtbot.addWidget(dock)
    dock.show()
    dock.field.show_button.setChecked(True)
    qtbot.waitUntil(lambda: dock.field.outline.layer is not None, timeout=60_000)
    assert dock.field.outline.shape == opened.scan.field_of_view
    assert not dock.field.use_button.isVisibleTo(dock)
    dock.field.none_button.click()
    assert dock.field.outline.layer is None


def test_a_ragged_mask_is_drawn_with_few_points():
    rng = np.random.default_rng(0)
    found = rims(rng.random((900, 700)) < 0.5)
    assert 0 < sum(map(len, found)) <= MOST_POINTS
    assert rims(np.zeros((30, 30), bool)) == []
    (whole,) = rims(np.ones((30, 40), bool))
    assert whole.min() == -0.5
    assert whole.max() == 39.5

"""napari's own Labels layer paints, fills and undoes through our arrays."""

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.layers import Labels

from lithoscope.labels.corrections import Corrected
from lithoscope.labels.store import LabelStore

SHAPE = (20, 70, 140)


@pytest.fixture(params=["strokes", "corrections"])
def painted(request, tmp_path):
    store = LabelStore(tmp_path, SHAPE)
    array = store if request.param == "strokes" else Corrected(np.ones(SHAPE, np.uint8), store)
    yield array
    array.close()


def both(painted):
    """A layer of our array, and one of a numpy array that reads the same."""
    layers = [Labels(painted), Labels(painted[:])]
    for layer in layers:
        layer.brush_size = 11
    return layers


@pytest.mark.parametrize("dimensions", [2, 3])
def test_brush_fill_polygon_and_undo_do_as_on_numpy(painted, dimensions):
    results = []
    for layer in both(painted):
        assert layer.editable
        layer.n_edit_dimensions = dimensions
        layer.selected_label = 2
        layer.mode = "paint"
        with layer.block_history():
            for i in range(5):
                layer.paint((10, 20 + i, 30 + 2 * i), 2)
        layer.fill((10, 0, 0), 3)
        layer.undo()
        layer.redo()
        layer.paint((12, 40, 100), 0)
        layer.data_setitem((np.array([1, 2]), np.array([3, 4]), np.array([5, 6])), 4)
        layer.refresh()
        results.append(np.asarray(layer.data[:]))
    np.testing.assert_array_equal(results[0], results[1])
    assert set(np.unique(results[0])) >= {2, 3, 4}


def test_what_is_shown_follows_the_brush(painted):
    layer = both(painted)[0]
    layer.paint((0, 20, 30), 5)
    plane = np.asarray(layer._slice.image.raw)
    np.testing.assert_array_equal(plane, painted[0])

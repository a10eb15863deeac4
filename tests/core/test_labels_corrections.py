"""A prediction with corrections laid over it, against two plain arrays."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lithoscope.errors import InputError
from lithoscope.labels.corrections import Corrected
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box

SHAPE = (6, 70, 140)


@pytest.fixture
def predicted():
    return np.random.default_rng(0).integers(0, 4, SHAPE, np.uint8)


@pytest.fixture
def layer(tmp_path, predicted):
    with Corrected(predicted, LabelStore(tmp_path, SHAPE)) as layer:
        yield layer


def test_what_nobody_touched_reads_as_predicted(layer, predicted):
    np.testing.assert_array_equal(layer[:], predicted)
    assert layer.changed_voxels == 0
    assert layer.touched() == []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_it_reads_and_paints_as_an_array_does(tmp_path_factory, data):
    predicted = np.random.default_rng(data.draw(st.integers(0, 50))).integers(0, 4, SHAPE, np.uint8)
    prediction = predicted.copy()
    model = predicted.copy()
    folder = tmp_path_factory.mktemp("corrections")
    with Corrected(prediction, LabelStore(folder, SHAPE)) as layer:
        for _ in range(data.draw(st.integers(1, 4))):
            start = tuple(data.draw(st.integers(0, n - 1)) for n in SHAPE)
            stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, SHAPE, strict=True))
            box = Box(start, stop)
            value = data.draw(st.integers(0, 5))
            if data.draw(st.booleans()):
                layer[box.slices] = value
                model[box.slices] = value
            else:
                region = layer[box.slices]
                mask = np.random.default_rng(1).random(box.shape) < 0.3
                region[mask] = value
                layer[box.slices] = region
                model[box.slices][mask] = value
            np.testing.assert_array_equal(layer[box.slices], model[box.slices])
        np.testing.assert_array_equal(layer[:], model)
        np.testing.assert_array_equal(layer.predicted(Box.whole(SHAPE)), predicted)
        assert layer.changed_voxels == np.count_nonzero(model != predicted)
        np.testing.assert_array_equal(prediction, predicted)
    with Corrected(prediction, LabelStore(folder, SHAPE, readonly=True)) as layer:
        np.testing.assert_array_equal(layer[:], model)
        for block in (Box((0, 0, 0), (3, 70, 70)), Box((5, 60, 100), (6, 70, 140))):
            np.testing.assert_array_equal(layer.read(block), model[block.slices])
        assert not layer.can_undo
    with Corrected(prediction, LabelStore(folder, SHAPE)) as layer:
        while layer.undo():
            pass
        np.testing.assert_array_equal(layer[:], predicted)
        assert layer.changed_voxels == 0
        layer.flush()
        assert layer.touched() == []


def test_painting_what_is_predicted_changes_nothing(layer, predicted):
    layer[:] = predicted
    assert not layer.can_undo


def test_outside_can_be_painted_and_255_is_refused(layer):
    layer[0, :5, :5] = 0
    assert not layer[0, :5, :5].any()
    with pytest.raises(InputError, match="255"):
        layer[0, 0, 0] = 255


def test_a_large_box_is_corrected_in_parts_and_undone_as_one(tmp_path):
    shape = (130, 400, 400)
    predicted = np.ones(shape, np.uint8)
    with Corrected(predicted, LabelStore(tmp_path, shape)) as layer:
        assert layer.write(Box.whole(shape), None, 2) == Box.whole(shape)
        assert layer[129, 399, 399] == 2
        assert layer.undo() == Box.whole(shape)
        assert layer[129, 399, 399] == 1
        assert not layer.can_undo


def test_a_brush_on_a_plane_that_is_shown_does_not_read_the_prediction_again(tmp_path):
    class Counted:
        shape, dtype = (8, 900, 900), np.dtype(np.uint8)
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            return np.ones([s.stop - s.start for s in key], np.uint8)

    prediction = Counted()
    with Corrected(prediction, LabelStore(tmp_path, prediction.shape)) as layer:
        layer[3]
        for i in range(20):
            key = np.s_[3:4, 100 + i : 121 + i, 200:221]
            region = layer[key]
            region[:] = 2
            layer[key] = region
        assert prediction.reads == 1
        for i in range(20):
            layer[4:7, 300 + i : 310 + i, 300:310] = 2
        assert prediction.reads <= 3

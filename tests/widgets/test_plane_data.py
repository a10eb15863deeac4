"""A plane as a layer of the whole volume equals the volume of zeros that it stands for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from lithoscope._napari.plane_data import PlaneData


@given(st.data())
def test_every_part_equals_the_volume_of_zeros_with_the_plane_in_it(data):
    axis = data.draw(st.integers(0, 2))
    shape = list(data.draw(st.tuples(*[st.integers(1, 5)] * 3)))
    index = data.draw(st.integers(0, shape[axis] - 1))
    planes, shape[axis] = shape[axis], 1
    plane = np.random.default_rng(0).integers(1, 9, shape).astype(np.uint8)
    made = PlaneData(plane, axis, index, planes)
    dense = np.zeros(made.shape, np.uint8)
    dense[tuple(slice(index, index + 1) if a == axis else slice(None) for a in range(3))] = plane
    key = data.draw(basic_indices(dense.shape))
    np.testing.assert_array_equal(made[key], dense[key])
    np.testing.assert_array_equal(np.asarray(made), dense)
    assert (made.shape, made.ndim, made.dtype, made.size, len(made)) == (dense.shape, 3, dense.dtype, dense.size, len(dense))


def test_another_plane_takes_the_place_of_the_former_one():
    made = PlaneData(np.ones((1, 3, 4), np.uint8), 0, 2, 6)
    plane = np.full((1, 3, 4), 7, np.uint8)
    assert made.fits(plane, 0, 6)
    made.put(plane, 5)
    plane[:] = 0
    assert not made[2].any()
    assert (made[5] == 7).all()
    assert (made[5:6] == 7).all()
    assert not made.fits(plane[:, :2], 0, 6)
    assert not made.fits(plane, 1, 6)

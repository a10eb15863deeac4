"""An array on disk, as napari looks at it, answers like a numpy array and reads only what is looked at."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image

from lithoscope._napari.shown import Shown, shown
from lithoscope.volume.chunk_cache import ChunkCache, Chunks
from lithoscope.volume.store import create_array

SHAPE = (40, 30, 50)
VALUES = np.random.default_rng(2).integers(0, 255, SHAPE, dtype=np.uint8)


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Any:
    array = create_array(tmp_path_factory.mktemp("a") / "0", SHAPE, np.uint8, chunks=(16, 16, 16))
    array[...] = VALUES
    return array


def index(size: int) -> st.SearchStrategy[Any]:
    return st.one_of(st.integers(-size, size - 1), st.integers(0, size - 1).map(np.int64), st.slices(size))


@settings(max_examples=150, deadline=None)
@given(key=st.tuples(*(index(n) for n in SHAPE)), axes=st.integers(0, 3), more=st.booleans())
def test_every_index_gives_what_numpy_gives(array: Any, key: tuple[Any, ...], axes: int, more: bool) -> None:
    (volume,) = shown([array], "a")
    asked = (*key[:axes], ...) if more else key[:axes]
    found = volume[asked]
    assert np.array_equal(np.asarray(found), VALUES[asked])
    assert np.shape(found) == VALUES[asked].shape


def test_a_part_is_cut_without_being_read_and_then_to_a_plane(array: Any) -> None:
    part = shown([array], "a")[0][:, 3:20, 10:]
    assert isinstance(part, Shown)
    assert part.shape == (40, 17, 40)
    assert np.array_equal(part[7], VALUES[7, 3:20, 10:])
    assert np.array_equal(np.asarray(part), VALUES[:, 3:20, 10:])


@pytest.mark.parametrize("key", [40, (0, 30), (0, 0, -51), (0, 0, 0, 0), ([1, 2],), None, (VALUES > 3,)])
def test_an_index_that_makes_no_sense_is_refused(array: Any, key: Any) -> None:
    with pytest.raises(IndexError):
        shown([array], "a")[0][key]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_napari_shows_every_plane_as_it_lies_on_disk(array: Any, order: tuple[int, int, int]) -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    layer = viewer.add_layer(Image(shown([array], "a")[0], multiscale=False, contrast_limits=(0, 255)))
    viewer.dims.order = order
    axis = order[0]
    for place in (0, 5, SHAPE[axis] - 1):
        viewer.dims.set_current_step(axis, place)
        assert np.array_equal(layer._slice.image.raw, VALUES.take(place, axis))


@pytest.mark.parametrize("projection", ["none", "mean"])
def test_a_plane_that_napari_asks_for_in_either_way_is_read_ahead(array: Any, projection: str) -> None:
    from napari.components import ViewerModel

    cache = ChunkCache(1 << 20)
    volume = Shown(Chunks(array, "b", cache))
    viewer = ViewerModel()
    viewer.add_layer(Image(volume, multiscale=False, contrast_limits=(0, 255), projection_mode=projection))
    viewer.dims.set_current_step(0, 20)
    assert cache._ahead is not None
    cache._ahead.result(timeout=60)
    held = cache.bytes
    assert held >= 16 * 30 * 50
    viewer.dims.set_current_step(0, 21)
    assert cache.bytes == held

"""A field of view is proposed only where one is plain to see, and says exactly what lies inside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Cancelled
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.field_of_view import BoxView, Cylinder, Mask, from_json, parse, propose
from lithoscope.volume.scan import Scan


def disc(shape, cy, cx, r):
    y, x = np.mgrid[0 : shape[1], 0 : shape[2]]
    return np.broadcast_to((y - cy) ** 2 + (x - cx) ** 2 <= r * r, shape)


def scan(shape, inside, constant=0, dtype=np.uint16):
    values = np.random.default_rng(0).normal(1000, 100, shape).astype(dtype)
    return np.where(inside, values, np.asarray(constant, dtype))


@pytest.mark.parametrize("constant", [0, 65535])
def test_a_circle_of_constant_surroundings_is_found(constant):
    shape = (10, 96, 100)
    found = propose(scan(shape, disc(shape, 47.3, 50.2, 41), constant), shape)
    assert isinstance(found, Cylinder)
    assert (found.cy, found.cx, found.r) == pytest.approx((47.3, 50.2, 41), abs=1)


def test_a_circle_surrounded_by_nan_is_found():
    shape = (10, 96, 96)
    assert isinstance(propose(scan(shape, disc(shape, 48, 48, 40), np.nan, np.float32), shape), Cylinder)


def test_a_circle_cut_by_the_frame_is_found():
    shape = (10, 96, 96)
    found = propose(scan(shape, disc(shape, 47.5, 47.5, 56)), shape)
    assert isinstance(found, Cylinder)
    assert found.r == pytest.approx(56, abs=1.5)


def test_a_box_is_found():
    shape = (12, 80, 90)
    inside = np.zeros(shape, bool)
    inside[:, 10:70, 5:85] = True
    assert propose(scan(shape, inside), shape) == BoxView(Box((0, 10, 5), (12, 70, 85)))


def test_pores_as_dark_as_the_outside_rule_a_field_of_view_out():
    shape = (10, 96, 96)
    image = scan(shape, disc(shape, 48, 48, 40))
    image[:, ::4, ::4] = 0
    assert propose(image, shape) is None


def test_background_of_no_simple_shape_is_no_field_of_view():
    shape = (10, 96, 96)
    inside = disc(shape, 30, 30, 15) | disc(shape, 70, 60, 12)
    assert propose(scan(shape, inside), shape) is None


def test_a_full_scan_has_no_field_of_view():
    shape = (10, 96, 96)
    assert propose(scan(shape, np.ones(shape, bool)), shape) is None
    assert propose(np.zeros(shape, np.uint8), shape) is None


def test_an_outside_of_noise_is_no_field_of_view():
    shape = (10, 96, 96)
    image = scan(shape, disc(shape, 48, 48, 40))
    image[~disc(shape, 48, 48, 40)] += np.random.default_rng(1).integers(0, 3, (~disc(shape, 48, 48, 40)).sum()).astype(np.uint16)
    assert propose(image, shape) is None


def test_a_wandering_circle_is_no_cylinder():
    shape = (10, 96, 96)
    inside = np.stack([disc((1, 96, 96), 48, 35 + 3 * z, 30)[0] for z in range(10)])
    assert not isinstance(propose(scan(shape, inside), shape), Cylinder)


corner = st.integers(-4, 12)


@given(corner, corner, corner, st.integers(1, 8), st.floats(0.5, 9))
def test_a_cylinder_says_what_lies_inside_any_box(z, y, x, edge, r):
    box = Box((z, y, x), (z + edge, y + edge, x + edge))
    inside = Cylinder(4.5, 3.0, r).inside(box)
    yy, xx = np.mgrid[y : y + edge, x : x + edge]
    expected = np.broadcast_to((yy - 4.5) ** 2 + (xx - 3.0) ** 2 <= r * r, (edge,) * 3)
    assert expected.all() if inside is None else (inside == expected).all()


@given(corner, corner, corner, st.integers(1, 8))
def test_a_box_says_what_lies_inside_any_box(z, y, x, edge):
    view = BoxView(Box((2, 1, 0), (9, 7, 5)))
    box = Box((z, y, x), (z + edge, y + edge, x + edge))
    whole = np.zeros((40, 40, 40), bool)
    whole[12:19, 11:17, 10:15] = True
    inside = view.inside(box)
    expected = whole[box.shift((10, 10, 10)).slices]
    assert expected.all() if inside is None else (inside == expected).all()


def test_what_is_written_is_read_back(tmp_path):
    for view in (Cylinder(1.5, 2.5, 3.0), BoxView(Box((0, 1, 2), (3, 4, 5)))):
        assert from_json(view.to_json(), tmp_path) == view
        assert parse(str(view), (10, 10, 10)) == view
    assert parse("none", (10, 10, 10)) is None
    assert from_json(None, tmp_path) is None


@pytest.mark.parametrize(
    "text", ["cylinder:1,2", "cylinder:a,b,c", "cylinder:5,5,-1", "cylinder:500,500,3", "box:0:3,0:3", "box:0:99,0:3,0:3"]
)
def test_a_field_of_view_that_makes_no_sense_is_refused(text):
    with pytest.raises(InputError):
        parse(text, (10, 10, 10))


def test_a_mask_that_is_not_there_is_said(tmp_path):
    with pytest.raises(MissingError, match="neither auto"):
        parse(str(tmp_path / "no mask.tif"), (10, 10, 10))
    (tmp_path / "mask.tif").touch()
    assert isinstance(parse(str(tmp_path / "mask.tif"), (10, 10, 10)), Mask)


def test_a_mask_whose_counting_was_cancelled_leaves_the_one_before_it(tmp_path):
    image = np.random.default_rng(0).integers(1, 200, (6, 20, 24), np.uint8)
    np.save(tmp_path / "a.npy", image)
    scan = import_scan(tmp_path / "a.npy", tmp_path / "a.zarr", field_of_view=None)
    first, second = np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8)
    first[:, 2:9], second[:, 11:] = 1, 1
    np.save(tmp_path / "first.npy", first)
    np.save(tmp_path / "second.npy", second)
    scan.set(field_of_view=str(tmp_path / "first.npy"))

    def cancelled(progress):
        if progress.message.startswith("counting"):
            raise Cancelled

    with pytest.raises(Cancelled):
        Scan.open(scan.path).set(field_of_view=str(tmp_path / "second.npy"), report=cancelled)
    again = Scan.open(scan.path)
    np.testing.assert_array_equal(again.inside(again.box), first > 0)
    assert again.histogram.total == first.sum()
    again.set(field_of_view=str(tmp_path / "second.npy"))
    np.testing.assert_array_equal(Scan.open(scan.path).inside(again.box), second > 0)
    assert len(list(again.sidecar.glob("field_of_view*"))) == 1
    again.set(field_of_view="none")
    assert not list(again.sidecar.glob("field_of_view*"))

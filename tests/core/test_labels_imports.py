"""Labels made elsewhere: taken up exactly, or refused with what to say."""

import numpy as np
import pytest
import tifffile
import zarr
from labels_data import make_scan

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LithoscopeError, LockedError, MissingError, TakenError
from lithoscope.job import Cancelled
from lithoscope.labels.classes_file import load_classes, save_classes
from lithoscope.labels.corrections import corrected
from lithoscope.labels.imports import given_classes, import_labels, parse_value_map
from lithoscope.labels.results import open_result, results, resume
from lithoscope.labels.strokes import strokes
from lithoscope.volume.field_of_view import parse

SHAPE = (9, 30, 40)


@pytest.fixture
def scan(tmp_path):
    return make_scan(tmp_path / "rock.zarr", SHAPE)


def some(*values, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).choice(np.array(values, dtype), SHAPE)


def as_tiff(tmp_path, labels, name="masks0000.tif", **how):
    tifffile.imwrite(tmp_path / name, labels, **how)
    return tmp_path / name


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"imagej": True}], ids=str)
def test_a_tiff_of_classes_is_taken_up_as_it_is(tmp_path, scan, how):
    labels = some(1, 2, 3)
    record = import_labels(scan, as_tiff(tmp_path, labels, **how), "manual")
    result = open_result(scan, "manual")
    np.testing.assert_array_equal(result.array[:], labels)
    assert result.record == record
    assert record.inputs.keys() == {"masks0000.tif"}
    assert result.classes.ids == (1, 2, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_values_become_the_classes_that_the_map_says(tmp_path, scan, dtype):
    labels = some(0, 255, seed=1).astype(dtype)
    import_labels(scan, as_tiff(tmp_path, labels), "manual", value_map={0: 1, 255: 2, 7: 3})
    np.testing.assert_array_equal(open_result(scan, "manual").array[:], np.where(labels == 255, 2, 1))


def test_negative_values_can_be_mapped(tmp_path, scan):
    labels = some(-1, 300, dtype=np.int16)
    import_labels(scan, as_tiff(tmp_path, labels), "manual", value_map={-1: 0, 300: 2})
    np.testing.assert_array_equal(open_result(scan, "manual").array[:], np.where(labels == 300, 2, 0))


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ((0, 255), "result", "masks0000.tif holds 0 and 255; say which class each is: --map 0=1 255=2"),
        ((0, 255), "strokes", "masks0000.tif holds 0 and 255; say which class each is: --map 0=0 255=1"),
        ((0, 255), "truth", "masks0000.tif holds 0 and 255; say which class each is: --map 0=1 255=2"),
        ((0, 1), "truth", "masks0000.tif holds 0 and 1; say which class each is: --map 0=1 1=2"),
        ((1, 3, 4), "result", "masks0000.tif holds 1, 3 and 4; say which class each is: --map 1=1 3=2 4=3"),
        ((2,), "result", "masks0000.tif holds 2; say which class each is: --map 2=1"),
        ((0,), "result", "masks0000.tif holds only 0: nothing is labelled in it"),
    ],
)
def test_values_that_are_not_plain_classes_are_refused_without_a_map(tmp_path, scan, values, kind, message):
    with pytest.raises(InputError) as refused:
        import_labels(scan, as_tiff(tmp_path, some(*values)), "manual", kind=kind)
    assert str(refused.value) == message
    assert results(scan) == []
    assert not list(scan.path.rglob("*.partial"))


@pytest.mark.parametrize("kind", ["result", "strokes"])
def test_zeros_and_ones_are_classes_of_a_result_and_strokes(tmp_path, scan, kind):
    import_labels(scan, as_tiff(tmp_path, some(0, 1)), "manual", kind=kind)


def test_a_truth_may_be_zero_outside_the_field_of_view(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", SHAPE)
    view = parse("cylinder:15,20,10", SHAPE)
    scan.__dict__["field_of_view"] = view
    inside = view.inside(scan.box)
    labels = np.where(inside, some(1, 2), 0).astype(np.uint8)
    record = import_labels(scan, as_tiff(tmp_path, labels), "manual", kind="truth")
    assert record.kind == "truth"
    np.testing.assert_array_equal(open_result(scan, "manual").array[:], labels)


def test_a_map_that_leaves_values_out_is_refused_with_what_to_add(tmp_path, scan):
    with pytest.raises(InputError, match="also holds 7; say which class each is: --map 0=1 255=2 7=3"):
        import_labels(scan, as_tiff(tmp_path, some(0, 7, 255)), "manual", value_map={0: 1, 255: 2})


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_grey_values_are_no_classes(tmp_path, scan, value):
    labels = some(1, 2).astype(np.float32)
    labels[3, 4, 5] = value
    with pytest.raises(InputError, match="grey values"):
        import_labels(scan, as_tiff(tmp_path, labels), "manual")


def test_a_sixteen_bit_image_is_no_classes(tmp_path, scan):
    labels = np.random.default_rng(0).integers(0, 60_000, SHAPE, np.uint16)
    with pytest.raises(InputError, match="more than 1000 values"):
        import_labels(scan, as_tiff(tmp_path, labels), "manual")


def test_labels_of_another_shape_are_refused_and_never_resized(tmp_path, scan):
    with pytest.raises(InputError) as refused:
        import_labels(scan, as_tiff(tmp_path, np.ones((9, 30, 41), np.uint8)), "manual")
    sizes = "masks0000.tif is 9 × 30 × 41, rock is 9 × 30 × 40 (z × y × x)"
    assert str(refused.value) == f"{sizes}; labels are never resized: export them on the scan's grid"


@pytest.mark.parametrize("inner", ["", "labels/mine", "labels/mine/0"])
def test_an_array_in_a_zarr_is_named_by_its_path(tmp_path, scan, inner):
    labels = some(1, 2)
    place = tmp_path / "given.zarr"
    if inner:
        group = zarr.open_group(str(place), mode="w").require_group("labels/mine" if inner.endswith("0") else "labels")
        group.create_array(inner.split("/")[-1], data=labels)
    else:
        zarr.create_array(str(place), data=labels)
    import_labels(scan, place / inner if inner else place, "manual")
    np.testing.assert_array_equal(open_result(scan, "manual").array[:], labels)


def test_a_result_of_another_scan_is_taken_up_with_its_levels(tmp_path, scan):
    other = make_scan(tmp_path / "other.zarr", SHAPE)
    labels = some(1, 2, 3)
    import_labels(other, as_tiff(tmp_path, labels), "manual")
    import_labels(scan, other.path / "labels" / "manual", "copied")
    np.testing.assert_array_equal(open_result(scan, "copied").array[:], labels)


def test_a_name_in_the_scan_is_read_as_corrected(tmp_path, scan):
    labels = some(1, 2)
    import_labels(scan, as_tiff(tmp_path, labels), "manual")
    with corrected(scan, "manual") as layer:
        layer[0, 0, :10] = 3
    import_labels(scan, "manual", "settled", kind="truth")
    labels[0, 0, :10] = 3
    np.testing.assert_array_equal(open_result(scan, "settled").array[:], labels)
    import_labels(scan, "settled", "x", kind="strokes")
    import_labels(scan, "strokes", "painted")
    np.testing.assert_array_equal(open_result(scan, "painted").array[:], labels)


def test_strokes_are_added_to_what_was_painted_and_undone_as_one(tmp_path, scan):
    labels = some(0, 0, 0, 2, 1)
    with strokes(scan) as store:
        store[0] = 4
        before = store[:]
    import_labels(scan, as_tiff(tmp_path, labels), "any", kind="strokes")
    with strokes(scan) as store:
        np.testing.assert_array_equal(store[:], np.where(labels, labels, before))
        store.undo()
        np.testing.assert_array_equal(store[:], before)
        with pytest.raises(LockedError):
            import_labels(scan, tmp_path / "masks0000.tif", "any", kind="strokes")
    assert load_classes(scan).ids == (1, 2)


def test_classes_keep_the_names_of_the_scan(tmp_path, scan):
    table = ClassTable().add("pore", porosity=1.0).add("class 3")
    save_classes(scan, table)
    import_labels(scan, as_tiff(tmp_path, some(1, 2, 3)), "manual")
    assert [c.name for c in open_result(scan, "manual").classes] == ["pore", "class 3", "class 3 (imported)"]
    assert load_classes(scan) == table


@pytest.mark.parametrize("kind", ["result", "strokes"])
def test_a_cancelled_import_leaves_nothing(tmp_path, kind):
    scan = make_scan(tmp_path / "rock.zarr", SHAPE, shard=(2, 32, 64))
    with strokes(scan) as store:
        store[0, 0, 0] = 3
        before = store[:]
    seen = []

    def stop(progress):
        seen.append(progress)
        if "importing" in progress.message and progress.done > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        import_labels(scan, as_tiff(tmp_path, some(1, 2)), "manual", kind=kind, report=stop)
    assert seen
    assert results(scan) == []
    assert resume(scan, "manual") is None
    with strokes(scan) as store:
        np.testing.assert_array_equal(store[:], before)
        assert store.can_undo


def test_nothing_is_overwritten_unasked(tmp_path, scan):
    import_labels(scan, as_tiff(tmp_path, some(1, 2)), "manual")
    with pytest.raises(TakenError):
        import_labels(scan, as_tiff(tmp_path, some(1, 2, 3)), "manual")
    import_labels(scan, as_tiff(tmp_path, some(1, 2, 3)), "manual", overwrite=True)
    assert len(open_result(scan, "manual").classes) == 3


def test_what_is_not_there_is_told(scan):
    with pytest.raises(MissingError, match=r"no file none\.tif"):
        import_labels(scan, "none.tif", "manual")


def test_given_labels_are_read_by_block_with_their_classes(tmp_path, scan):
    labels = some(0, 255)
    with given_classes(scan, as_tiff(tmp_path, labels), {0: 1, 255: 2}) as array:
        np.testing.assert_array_equal(array[2:5, 3:9, 1:40], np.where(labels == 255, 2, 1)[2:5, 3:9, 1:40])


def test_a_value_map_is_read_as_it_is_written():
    assert parse_value_map(["0=1", "255=2"]) == {0: 1, 255: 2}
    assert parse_value_map(["0=1,255=2", "-5=0"]) == {0: 1, 255: 2, -5: 0}
    assert parse_value_map("0=1 255=2") == {0: 1, 255: 2}


@pytest.mark.parametrize("text", ["", "0", "a=1", "0=b", "0=255", "0=-1", "0=1 0=2", "0=1=2", "1.5=2"])
def test_a_value_map_that_makes_no_sense_is_refused(text):
    with pytest.raises(InputError):
        parse_value_map([text])


def test_an_import_that_cannot_be_read_is_one_clear_line(tmp_path, scan):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0\x08\0\0\0garbage")
    colour = as_tiff(tmp_path, np.zeros((30, 40, 3), np.uint8), "colour.tif", photometric="rgb")
    for path in (bad, colour):
        with pytest.raises(LithoscopeError) as refused:
            import_labels(scan, path, "manual")
        assert "\n" not in str(refused.value)

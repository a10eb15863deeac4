"""Results: written in blocks to all levels, resumed, shown in one step."""

import numpy as np
import pytest
import zarr
from labels_data import make_scan

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LockedError, MissingError, NewerSchemaError, TakenError
from lithoscope.labels import results
from lithoscope.labels.corrections import corrected
from lithoscope.record import RunRecord
from lithoscope.volume.blocks import blocks
from lithoscope.volume.box import Box
from lithoscope.volume.pyramid import level_factors


def a_record(**changes):
    return RunRecord(kind="segment", method="otsu", parameters={"classes": 3}, source={}, **changes)


def some_labels(shape, seed=1):
    return np.random.default_rng(seed).integers(1, 4, shape, np.uint8)


def write(scan, name, labels, *, overwrite=False, record=None):
    with results.create(scan, name, record or a_record(), ClassTable.numbered(3), overwrite=overwrite) as writer:
        for block in blocks(scan.box, scan.shard):
            writer.write(block, labels[block.slices])
            writer.done(block)
        writer.finish(writer.record)


@pytest.mark.parametrize("ours", [True, False])
def test_a_result_holds_the_labels_at_every_level_and_is_a_valid_ome_zarr(tmp_path, ours):
    scan = make_scan(tmp_path / "rock.zarr", (20, 530, 70), shard=(16, 128, 64), ours=ours)
    labels = some_labels(scan.shape)
    write(scan, "otsu", labels)

    from ome_zarr_models.v05 import Image, ImageLabel, Labels

    result = results.open_result(scan, "otsu")
    factors = level_factors(scan.shape)
    assert len(result.levels) == len(factors) == 2
    for level, (z, y, x) in zip(result.levels, factors, strict=True):
        np.testing.assert_array_equal(level[:], labels[::z, ::y, ::x])
    assert result.record.method == "otsu"
    assert result.classes == ClassTable.numbered(3)
    group = zarr.open_group(str(result.path), mode="r")
    image_label = ImageLabel.from_zarr(group).attributes.ome.image_label
    assert [c.label_value for c in image_label.colors] == [1, 2, 3]
    assert (result.path / image_label.source.image).resolve() == scan.path.resolve()
    assert Labels.from_zarr(zarr.open_group(str(scan.labels_folder), mode="r")).attributes.ome.labels == ["otsu"]
    Image.from_zarr(zarr.open_group(str(scan.path), mode="r"))


def test_a_result_is_not_seen_before_it_is_finished(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    with results.create(scan, "otsu", a_record(), ClassTable.numbered(2)) as writer:
        assert results.results(scan) == []
        with pytest.raises(MissingError):
            results.open_result(scan, "otsu")
        with pytest.raises(LockedError):
            results.create(scan, "otsu", a_record(), ClassTable.numbered(2))
        writer.finish(writer.record)
    assert results.results(scan) == ["otsu"]


def test_a_killed_run_is_resumed_where_it_stopped(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", shard=(32, 64, 64))
    labels = some_labels(scan.shape)
    grid = blocks(scan.box, scan.shard)
    record = a_record()
    writer = results.create(scan, "otsu", record, ClassTable.numbered(3))
    for number in (0, 2, 5):
        writer.write(grid[number], labels[grid[number].slices])
        writer.done(grid[number])
    with (scan.sidecar / "runs" / record.uuid / "done").open("a") as file:
        file.write("1")  # torn
    writer.close()

    again = results.resume(scan, "otsu")
    assert again.finished == {0, 2, 5}
    assert again.record == record
    for number, block in enumerate(grid):
        if number not in again.finished:
            again.write(block, labels[block.slices])
            again.done(block)
    again.finish(again.record)
    np.testing.assert_array_equal(results.open_result(scan, "otsu").array[:], labels)
    assert results.resume(scan, "otsu") is None
    assert not (scan.sidecar / "runs" / record.uuid).exists()


def test_blocks_are_numbered_as_they_are_listed(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", shard=(16, 32, 32))
    box = Box((17, 5, 33), (60, 70, 90))
    source = {"box": box.to_json()}
    with results.create(scan, "a", RunRecord("segment", "otsu", {}, source), ClassTable.numbered(1)) as writer:
        assert [writer.number(b) for b in blocks(box, scan.shard)] == list(range(len(blocks(box, scan.shard))))
        assert writer.box == box
        writer.abandon()
    assert results.resume(scan, "a") is None


def test_a_box_that_starts_anywhere_fills_the_coarser_levels_rightly(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr", (5, 1030, 9), shard=(8, 64, 16))
    whole = np.zeros(scan.shape, np.uint8)
    labels = some_labels((3, 901, 7))
    box = Box((1, 7, 1), (4, 908, 8))
    whole[box.slices] = labels
    with results.create(scan, "a", a_record(), ClassTable.numbered(3)) as writer:
        for block in blocks(box, scan.shard):
            writer.write(block, labels[block.within(box).slices])
        writer.finish(writer.record)
    for level, (z, y, x) in zip(results.open_result(scan, "a").levels, level_factors(scan.shape), strict=True):
        np.testing.assert_array_equal(level[:], whole[::z, ::y, ::x])


def test_nothing_is_overwritten_unasked(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    first, second = some_labels(scan.shape, 1), some_labels(scan.shape, 2)
    write(scan, "otsu", first)
    with pytest.raises(TakenError, match="overwrite"):
        results.create(scan, "otsu", a_record(), ClassTable.numbered(3))
    with pytest.raises(TakenError):
        results.create(scan, "OTSU", a_record(), ClassTable.numbered(3))
    np.testing.assert_array_equal(results.open_result(scan, "otsu").array[:], first)
    write(scan, "otsu", second, overwrite=True)
    np.testing.assert_array_equal(results.open_result(scan, "otsu").array[:], second)
    assert sorted(p.name for p in scan.labels_folder.iterdir()) == ["otsu", "zarr.json"]


def test_corrections_are_kept_when_the_method_runs_again(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    write(scan, "otsu", some_labels(scan.shape, 1))
    with corrected(scan, "otsu") as layer:
        layer[3, 4, 5:9] = 7
    second = some_labels(scan.shape, 2)
    write(scan, "otsu", second, overwrite=True)
    second[3, 4, 5:9] = 7
    with corrected(scan, "otsu") as layer:
        np.testing.assert_array_equal(layer[:], second)


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    labels = some_labels(scan.shape)
    write(scan, "otsu", labels)
    (scan.labels_folder / "otsu").rename(scan.labels_folder / ".otsu.replaced")
    np.testing.assert_array_equal(results.open_result(scan, "otsu").array[:], labels)


def test_renaming_and_deleting_take_the_corrections_along(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    labels = some_labels(scan.shape)
    write(scan, "otsu", labels)
    write(scan, "fuzzy", labels)
    layer = corrected(scan, "otsu")
    layer[0, 0, :4] = 9
    with pytest.raises(LockedError):
        results.rename(scan, "otsu", "thresholds")
    layer.close()
    with pytest.raises(TakenError):
        results.rename(scan, "otsu", "fuzzy")
    results.rename(scan, "otsu", "thresholds")
    assert results.results(scan) == ["fuzzy", "thresholds"]
    with corrected(scan, "thresholds") as layer:
        assert (layer[0, 0, :4] == 9).all()
    results.delete(scan, "thresholds")
    assert results.results(scan) == ["fuzzy"]
    write(scan, "thresholds", labels)
    with corrected(scan, "thresholds", readonly=True) as layer:
        np.testing.assert_array_equal(layer[:], labels)


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\\b", "..", "x.partial", " a", "a:b", "__x", "a\n", "x" * 200])
def test_names_that_cannot_be_folders_everywhere_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="result name"):
        results.check_name(name)


def test_a_name_may_have_spaces_and_non_latin_letters(tmp_path):
    scan = make_scan(tmp_path / "my scan Σ.zarr")
    write(scan, "порода 岩石", some_labels(scan.shape))
    assert results.results(scan) == ["порода 岩石"]


def test_a_result_of_a_newer_version_is_refused(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    write(scan, "otsu", some_labels(scan.shape))
    group = zarr.open_group(str(scan.labels_folder / "otsu"), mode="r+")
    group.attrs.update({"lithoscope": {"schema": 99}})
    with pytest.raises(NewerSchemaError):
        results.open_result(scan, "otsu")


def test_labels_of_another_shape_are_a_programming_error(tmp_path):
    scan = make_scan(tmp_path / "rock.zarr")
    with results.create(scan, "a", a_record(), ClassTable.numbered(1)) as writer:
        with pytest.raises(ValueError, match="box of"):
            writer.write(Box((0, 0, 0), (2, 2, 2)), np.zeros((2, 2, 3), np.uint8))
        with pytest.raises(ValueError, match="beyond"):
            writer.write(Box((69, 0, 0), (71, 2, 2)), np.zeros((2, 2, 2), np.uint8))

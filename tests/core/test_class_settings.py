"""Names, colours and porosities of classes by command line, and what nobody said."""

import json

import numpy as np
import pytest
import tifffile

from lithoscope.classes import ClassTable
from lithoscope.cli.commands import command
from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.labels.classes_file import load_classes, save_classes
from lithoscope.labels.results import open_result
from lithoscope.volume.convert import import_scan


@pytest.fixture
def scan(tmp_path):
    np.save(tmp_path / "rock.npy", np.random.default_rng(0).integers(0, 255, (6, 20, 24), np.uint8))
    return import_scan(tmp_path / "rock.npy", tmp_path / "rock.zarr", field_of_view=None)


@pytest.fixture
def mask(scan, tmp_path):
    values = np.where(scan.levels[0][:] < 100, 7, 9).astype(np.uint8)
    tifffile.imwrite(tmp_path / "mask.tif", values)
    return tmp_path / "mask.tif"


def test_what_is_called_a_pore_is_one_unless_it_is_said_otherwise():
    table = ClassTable().add("Pore").add("clay", porosity=0.3).add()
    assert [c.porosity for c in table] == [1, 0.3, 0]
    table = table.change(3, name="void").change(2, name="air").change(1, name="quartz")
    assert [c.porosity for c in table] == [0, 0.3, 1]
    assert table.change(3, name="grain", porosity=0.5)[3].porosity == 0.5


def test_imported_labels_get_names_and_porosities(scan, mask):
    command("labels_import")(str(scan.path), str(mask), "given", map=["7=1", "9=2"], names=["1=pore", "2=clay"], porosity=["2=0.25"])
    assert [(c.name, c.porosity) for c in open_result(scan, "given").classes] == [("pore", 1.0), ("clay", 0.25)]
    share = (scan.levels[0][:] < 100).mean()
    assert command("measure")(str(scan.path), "given")["porosity"] == pytest.approx(share + 0.25 * (1 - share))


def test_strokes_bring_their_names_into_the_scan(scan, mask):
    save_classes(scan, ClassTable().add("matter"))
    command("labels_import")(str(scan.path), str(mask), "painted", map=["7=1", "9=2"], names=["1=void"], as_="strokes")
    assert [(c.id, c.name, c.porosity) for c in load_classes(scan)] == [(1, "void", 1.0), (2, "class 2", 0.0)]


def test_classes_of_the_scan_and_of_a_result_are_changed(scan, mask):
    command("labels_import")(str(scan.path), str(mask), "given", map=["7=1", "9=2"])
    uuid = open_result(scan, "given").record.uuid
    answer = command("labels_classes")(str(scan.path), "given", changes=["1:name=pore,porosity=0.9", "class 2:colour=#010203"])
    assert [(c["name"], c["porosity"]) for c in answer["classes"]] == [("pore", 0.9), ("class 2", 0)]
    found = open_result(scan, "given")
    assert (found.classes[1].name, found.classes[1].porosity, found.classes[2].colour) == ("pore", 0.9, "#010203")
    assert found.record.uuid == uuid
    about = json.loads((found.path / "zarr.json").read_text())["attributes"]["ome"]["image-label"]
    assert about["colors"][1] == {"label-value": 2, "rgba": [1, 2, 3, 255]}
    assert about["properties"][0]["porosity"] == 0.9
    assert not load_classes(scan).ids
    command("labels_classes")(str(scan.path), changes=["1:name=pore", "3:name=clay,porosity=.2"])
    assert [(c.id, c.name, c.porosity) for c in load_classes(scan)] == [(1, "pore", 1.0), (3, "clay", 0.2)]
    assert command("labels_classes")(str(scan.path))["classes"][1]["name"] == "clay"


@pytest.mark.parametrize("words", ["1", "1:", "1:size=3", "1:porosity=much", "1:porosity=2", "1:colour=red", "9:name=x", "nobody:name=x"])
def test_what_is_not_understood_is_said(scan, mask, words):
    command("labels_import")(str(scan.path), str(mask), "given", map=["7=1", "9=2"])
    with pytest.raises((InputError, MissingError)):
        command("labels_classes")(str(scan.path), "given", changes=[words])


def test_the_numbers_of_a_palette_are_classes_and_no_grey_levels(scan, tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 1], colours[:, 2] = (65535, 0, 0), (0, 40000, 0)
    values = np.where(scan.levels[0][:] < 100, 1, 2).astype(np.uint8)
    tifffile.imwrite(tmp_path / "coloured.tif", values, photometric="palette", colormap=colours)
    command("labels_import")(str(scan.path), str(tmp_path / "coloured.tif"), "coloured")
    np.testing.assert_array_equal(open_result(scan, "coloured").array[:], values)
    with pytest.raises(UnreadableError, match="labels import"):
        command("import")(str(tmp_path / "coloured.tif"), str(tmp_path / "no.zarr"))


def test_a_channel_of_several_holds_the_labels(scan, tmp_path):
    values = np.where(scan.levels[0][:] < 100, 1, 2).astype(np.uint8)
    both = np.stack([np.zeros_like(values), values], axis=1)
    tifffile.imwrite(tmp_path / "two.tif", both, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(UnreadableError, match="--channel"):
        command("labels_import")(str(scan.path), str(tmp_path / "two.tif"), "labels")
    command("labels_import")(str(scan.path), str(tmp_path / "two.tif"), "labels", channel=1)
    np.testing.assert_array_equal(open_result(scan, "labels").array[:], values)

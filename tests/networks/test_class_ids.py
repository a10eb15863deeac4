"""A class keeps its id, name and colour from the brush to the mask, also where ids have gaps."""

import numpy as np
import pytest
import tifffile

from lithoscope.classes import Class, ClassTable
from lithoscope.cli.commands import command
from lithoscope.labels.classes_file import save_classes
from lithoscope.labels.corrections import corrected
from lithoscope.labels.results import open_result
from lithoscope.labels.strokes import strokes
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan

CLASSES = ClassTable((Class(2, "pore", "#112233", 1.0), Class(5, "grain", "#ddeeff")), last=7)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ids")
    rng = np.random.default_rng(0)
    truth = np.where(np.arange(96) // 24 % 2 == 0, 2, 5).astype(np.uint8) * np.ones((8, 80, 1), np.uint8)
    np.save(folder / "rock.npy", (rng.normal(0, 8, truth.shape) + 20 * truth).clip(0, 255).astype(np.uint8))
    made = import_scan(folder / "rock.npy", folder / "rock.zarr", field_of_view=None)
    save_classes(made, CLASSES)
    with strokes(made) as store:
        for y, x in ((4, 6), (40, 54), (60, 10), (20, 30), (50, 30), (70, 80), (4, 78)):
            box = Box((3, y, x), (4, y + 6, x + 8))
            store.write(box, None, truth[box.slices])
    made.truth = truth
    command("segment")([str(made.path)], method="forest", output="forest", settings={"dimensions": 2, "trees": 5})
    return made


def test_a_result_holds_the_ids_that_were_painted(scan):
    found = open_result(scan, "forest")
    assert np.unique(found.array[...]).tolist() == [2, 5]
    assert (found.array[...] == scan.truth).mean() > 0.95
    assert [(c.id, c.name, c.colour, c.porosity) for c in found.classes] == [(2, "pore", "#112233", 1.0), (5, "grain", "#ddeeff", 0.0)]


def test_measures_exports_and_corrections_go_by_them(scan, tmp_path):
    assert set(command("measure")(str(scan.path), "forest")["phases"]) == {"2", "5"}
    with corrected(scan, "forest") as array:
        array[0, :4, :4] = 5
    command("export")(str(scan.path), "forest", str(tmp_path / "mask.tif"), values=["2=0", "5=255"])
    mask = tifffile.imread(tmp_path / "mask.tif")
    assert np.unique(mask).tolist() == [0, 255]
    assert (mask[0, :4, :4] == 255).all()
    command("export")(str(scan.path), "forest", str(tmp_path / "scores"), class_=["pore"], scores=True)
    likely = tifffile.imread(sorted((tmp_path / "scores").rglob("*.tif")))
    labels = open_result(scan, "forest").array[...]
    assert likely[labels == 2].min() >= 127
    assert likely[labels == 5].max() <= 128


def test_a_model_knows_them_by_name_in_its_own_scan(scan, tmp_path):
    command("train")([str(scan.path)], method="forest", model=str(tmp_path / "model"), settings={"dimensions": 2, "trees": 5})
    command("segment")([str(scan.path)], model=str(tmp_path / "model"), output="by model")
    np.testing.assert_array_equal(open_result(scan, "by model").array[...], open_result(scan, "forest").array[...])

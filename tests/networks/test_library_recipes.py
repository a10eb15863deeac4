"""Libraries whose patches are cut by length, at several sizes, and kept by several poolings; and how a small object is found."""

import numpy as np
import pytest
from library_data import SMALL, small_scan, textured

from lithoscope.errors import InputError
from lithoscope.features.backbones import SHIPPED
from lithoscope.retrieval.adding import add, opened
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.search import Query, search
from lithoscope.retrieval.sources import source_at
from lithoscope.retrieval.store import selected
from lithoscope.volume.box import Box

pytest.importorskip("lancedb")


def asked(library, path, box, k=4):
    memory = Memory.load(library)
    embedder, source = Embedder(library.recipe, opened(library.recipe.backbone, "cpu")), source_at(path)
    query = Query({s: embedder.query(source, box, s) for s in library.recipe.scales}, source.uuid, box)
    return search(memory, query, k).hits


def test_patches_of_one_length_find_their_kind_in_scans_of_other_voxels(tmp_path):
    """Coarse stripes, and the same stripes and grains in voxels half as large."""
    small_scan(tmp_path, "stripes", textured("stripes", (24, 40, 48)), voxel=(2.0, 2.0, 2.0))
    for name in ("stripes", "grains"):
        fine = textured(name, (24, 40, 48), 1).repeat(2, 0).repeat(2, 1).repeat(2, 2)
        small_scan(tmp_path, f"{name}-fine", fine, voxel=(1.0, 1.0, 1.0))
    scans = [tmp_path / f"{name}.zarr" for name in ("stripes", "stripes-fine", "grains-fine")]
    add(str(tmp_path / "lib"), scans, **{**SMALL, "patch_um": 32.0})
    library = Library.open(tmp_path / "lib")
    rows = selected(library.patches, None, ["name", "z0", "z1"]).to_pylist()
    assert {(r["name"], r["z1"] - r["z0"]) for r in rows} == {("stripes", 16), ("stripes-fine", 32), ("grains-fine", 32)}
    hits = [h for h in asked(library, scans[0], Box((4, 8, 8), (20, 24, 24)), 30) if h.name != "stripes"]
    assert hits[0].name == "stripes-fine"


def test_a_length_in_micrometres_needs_a_voxel_size(tmp_path):
    np.save(tmp_path / "plain.npy", textured("grains"))
    from lithoscope.volume.convert import import_scan

    import_scan(tmp_path / "plain.npy", tmp_path / "plain.zarr", field_of_view=None)
    with pytest.raises(InputError, match="lithoscope set"):
        add(str(tmp_path / "lib"), [tmp_path / "plain.zarr"], **{**SMALL, "patch_um": 32.0})


def test_several_sizes_and_poolings_are_rows_and_columns_and_all_are_asked(tmp_path):
    for name in ("stripes", "grains"):
        small_scan(tmp_path, name, textured(name, (32, 64, 64)))
    add(
        str(tmp_path / "lib"), [tmp_path / "stripes.zarr", tmp_path / "grains.zarr"], scales=(1.0, 2.0), poolings=("mean", "class"), **SMALL
    )
    library = Library.open(tmp_path / "lib")
    assert library.recipe.columns == ("z_mean", "z_class", "y_mean", "y_class", "x_mean", "x_class")
    rows = selected(library.patches, None, ["scale", "x0", "x1"]).to_pylist()
    assert {(r["scale"], r["x1"] - r["x0"]) for r in rows} == {(1.0, 16), (2.0, 32)}
    hits = asked(library, tmp_path / "stripes.zarr", Box((0, 16, 16), (16, 32, 32)), 40)
    assert {h.scale for h in hits} == {1.0, 2.0}
    assert [h.name for h in hits[:2]] == ["stripes"] * 2


def test_a_small_object_is_found_by_small_patches(tmp_path):
    """Balls of five voxels in noise: one of them finds the other three, and balls alone, some twice in patches that half overlap."""
    rng = np.random.default_rng(0)
    values = rng.normal(110, 10, (24, 64, 64))
    places = [(12, 12, 12), (12, 12, 44), (12, 44, 20), (12, 44, 52)]
    grid = np.indices(values.shape)
    for place in places:
        values[sum((g - p) ** 2 for g, p in zip(grid, place, strict=True)) <= 9] = 230
    small_scan(tmp_path, "balls", values.clip(0, 255).astype(np.uint8))
    add(str(tmp_path / "lib"), [tmp_path / "balls.zarr"], backbone=SHIPPED, patch=12, stride=4, magnify=2.0, planes=("z",))
    z, y, x = places[0]
    hits = asked(Library.open(tmp_path / "lib"), tmp_path / "balls.zarr", Box((z - 6, y - 6, x - 6), (z + 6, y + 6, x + 6)), 6)
    held = [[p for p in places if all(a <= i < b for a, i, b in zip(h.box.start, p, h.box.stop, strict=True))] for h in hits]
    assert all(held)
    assert {place for places in held for place in places} == set(places[1:])

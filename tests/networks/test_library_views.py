"""A scan is embedded again when what its patches are cut from changed, be it the field of view alone, and only then."""

import numpy as np
import pytest
import tifffile
from library_data import SMALL, cancelled_after, small_scan, textured

from lithoscope.job import Cancelled
from lithoscope.retrieval.adding import add, embed
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.metadata import read_csv
from lithoscope.retrieval.store import selected
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel

pytest.importorskip("lancedb")

HALF = "box:0:24,0:40,0:20"
FINE = {**SMALL, "patch": 8, "stride": 4}
"""Several slabs of a scan of 120 slices."""


def rows(library):
    """Ids and vectors, in the order of the ids."""
    found = Library.open(library)
    return selected(found.patches, None, ["id", *found.recipe.columns]).sort_by("id").to_pydict()


def set_view(path, view, **more):
    Scan.open(path).set(field_of_view=view, **more)


def added(library, path, **more):
    return add(str(library), [path], **more)["scans"][0]["added"]


def test_a_field_of_view_that_changed_alone_has_the_scan_embedded_again(tmp_path):
    path = small_scan(tmp_path, "grains").path
    (tmp_path / "lab.csv").write_text("scan,porosity\ngrains,0.31\n")
    add(str(tmp_path / "lib"), [path], metadata=read_csv(tmp_path / "lab.csv"), **SMALL)
    whole = rows(tmp_path / "lib")
    for view in (HALF, "cylinder:20,24,14", "none"):
        set_view(path, view)
        assert added(tmp_path / "lib", path) > 0
        fresh = tmp_path / f"fresh-{view.partition(':')[0]}"
        add(str(fresh), [path], **SMALL)
        assert rows(tmp_path / "lib") == rows(fresh)
        assert (rows(tmp_path / "lib") == whole) == (view == "none")
        assert added(tmp_path / "lib", path) == 0
    assert set(selected(Library.open(tmp_path / "lib").patches, None, ["porosity"])["porosity"].to_pylist()) == {0.31}


def test_a_scan_with_a_field_of_view_is_not_embedded_again_while_nothing_changed(tmp_path):
    path = small_scan(tmp_path, "grains", fov=HALF).path
    assert added(tmp_path / "lib", path, **SMALL) > 0
    set_view(path, HALF)
    assert added(tmp_path / "lib", path) == 0


def test_another_mask_of_the_same_name_counts_as_another_field_of_view(tmp_path):
    path, mask = small_scan(tmp_path, "grains").path, np.zeros((24, 40, 48), np.uint8)
    mask[:, :, :20] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    set_view(path, str(tmp_path / "mask.tif"))
    assert added(tmp_path / "lib", path, **SMALL) > 0
    assert added(tmp_path / "lib", path) == 0
    tifffile.imwrite(tmp_path / "mask.tif", 1 - mask)
    set_view(path, str(tmp_path / "mask.tif"))
    assert added(tmp_path / "lib", path) > 0


def test_vectors_made_anew_see_the_field_of_view_as_it_is_now(tmp_path):
    path = small_scan(tmp_path, "grains").path
    add(str(tmp_path / "lib"), [path], **SMALL)
    set_view(path, HALF)
    embed(str(tmp_path / "lib"), magnify=1.5)
    add(str(tmp_path / "fresh"), [path], **{**SMALL, "magnify": 1.5})
    assert rows(tmp_path / "lib") == rows(tmp_path / "fresh")
    assert added(tmp_path / "lib", path) == 0


@pytest.mark.parametrize(("sized", "again"), [({"patch_um": 32.0}, True), ({}, False)])
def test_another_voxel_size_counts_where_patches_are_sized_by_it(tmp_path, sized, again):
    path = small_scan(tmp_path, "grains").path
    assert added(tmp_path / "lib", path, **SMALL, **sized) > 0
    assert added(tmp_path / "lib", path) == 0
    Scan.open(path).set(voxel=Voxel((4.0, 4.0, 4.0)))
    assert (added(tmp_path / "lib", path) > 0) == again


def test_separate_slices_that_were_half_in_are_seen_anew_after_a_change(tmp_path):
    path = small_scan(tmp_path, "grains", textured("grains", (20, 32, 32)), separate_slices=True).path
    with pytest.raises(Cancelled):
        add(str(tmp_path / "lib"), [path], report=cancelled_after(16), **SMALL)
    assert Library.open(tmp_path / "lib").patches.count_rows() > 0
    set_view(path, "box:0:20,0:32,0:14")
    add(str(tmp_path / "lib"), [path])
    add(str(tmp_path / "fresh"), [path], **SMALL)
    assert rows(tmp_path / "lib") == rows(tmp_path / "fresh")


def midway(library):
    """A report that cancels when something is in the half made table."""

    def report(progress):
        if half_made(library):
            raise Cancelled

    return report


def half_made(library):
    """How many patches lie in the half made table."""
    found = Library.open(library)
    table = None if found.unfinished is None else found.tables.find(found.unfinished.table)
    return 0 if table is None else table.count_rows()


def test_vectors_begun_anew_never_mix_two_fields_of_view_of_one_scan(tmp_path):
    """Begun by one view, gone on with by another, and ended by the first again."""
    path, library = small_scan(tmp_path, "grains", textured("grains", (120, 32, 32))).path, str(tmp_path / "lib")
    add(library, [path], **FINE)
    with pytest.raises(Cancelled):
        embed(library, magnify=1.5, report=midway(library))
    set_view(path, "box:0:120,0:32,0:20")
    with pytest.raises(Cancelled):
        embed(library, magnify=1.5, report=midway(library))
    assert half_made(library)
    set_view(path, "none")
    embed(library, magnify=1.5)
    add(str(tmp_path / "fresh"), [path], **{**FINE, "magnify": 1.5})
    assert rows(library) == rows(tmp_path / "fresh")


def test_vectors_begun_anew_are_gone_on_with_where_a_changed_view_stayed(tmp_path):
    path, library, said = small_scan(tmp_path, "grains", textured("grains", (120, 32, 32))).path, str(tmp_path / "lib"), []
    add(library, [path], **FINE)
    set_view(path, "box:0:120,0:32,0:20")
    with pytest.raises(Cancelled):
        embed(library, magnify=1.5, report=midway(library))
    before = half_made(library)
    assert before
    embed(library, magnify=1.5, report=lambda progress: said.append(half_made(library) if "looking" in progress.message else before))
    assert min(said) >= before, "what was there stayed"
    assert len(rows(library)["id"]) > before

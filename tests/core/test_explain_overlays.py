"""Overlays without a network: where cells lie, what is outlined, figures, tables and what is kept on disk."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from segment_data import scan_of

from lithoscope.cli import run
from lithoscope.errors import InputError, MissingError, StorageError, TakenError, UnreadableError
from lithoscope.explain import keeping
from lithoscope.explain.figure import figure, outline_edges
from lithoscope.explain.overlay import Overlay, smallest_mass
from lithoscope.explain.palettes import coloured
from lithoscope.explain.place import Place, place_of, plane_of
from lithoscope.explain.sheet import Sheet, spelt
from lithoscope.features.token_grid import Grid
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (12, 40, 50), np.uint8)
    return scan_of(values, tmp_path / "small.zarr", voxel=(6.0, 2.0, 2.0))


def overlay(place=None, shape=(5, 7), **more):
    values = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    return Overlay("attention", "attention", values, place or Place.of_tokens(0, 4, Grid(8)), about={"block": 2, "head": None}, **more)


@given(st.sampled_from([8, 14]), st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 2), st.integers(0, 30), st.integers(0, 30))
def test_a_cell_holds_the_voxel_in_its_middle(patch, scale, axis, row, column):
    place = Place.of_tokens(axis, 3, Grid(patch, scale), (2, 1))
    voxel = place.voxel((row, column))
    assert place.cell(voxel) == (row, column)
    assert voxel[axis] == 3


def test_scale_and_place_are_in_the_scans_unit_along_each_axis():
    place = Place.of_tokens(1, 10, Grid(8), (0, 0))
    voxel = Voxel((6.0, 2.0, 0.5))
    assert place.scale(voxel) == (48.0, 2.0, 4.0)
    assert place.translate(voxel) == (21.0, 20.0, 1.75)
    # The corner of the first cell is the corner of the first voxel.
    assert place.translate(voxel)[0] - place.scale(voxel)[0] / 2 == -voxel.size[0] / 2
    assert Place(0, 1).translate(None) == (1.0, 0.0, 0.0)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1, width=16)), st.floats(0.01, 0.99))
def test_the_outline_is_the_smallest_set_that_holds_the_mass(values, part):
    marked = smallest_mass(values, part)
    total = float(values.astype(np.float64).sum())
    if total == 0:
        assert not marked.any()
        return
    held = float(values.astype(np.float64)[marked].sum())
    assert held >= part * total * (1 - 1e-9)
    least = float(values[marked].min())
    assert held - least < part * total * (1 + 1e-9), "without its least cell it would hold too little"
    assert (values[~marked] <= least).all()


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_an_outline_has_a_line_wherever_a_marked_cell_meets_another(mask):
    lines = {tuple(sorted(map(tuple, pair.astype(int).tolist()))) for pair in outline_edges(mask)}
    expected = set()
    for r, c in np.argwhere(mask):
        for dr, dc, pair in ((-1, 0, ((c, r), (c + 1, r))), (1, 0, ((c, r + 1), (c + 1, r + 1))), (0, -1, ((c, r), (c, r + 1))),
                             (0, 1, ((c + 1, r), (c + 1, r + 1)))):  # fmt: skip
            rr, cc = r + dr, c + dc
            if not (0 <= rr < mask.shape[0] and 0 <= cc < mask.shape[1] and mask[rr, cc]):
                expected.add(tuple(sorted((int(a), int(b)) for a, b in pair)))
    assert lines == expected


def test_what_is_not_a_number_is_clear():
    made = coloured(np.array([[0, np.nan, 2]], np.float32), (0, 1), "viridis")
    assert made[0, :, 3].tolist() == [255, 0, 255]
    assert made[0, 2, :3].tolist() == [253, 231, 37]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_figure_shows_the_overlay_where_it_lies(scan, axis):
    """One bright cell over a dark plane: its middle in the picture is its middle among the voxels, also where voxels are not cubes."""
    sides = [n for a, n in enumerate(scan.shape) if a != axis]
    grid = Grid(4)
    values = np.zeros((grid.count(sides[0]), grid.count(sides[1])), np.float32)
    values[1, 3] = 1
    place = Place.of_tokens(axis, 2, grid)
    made = Overlay("similarity", "one", values, place, colours="magma")
    sheet = figure(scan, [made], opacity=1)
    pictures = [i for kind, i in sheet.items if kind == "picture"]
    ground, laid = pictures[1], pictures[2]
    per = [ground["size"][1] / sides[0], ground["size"][0] / sides[1]]
    bright = np.argwhere(laid["pixels"][..., :3].sum(-1) > 600)
    size = [laid["size"][1] / laid["pixels"].shape[0], laid["size"][0] / laid["pixels"].shape[1]]
    middle = (bright.mean(0) + 0.5) * size + [laid["at"][1] - ground["at"][1], laid["at"][0] - ground["at"][0]]
    a, b = place.along
    voxel = place.voxel((1, 3))
    expected = np.array([(voxel[a] + 0.5) * per[0], (voxel[b] + 0.5) * per[1]])
    assert (np.abs(middle - expected) <= np.array(per) * 2).all()
    assert laid["size"][0] <= ground["size"][0] + 1e-6
    assert laid["size"][1] <= ground["size"][1] + 1e-6


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_are_written_with_scale_bar_key_and_notes(scan, tmp_path, ending):
    made = overlay(outline=np.eye(5, 7, dtype=bool), frame=scan.box, at=(4, 9, 9), notes=("50 % of it",))
    target = figure(scan, [made]).save(tmp_path / f"f.{ending}")
    if ending == "svg":
        text = target.read_text()
        assert "µm" in text
        assert "50 % of it" in text
        assert text.startswith("<svg")
    else:
        from PIL import Image

        image = Image.open(target)
        assert image.width > 1000
        assert len(set(image.convert("RGB").tobytes())) > 50


def test_letters_that_the_font_lacks_are_spelt():
    assert spelt("2 µm × 3 – σ é") == "2 um x 3 - sd e"


def test_an_overlay_comes_back_from_disk_and_is_a_valid_image(scan, tmp_path):
    import zarr
    from ome_zarr_models.v05 import Image

    for made in (
        overlay(outline=np.eye(5, 7, dtype=bool), frame=scan.box, at=(4, 9, 9), notes=("a", "b")),
        Overlay("pca", "tokens", np.arange(5 * 7 * 4, dtype=np.uint8).reshape(5, 7, 4), Place.of_tokens(2, 4, Grid(8))),
    ):
        path = keeping.write(tmp_path / f"{made.kind}.zarr", made, scan)
        Image.from_zarr(zarr.open_group(str(path), mode="r"))
        back = keeping.read_overlay(path)
        np.testing.assert_array_equal(back.values, made.values)
        assert (back.place, back.limits, back.notes, back.at, back.frame) == (made.place, made.limits, made.notes, made.at, made.frame)
        assert (back.outline is None) == (made.outline is None)
    with pytest.raises(TakenError):
        keeping.write(tmp_path / "pca.zarr", overlay(), scan)


def test_a_scan_or_another_folder_is_not_replaced_by_an_overlay_even_when_asked(scan, tmp_path, capsys):
    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "one.jpg").write_bytes(b"1")
    for path in (scan.path, tmp_path / "photos.zarr"):
        with pytest.raises(TakenError, match="is not an overlay and is not replaced"):
            keeping.write(path, overlay(), scan, overwrite=True)
        with pytest.raises(TakenError, match="is not replaced"), keeping.new_volume(path, scan, overlay().place, (5, 7), {}):
            pass
        assert run(["explain", str(scan.path), str(path), "--kind", "pca", "--overwrite"]) == 2
        assert "is not an overlay" in capsys.readouterr().err
    assert Scan.open(scan.path).shape == scan.shape
    assert (tmp_path / "photos.zarr" / "one.jpg").exists()
    path = keeping.write(tmp_path / "pca.zarr", overlay(), scan)
    assert keeping.read_overlay(keeping.write(path, overlay(notes=("new",)), scan, overwrite=True)).notes == ("new",)


def test_disagreements_of_other_results_are_kept_beside_each_other():
    names = {keeping.name_of(replace(overlay(), kind="disagreement", about={"results": r})) for r in (["otsu", "a/b"], ["otsu", "forest"])}
    assert names == {"disagreement-otsu_a_b-z4", "disagreement-otsu_forest-z4"}


def test_overlays_of_two_networks_are_kept_beside_each_other(scan):
    for name, weights in (("tiny", "ab" * 32), ("tiny", "cd" * 32), ("my nets/large", "ab" * 32)):
        keeping.keep(scan, replace(overlay(), about={**overlay().about, "backbone": name, "weights": weights}))
    names = ["attention-b2-mean-tiny-ababab-z4", "attention-b2-mean-tiny-cdcdcd-z4", "attention-b2-mean-my_nets_large-ababab-z4"]
    assert sorted(keeping.kept(scan)) == sorted(names)
    assert {keeping.volume_name(b, 0, (1, 2, 3)) for b in ("tiny", "/nets/large")} == {"likeness-z-1-2-3-tiny", "likeness-z-1-2-3-large"}


def test_overlays_are_kept_beside_the_scan_under_a_telling_name(scan):
    first = keeping.keep(scan, overlay())
    assert first == scan.sidecar / "explain" / "attention-b2-mean-z4.zarr"
    keeping.keep(scan, overlay())
    assert keeping.kept(scan) == ["attention-b2-mean-z4"]


def test_what_was_kept_comes_back_and_says_when_the_scan_has_changed(scan):
    keeping.keep(scan, overlay(notes=("as it was",)))
    back = keeping.kept_again(scan, "attention-b2-mean-z4")
    assert back.notes == ("as it was",)
    path = scan.sidecar / "explain" / "attention-b2-mean-z4.zarr" / "zarr.json"
    path.write_text(path.read_text().replace(scan.content_hash, "0" * len(scan.content_hash)))
    assert keeping.kept_again(scan, "attention-b2-mean-z4").notes == ("as it was", "the scan has changed since")
    with pytest.raises(MissingError, match="work it out again"):
        keeping.kept_again(scan, "likeness-z-1-2-3")
    keeping.delete(scan, "attention-b2-mean-z4")
    assert keeping.kept(scan) == []


def test_a_damaged_overlay_is_named(scan, tmp_path):
    path = keeping.keep(scan, overlay())
    (path / "zarr.json").write_text("{}")
    with pytest.raises(UnreadableError, match="damaged"):
        keeping.read_overlay(path)
    with pytest.raises(MissingError):
        keeping.read_overlay(tmp_path / "nothing.zarr")


def test_a_table_has_a_row_a_cell_with_its_voxel(tmp_path):
    made = overlay()
    rows = list(csv.DictReader(keeping.table(tmp_path / "t.csv", made).open()))
    assert len(rows) == 35
    assert [rows[8][k] for k in ("row", "column", "z", "y", "x")] == ["1", "1", "4", "12", "12"]
    assert float(rows[8]["value"]) == pytest.approx(float(made.values[1, 1]), rel=1e-5)


def test_a_target_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(StorageError):
        Sheet(10, 10).save(tmp_path / "nowhere" / "f.png")
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        Sheet(10, 10).save(tmp_path / "f.gif")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "pca", "out.gif"], "does not end in one of"),
        (["--kind", "pca"], "name the scan and what to write"),
        (["--kind", "magic", "out.png"], "magic"),
        (["--kind", "pca", "--plane", "z=99", "out.png"], "does not lie within the scan's z axis, 0:12"),
        (["--kind", "pca", "--plane", "w=1", "out.png"], "write z=100"),
        (["--kind", "attention", "--token", "1,2", "out.png"], "write z,y,x"),
        (["--kind", "attention", "--token", "1,2,50", "out.png"], "lies outside the scan"),
        (["--kind", "attention", "--token", "1,2,3", "--plane", "z=2", "out.png"], "does not lie on plane z=2"),
        (["--kind", "similarity", "out.png"], "--token"),
        (["--kind", "certainty", "out.png"], "--result NAME"),
        (["--kind", "certainty", "--result", "none", "out.png"], "no result 'none'"),
        (["--kind", "disagreement", "--result", "a", "out.png"], "at least two"),
        (["--kind", "attention", "--mass", "3", "out.png"], "--mass 3"),
        (["--kind", "embedding", "out.zarr"], "does not end in one of"),
        (["--kind", "pca", "nowhere/out.png"], "is not there"),
        (["--kind", "pca", "--image", "nlm", "out.png"], "no image 'nlm'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(scan, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert run(["explain", str(scan.path), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_what_is_there_is_not_overwritten_unasked(scan, tmp_path, capsys):
    (tmp_path / "out.png").write_text("mine")
    assert run(["explain", str(scan.path), "--kind", "pca", str(tmp_path / "out.png")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "out.png").read_text() == "mine"


def test_planes_and_places_are_read(scan):
    assert plane_of("y=3", scan) == (1, 3)
    assert plane_of("x", scan) == (2, 25)
    assert place_of("1, 2, 3", scan) == (1, 2, 3)

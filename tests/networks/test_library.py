"""The library of patches: what goes in, what comes out, and what it refuses."""

import csv
import json
import shutil

import numpy as np
import pytest
from library_data import BACKBONE, SMALL, small_scan, textured

from lithoscope.cli import run
from lithoscope.errors import InputError, LithoscopeError, LockedError, MissingError
from lithoscope.retrieval.adding import add, embed, opened, remove
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.metadata import read_csv
from lithoscope.retrieval.patches import Cubes
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.search import Query, search
from lithoscope.retrieval.sources import ScanSource, source_at
from lithoscope.retrieval.store import selected
from lithoscope.retrieval.vectors import vectors_of
from lithoscope.volume.box import Box

pytest.importorskip("lancedb")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two scans, a table about them, and the library of both."""
    folder = tmp_path_factory.mktemp("lab")
    small_scan(folder, "stripes")
    small_scan(folder, "grains")
    (folder / "lab.csv").write_text("scan,porosity,Lithology,depth\nstripes,0.2,shale,\ngrains,0.31,sand,1200\nbasalt,0.01,lava,3\n")
    add(str(folder / "lib"), [folder / "stripes.zarr", folder / "grains.zarr"], metadata=read_csv(folder / "lab.csv"), **SMALL)
    return folder


@pytest.fixture
def lab(made, tmp_path):
    """A copy of it that may be changed."""
    shutil.copytree(made / "lib", tmp_path / "lib")
    for name in ("stripes", "grains"):
        shutil.copytree(made / f"{name}.zarr", tmp_path / f"{name}.zarr")
    shutil.copy(made / "lab.csv", tmp_path / "lab.csv")
    return tmp_path


def ids(library):
    return sorted(selected(Library.open(library).patches, None, ["id"])["id"].to_pylist())


def asked(memory, folder, name, box, **more):
    library = memory.library
    embedder = Embedder(library.recipe, opened(library.recipe.backbone, "cpu"))
    source = source_at(folder / f"{name}.zarr")
    return search(memory, Query({1.0: embedder.query(source, box)}, source.uuid, box), **more)


def test_patches_cover_the_scan_and_leave_out_what_shows_nothing(tmp_path):
    values = textured("grains", (20, 40, 40))
    values[:, :, 24:] = 7
    scan = small_scan(tmp_path, "half", values, fov="box:0:20,0:24,0:40")
    cubes = Cubes.of(ScanSource(scan), Recipe(patch=16, stride=8), 1.0)
    assert cubes.starts == ((0, 4), (0, 8, 16, 24), (0, 8, 16, 24))
    shown = cubes.shown(ScanSource(scan))
    for place in np.ndindex(*shown.shape):
        box = cubes.box(np.array(place))
        inside = scan.inside(box)
        some = np.asarray(scan.array()[box.slices])
        assert shown[place] == (some.min() < some.max() and (inside is None or inside.mean() >= 0.1)), box


def test_rows_equal_queries_of_the_same_box(made):
    library = Library.open(made / "lib")
    rows = selected(library.patches, "name = 'grains'", [*library.recipe.columns, *(a + e for a in "zyx" for e in "01")])
    embedder = Embedder(library.recipe, opened(BACKBONE, "cpu"))
    for i in range(0, rows.num_rows, 7):
        box = Box.from_json([[rows[a + "0"][i].as_py(), rows[a + "1"][i].as_py()] for a in "zyx"])
        vectors = embedder.query(source_at(made / "grains.zarr"), box)
        for column, vector in vectors.items():
            assert np.allclose(vectors_of(rows, column, library.recipe.width)[i], vector, atol=1e-4), (box, column)


def test_a_patch_finds_its_kind_never_itself_and_no_place_twice(made):
    memory = Memory.load(Library.open(made / "lib"))
    box = Box((0, 8, 8), (16, 24, 24))
    found = asked(memory, made, "stripes", box, k=8)
    assert found.similar
    assert [hit.name for hit in found.hits[:2]] == ["stripes"] * 2
    scores = [hit.similarity for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    for i, hit in enumerate(found.hits):
        assert not (hit.name == "stripes" and hit.box.intersect(box).size)
        for other in found.hits[:i]:
            assert hit.scan != other.scan or hit.box.intersect(other.box).size < 0.25 * hit.box.size
    slow = np.stack([memory.similarity({c: v[i] for c, v in memory.vectors.items()}) for i in range(3)])
    for i in range(3):
        for j in (0, 5, 11):
            cosines = [float(memory.vectors[c][i] @ memory.vectors[c][j]) for c in memory.vectors]
            assert slow[i, j] == pytest.approx(np.mean(cosines), abs=1e-5)


def test_more_and_less_like_this_move_the_hits(made):
    memory = Memory.load(Library.open(made / "lib"))
    box = Box((0, 8, 8), (16, 24, 24))
    other = [i for i in range(len(memory)) if memory.names[memory.uuids[memory.scan[i]]] == "grains"][:3]
    before = sum(hit.name == "grains" for hit in asked(memory, made, "stripes", box, k=6).hits)
    after = asked(memory, made, "stripes", box, k=6, more=other)
    assert sum(hit.name == "grains" for hit in after.hits) > before
    assert not {hit.row for hit in after.hits} & set(other)
    away = asked(memory, made, "stripes", box, k=6, less=other)
    assert sum(hit.name == "grains" for hit in away.hits) <= before


def test_adding_again_changes_nothing_and_a_changed_scan_is_seen_anew(lab):
    library, before = lab / "lib", ids(lab / "lib")
    answer = add(str(library), [lab / "grains.zarr"])
    assert (answer["scans"][0]["added"], ids(library)) == (0, before)
    shutil.rmtree(lab / "grains.zarr")
    shutil.rmtree(lab / "grains.lithoscope", ignore_errors=True)
    small_scan(lab, "grains", textured("stripes", (16, 24, 24)))
    answer = add(str(library), [lab / "grains.zarr"])
    assert answer["scans"][0]["added"] == answer["scans"][0]["rows"] == 4
    assert len(ids(library)) == len(set(ids(library)))


def test_metadata_filters_and_may_be_missing(made):
    memory = Memory.load(Library.open(made / "lib"))
    rows = memory.where("porosity > 0.3 AND lithology = 'sand'")
    assert {memory.names[memory.uuids[s]] for s in memory.scan[rows]} == {"grains"}
    found = asked(memory, made, "stripes", Box((0, 8, 8), (16, 24, 24)), k=3, rows=rows)
    assert found.hits[0].metadata == {"porosity": 0.31, "lithology": "sand", "depth": 1200.0, "voxel_um": 2.0}
    assert memory.where("depth IS NULL").size
    for wrong in ("porosity >", "nonesuch = 1", "porosity > 2"):
        with pytest.raises(InputError, match="filter"):
            memory.where(wrong)


def test_a_scan_is_removed_even_when_it_is_deleted(lab):
    shutil.rmtree(lab / "stripes.zarr")
    library = Library.open(lab / "lib")
    assert [held.present for held in library.scans()] == [True, True]  # the library remembers where it was added from
    answer = remove(str(lab / "lib"), ["stripes"])
    assert answer["removed"] == ["stripes"]
    assert {held.name for held in library.scans()} == {"grains"}
    with pytest.raises(MissingError, match="holds no scan stripes"):
        remove(str(lab / "lib"), ["stripes"])
    with pytest.raises(InputError, match="no scan was named"):
        remove(str(lab / "lib"), [])


def test_another_backbone_is_refused_with_the_way_out_and_embed_is_it(lab, tmp_path, capsys):
    import torch
    from safetensors.torch import save_file

    from lithoscope.features.backbones import random_config
    from lithoscope.features.vit import Vit

    other = tmp_path / "other"
    other.mkdir()
    save_file(Vit.random(random_config(), seed=1).state_dict(), other / "model.safetensors")
    config = {"model_type": "lithoscope-vit", **random_config().to_json()}
    (other / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    words = ["search", str(lab / "lib"), "--scan", str(lab / "grains.zarr"), "--box", "0:16,0:16,0:16", "--backbone", str(other)]
    assert run(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "library embed" in err
    with pytest.raises(InputError, match="random-tiny"):
        add(str(lab / "lib"), [lab / "grains.zarr"], backbone=str(other))
    before = ids(lab / "lib")
    assert embed(str(lab / "lib"), backbone=str(other))["rows"] == len(before)
    library = Library.open(lab / "lib")
    assert library.recipe.backbone == str(other)
    assert ids(lab / "lib") == before
    assert Memory.load(library).where("porosity > 0.3").size
    assert run(words) == 0


def test_a_library_of_other_settings_says_so(lab):
    with pytest.raises(InputError, match="patch 16, not 32"):
        add(str(lab / "lib"), [lab / "grains.zarr"], patch=32)


def test_the_command_line_adds_lists_searches_exports_and_removes(lab, capsys):
    def said(*words):
        code = run([str(w) for w in words])
        told = capsys.readouterr()
        assert code == 0, told.err
        return told.out

    library = lab / "lib"
    assert "porosity (number)" in said("library", "list", library)
    words = ("search", library, "--scan", lab / "stripes.zarr", "--box", "0:16,8:24,8:24", "-k", 4)
    answer = json.loads(said(*words, "--vote", "lithology", "--json"))
    assert {"scan", "box", "score", "metadata"} <= set(answer["hits"][0])
    assert answer["vote"]["value"] == "shale"
    assert "stripes" in said(*words, "--output", lab / "hits.csv")
    rows = list(csv.DictReader((lab / "hits.csv").open(encoding="utf-8")))
    assert [float(r["score"]) for r in rows] == [pytest.approx(h["score"], abs=1e-4) for h in answer["hits"]]
    said(*words, "--output", lab / "hits.png")
    assert run([str(w) for w in (*words, "--output", lab / "hits.png")]) == 2
    capsys.readouterr()
    assert "patches written" in said("library", "export", library, lab / "all.parquet")
    assert "patches written" in said("library", "export", library, lab / "all.csv")
    import pyarrow.parquet as pq

    table = pq.read_table(lab / "all.parquet")
    assert sorted(table["id"].to_pylist()) == ids(library)
    lines = list(csv.DictReader((lab / "all.csv").open(encoding="utf-8")))
    vector = vectors_of(table, "z_mean", 48)
    assert np.allclose([float(lines[3][f"z_mean_{i}"]) for i in range(48)], vector[3], rtol=1e-5, atol=1e-6)
    assert "taken out" in said("library", "remove", library, "grains")


def test_more_places_than_there_are_and_an_unlike_place_are_told(made):
    memory = Memory.load(Library.open(made / "lib"))
    found = asked(memory, made, "stripes", Box((0, 8, 8), (16, 24, 24)), k=500)
    assert 0 < len(found.hits) < 500
    assert any("500 places were asked for" in note for note in found.notes)
    rng = np.random.default_rng(5)
    far = {c: rng.normal(size=v.shape[1]).astype(np.float32) for c, v in memory.vectors.items()}
    none = search(memory, Query({1.0: {}}), 3, vectors={1.0: {c: v / np.linalg.norm(v) for c, v in far.items()}})
    assert not none.similar
    assert any("nothing similar" in note for note in none.notes)


BAD = [
    (("search", "LIB", "--scan", "GRAINS", "--box", "0:99,0:16,0:16"), "does not lie within"),
    (("search", "LIB", "--scan", "GRAINS", "--box", "4:4,0:16,0:16"), "does not lie within"),
    (("search", "LIB", "--scan", "GRAINS"), "say which place"),
    (("search", "LIB", "--scan", "GRAINS", "--box", "0:16,0:16,0:16", "-k", "0"), "one or more"),
    (("search", "NONE", "--scan", "GRAINS", "--box", "0:16,0:16,0:16"), "there is no library"),
    (("search", "LIB", "--scan", "gone.zarr", "--box", "0:16,0:16,0:16"), "there is no scan"),
    (("search", "HALF", "--scan", "GRAINS", "--box", "0:16,0:16,0:16"), "not a library, or was never finished"),
    (("library", "add", "LIB", "gone.zarr"), "there is no scan"),
    (("library", "add", "LIB"), "no scan was named"),
    (("library", "add", "LIB", "GRAINS", "--metadata", "UNKNOWN"), "names none of these scans"),
    (("library", "add", "LIB", "GRAINS", "--metadata", "WORDS"), "has words in column porosity"),
    (("library", "add", "OTHER", "GRAINS", "--backbone", "random-tiny"), "holds other files"),
    (("library", "add", "NEW", "GRAINS", "--backbone", "random-tiny", "--patch", "8", "--stride", "9"), "stride 9"),
    (("library", "add", "NEW", "GRAINS", "--backbone", "random-tiny", "--patch", "0"), "holds whole images"),
    (("library", "export", "LIB", "all.xlsx"), ".parquet"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD, ids=[" ".join(w[:2]) + " " + c[:12] for w, c in BAD])
def test_what_cannot_be_is_told_in_one_line(made, tmp_path, capsys, words, complaint):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "about.lance").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").write_text("mine")
    (tmp_path / "unknown.csv").write_text("scan,porosity\nbasalt,0.2\n")
    (tmp_path / "words.csv").write_text("scan,porosity\ngrains,high\n")
    places = {"LIB": made / "lib", "GRAINS": made / "grains.zarr", "NONE": tmp_path / "none", "HALF": tmp_path / "half"}
    places |= {"OTHER": tmp_path / "other", "NEW": tmp_path / "new", "UNKNOWN": tmp_path / "unknown.csv", "WORDS": tmp_path / "words.csv"}
    assert run([str(places.get(word, word)) for word in words]) == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1


def test_a_second_writer_is_told_who_writes_and_readers_go_on(lab):
    library = Library.open(lab / "lib")
    with library.writing():
        with pytest.raises(LockedError, match="open for writing"):
            add(str(lab / "lib"), [lab / "grains.zarr"])
        assert len(Memory.load(Library.open(lab / "lib"))) == len(ids(lab / "lib"))


def test_an_unfinished_scan_and_a_moved_one_are_told(lab):
    library = Library.open(lab / "lib")
    source = source_at(lab / "grains.zarr")
    library.remember(source, done=False, rows=0)
    (lab / "moved").mkdir()
    found = asked(Memory.load(library), lab, "stripes", Box((0, 8, 8), (16, 24, 24)), k=30)
    assert any("grains is not wholly in yet" in note for note in found.notes)
    assert add(str(lab / "lib"), [lab / "grains.zarr"])["scans"][0]["added"] == 0
    assert all(held.done for held in library.scans())
    shutil.move(lab / "grains.zarr", lab / "moved" / "grains.zarr")
    shutil.move(lab / "grains.lithoscope", lab / "moved" / "grains.lithoscope") if (lab / "grains.lithoscope").exists() else None
    gone = [h for h in asked(Memory.load(library), lab, "stripes", Box((0, 8, 8), (16, 24, 24)), k=30).hits if h.name == "grains"]
    assert gone
    assert not any(hit.present for hit in gone)
    with pytest.raises(LithoscopeError, match="no longer lies"):
        embed(str(lab / "lib"))
    add(str(lab / "lib"), [lab / "moved" / "grains.zarr"])
    assert library.held("grains").present


def test_folders_of_images_are_libraries(tmp_path, capsys):
    from PIL import Image

    for name in ("stripes", "grains"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(textured(name, (1, 48, 48), seed=i)[0]).save(tmp_path / "images" / name / f"{i}.png")
    words = ["library", "add", str(tmp_path / "lib"), str(tmp_path / "images"), "--backbone", BACKBONE, "--patch", "0", "--magnify", "1"]
    assert run(words) == 0
    assert run(words) == 0
    assert len(ids(tmp_path / "lib")) == 8
    capsys.readouterr()
    assert run(["search", str(tmp_path / "lib"), "--scan", str(tmp_path / "images" / "grains" / "2.png"), "-k", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [hit["name"].split("/")[0] for hit in answer["hits"][:2]] == ["grains"] * 2
    assert "grains/2" not in [hit["name"] for hit in answer["hits"]]

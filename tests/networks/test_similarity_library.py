"""Patches of a library teach: by columns, scans and marks; it is embedded with what was taught, and the gate ranks what it finds."""

from pathlib import Path

import numpy as np
import pytest
from library_data import SMALL, small_scan, textured

from lithoscope.cli.commands.retrieval import library_add, search
from lithoscope.cli.commands.similarity import similarity_apply, similarity_review, similarity_train
from lithoscope.errors import InputError, MissingError
from lithoscope.features.backbones import open_backbone
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.sources import source_at
from lithoscope.retrieval.store import selected
from lithoscope.similarity.library_items import library_items
from lithoscope.similarity.marks import Marks, change, place

pytest.importorskip("lancedb")

QUICK = {"backbone": "random-tiny", "steps": "4", "every": "2", "tuning": "all", "rate": "0.003"}
BOX = "4:20,8:24,8:24"


@pytest.fixture
def lab(tmp_path):
    """Four scans of two textures, and what is known of them."""
    names = ["stripes-1", "stripes-2", "grains-1", "grains-2"]
    for i, name in enumerate(names):
        small_scan(tmp_path, name, textured(name.split("-")[0], seed=i))
    rows = "\n".join(f"{n},{n.split('-')[0]},{0.1 + 0.05 * i}" for i, n in enumerate(names))
    (tmp_path / "lab.csv").write_text(f"scan,rock,porosity\n{rows}\n")
    scans = [str(tmp_path / f"{name}.zarr") for name in names]
    library_add(str(tmp_path / "lib"), scans, metadata=str(tmp_path / "lab.csv"), device="cpu", **SMALL)
    return tmp_path


def ids(lab):
    return sorted(selected(Library.open(lab / "lib").patches, None, ["id"])["id"].to_pylist())


def test_patches_are_cut_as_the_library_sees_them(lab):
    library = Library.open(lab / "lib")
    items = library_items(library, "rock", open_backbone("random-tiny"), most=40)
    assert items.relation.names == ("grains", "stripes")
    assert len(items) <= 40
    assert items.pictures.values.shape[1:] == (3, 1, 16, 16)
    places = ["id", "z0", "y0", "x0", "z1", "y1", "x1", "scan"]
    row = next(r for r in selected(library.patches, None, places).to_pylist() if r["id"] == items.names[0])
    held = next(h for h in library.scans() if h.uuid == row["scan"])
    source = source_at(Path(held.path))
    low, high = source.window
    plane = np.asarray(source.array[(row["z0"] + row["z1"]) // 2, row["y0"] : row["y1"], row["x0"] : row["x1"]], np.float32)
    assert items.pictures.values[0, 0, 0].astype(np.float32) == pytest.approx((plane - low) / (high - low), abs=2e-3)


def test_what_is_held_out_of_few_scans_are_parts_that_share_no_voxel(lab):
    items = library_items(Library.open(lab / "lib"), "rock", open_backbone("random-tiny"))
    assert any("parts of scans" in note for note in items.notes)
    spans = {}
    for name, group in zip(items.names, items.groups, strict=True):
        scan, _, start = name.split(":")
        spans.setdefault((scan, group), []).append(int(start.split(",")[2]))
    for (scan, group), starts in spans.items():
        for (other_scan, other), others in spans.items():
            if scan == other_scan and group < other:
                assert max(starts) + 16 <= min(others) or max(others) + 16 <= min(starts)


def test_a_library_is_taught_by_a_column_and_embedded_anew(lab):
    answer = similarity_train(str(lab / "lib"), output=str(lab / "m"), label="rock", settings=QUICK, device="cpu")
    assert answer["classes"].keys() == {"grains", "stripes"}
    applied = similarity_apply(str(lab / "m"), str(lab / "lib"), device="cpu")
    assert applied["embedded"] == (answer["kept"] == "taught")
    found = search(str(lab / "lib"), scan=str(lab / "stripes-1.zarr"), box=BOX, k=3, device="cpu")
    assert len(found["hits"]) == 3
    with pytest.raises(MissingError, match="no column 'depth'"):
        similarity_train(str(lab / "lib"), output=str(lab / "n"), label="depth", settings=QUICK, device="cpu")
    with pytest.raises(InputError, match="has its metadata"):
        similarity_train(str(lab / "lib"), output=str(lab / "n"), metadata="x.csv", settings=QUICK, device="cpu")


def test_marks_teach_and_are_taken_back(lab):
    library, known = Library.open(lab / "lib"), ids(lab)
    with pytest.raises(InputError, match="no places are marked"):
        similarity_train(str(lab / "lib"), output=str(lab / "m"), label="marks", settings=QUICK, device="cpu")
    change(place(library), lambda marks: marks.marked([known[0]], known[4:40:4], alike=True))
    change(place(library), lambda marks: marks.marked([known[0]], known[-40::4], alike=False))
    marks = Marks.of(library)
    assert "unlike" in marks.words
    answer = similarity_train(str(lab / "lib"), output=str(lab / "m"), label="marks", settings=QUICK, device="cpu")
    assert answer["classes"]["kind 1"] == 10
    assert Library.open(lab / "lib").patches.count_rows() == len(known), "a library with marks is still a library"
    flipped = marks.marked([known[0]], [known[4]], alike=False)
    assert sum({m.a, m.b} == {known[0], known[4]} for m in flipped.pairs) == 1, "the later mark counts"
    with pytest.raises(InputError, match="choose two places"):
        marks.marked([], [known[0]], alike=True)


def test_the_gate_ranks_what_a_library_finds_and_properties_stand_beside(lab):
    settings = {**QUICK, "method": "siamese", "tuning": "lora", "rank": "4"}
    similarity_train(str(lab / "lib"), output=str(lab / "m"), label="rock", properties=["porosity"], settings=settings, device="cpu")
    applied = similarity_apply(str(lab / "m"), str(lab / "lib"), device="cpu")
    assert applied["embedded"]
    library = Library.open(lab / "lib")
    assert library.recipe.width == 96
    found = search(str(lab / "lib"), scan=str(lab / "grains-1.zarr"), box=BOX, k=4, device="cpu", output=str(lab / "hits.csv"))
    scores = [hit["score"] for hit in found["hits"]]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert any("looks count" in note for note in found["notes"])
    assert "…" in found["hits"][0]["metadata"]["porosity, foretold"]
    assert "porosity, foretold" in (lab / "hits.csv").read_text(encoding="utf-8")
    by_cosine = {tuple(map(tuple, hit["box"])) for hit in found["hits"]}
    assert len(by_cosine) == 4


def test_the_rest_of_a_library_is_proposed(lab):
    library, known = Library.open(lab / "lib"), ids(lab)
    change(place(library), lambda marks: marks.marked([known[0]], known[3:33:3], alike=True).marked([known[0]], known[-30::3], alike=False))
    marks = Marks.of(library)
    rules = {"rounds": "2", "margin": "0", "curated": "2", "agree": "0.4", "per_class": "4"}
    words = {"label": "marks", "settings": QUICK, "device": "cpu", "unlabelled": "rest", "rules": rules}
    first = similarity_train(str(lab / "lib"), output=str(lab / "m"), **words)
    assert first["open"]
    assert not {p["item"] for p in first["open"]} & {i for m in marks.pairs for i in (m.a, m.b)}
    similarity_review(str(lab / "m"), rest="accept")
    second = similarity_train(str(lab / "lib"), output=str(lab / "m"), **words)
    assert second["rounds"][-1]["accepted"] == len(first["open"])

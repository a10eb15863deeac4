"""Indices of a library against the exact search."""

import numpy as np
import pytest
from library_data import SMALL, small_scan, textured

from lithoscope.cli import run
from lithoscope.retrieval.adding import add
from lithoscope.retrieval.index import KINDS, Index, IndexSettings, index_of, judged
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.search import Query, search

pytest.importorskip("lancedb")
pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("indexed")
    for name in ("stripes", "grains"):
        small_scan(folder, name, textured(name, (32, 48, 48)))
    add(str(folder / "lib"), [folder / "stripes.zarr", folder / "grains.zarr"], **SMALL)
    return folder


def vectors(count=3000, width=32, seed=0):
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(30, width))[rng.integers(0, 30, count)] + 0.5 * rng.normal(size=(count, width))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_every_index_finds_most_of_what_the_exact_search_finds(kind):
    rows = vectors()
    index = Index.build(kind, rows, IndexSettings(bits=10))
    told = judged(index, rows, 0.0, rows[:40])
    assert told.recall >= (1.0 if kind == "exact" else 0.9)
    assert told.bytes > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_library_is_searched_by_its_index(lab, kind, capsys):
    assert run(["library", "index", str(lab / "lib"), "--kind", kind, "--set", "bits=8", "--queries", "20"]) == 0
    assert "recall@10" in capsys.readouterr().out
    memory = Memory.load(Library.open(lab / "lib"))
    own = {c: v[40] for c, v in memory.vectors.items()}
    query = Query({1.0: {}}, memory.uuids[memory.scan[40]], memory.box(40))
    exact = search(memory, query, 3, vectors={1.0: own})
    found = search(memory, query, 3, vectors={1.0: own}, index=index_of(memory, kind))
    assert found.hits[0].row == exact.hits[0].row
    assert 40 not in [hit.row for hit in found.hits]


@pytest.mark.parametrize("left", ["{", "[]", "{}", '{"stamp": 1, "settings": {"unknown": 2}}'])
def test_an_index_whose_description_is_damaged_is_told(lab, left, capsys):
    assert run(["library", "index", str(lab / "lib"), "--kind", "hyperplane", "--set", "bits=8", "--queries", "2"]) == 0
    about = lab / "lib" / "index" / "hyperplane.json"
    about.write_text(left)
    capsys.readouterr()
    assert run(["search", str(lab / "lib"), "--scan", str(lab / "grains.zarr"), "--box", "0:16,0:16,0:16", "--index", "hyperplane"]) == 2
    assert "is damaged; make it: lithoscope library index" in capsys.readouterr().err
    about.unlink()


def test_an_index_older_than_its_library_or_missing_is_told(lab, capsys):
    words = ["search", str(lab / "lib"), "--scan", str(lab / "grains.zarr"), "--box", "0:16,0:16,0:16"]
    assert run(["library", "index", str(lab / "lib"), "--kind", "ivfpq", "--queries", "2"]) == 0
    assert run([*words, "--index", "ivfpq"]) == 0
    small_scan(lab, "stripes-b", textured("stripes", (16, 24, 24), 4))
    add(str(lab / "lib"), [lab / "stripes-b.zarr"])
    capsys.readouterr()
    assert run([*words, "--index", "ivfpq"]) == 2
    assert "older than the library" in capsys.readouterr().err
    for file in (lab / "lib" / "index").iterdir():
        file.unlink()
    assert run([*words, "--index", "hnsw"]) == 2
    assert "library index" in capsys.readouterr().err
    assert run(["library", "index", str(lab / "lib"), "--set", "bits=many"]) == 2

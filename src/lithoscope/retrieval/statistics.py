"""What a library knows of its vectors as a whole: their mean, and what a similarity among them means. Made again after every change."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.job import Progress, Report, silent
from lithoscope.retrieval import store
from lithoscope.retrieval.calibration import PAIRS, Calibration, calibrated
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.prepared import Preparation
from lithoscope.retrieval.vectors import vectors_of

SAMPLE = 20_000
"""From how many patches, drawn evenly, means and calibration are learnt."""


STRANGE = 256
"""How many shuffled patches stand for what no library knows."""


def refresh(library: Library, report: Report = silent) -> None:
    """Learn the means and the calibration of a library, and keep them with it."""
    report(Progress(0, 0, "learning what is alike"))
    table = library.patches
    count = table.count_rows()
    if not count:
        library.say(means=None, calibration=None)
        return
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
    columns = list(library.recipe.columns)
    places = ["id", "scan", "scale", *(axis + end for axis in "zyx" for end in "01")]
    sample = table.take_offsets(chosen.tolist()).select([*columns, *places]).to_arrow()
    means = {}
    for column in columns:
        values = vectors_of(sample, column, library.recipe.width)
        known = values.any(1)
        means[column] = values[known].mean(0) if known.any() else np.zeros(library.recipe.width, np.float32)
    preparation = Preparation(means)
    report(Progress(0, 0, "learning what is alike"))
    library.say(means=preparation.to_json(), calibration=_calibration(library, table, sample, preparation).to_json())


def _calibration(library: Library, table: Any, sample: Any, preparation: Preparation) -> Calibration:
    """Pairs that overlap by half against pairs drawn at random."""
    rng = np.random.default_rng(0)
    columns = list(library.recipe.columns)
    prepared = [preparation.one(c, vectors_of(sample, c, library.recipe.width)) for c in columns]
    scans = np.asarray(sample["scan"].to_pylist())
    starts = np.stack([np.asarray(sample[axis + "0"]) for axis in "zyx"], 1)
    sizes = np.stack([np.asarray(sample[axis + "1"]) for axis in "zyx"], 1) - starts
    count = len(scans)
    a, b = rng.integers(0, count, (2, PAIRS)) if count > 1 else np.zeros((2, 0), np.int64)
    apart = (scans[a] != scans[b]) | (np.abs(starts[a] - starts[b]) >= sizes[a]).any(1)
    chance = _similar(prepared, a[apart], b[apart])
    first = rng.permutation(count)[: PAIRS // 4]
    wanted, of = [], []
    for i in first:
        for axis in range(1, 3):  # the next patch along y and x, where there is one
            step = library.recipe.step(int(sizes[i][axis])) if library.recipe.patch else int(sizes[i][axis])
            moved = starts[i].copy()
            moved[axis] += step
            wanted.append(f"{scans[i]}:{float(sample['scale'][int(i)].as_py()):g}:{','.join(map(str, moved.tolist()))}")
            of.append(int(i))
    near = _near(table, columns, wanted, library.recipe.width)
    pairs = [(i, near[key]) for i, key in zip(of, wanted, strict=True) if key in near]
    if not pairs:
        return Calibration()
    rows = np.array([i for i, _ in pairs])
    others = [preparation.one(c, np.stack([n[k] for _, n in pairs])) for k, c in enumerate(columns)]
    alike = _similar_rows([p[rows] for p in prepared], others)
    return calibrated(alike, chance, _strange(prepared, rng))


def _strange(prepared: list[npt.NDArray[np.float32]], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The best similarity that each of some patches with shuffled channels finds among all."""
    rows = rng.integers(0, len(prepared[0]), min(STRANGE, len(prepared[0])))
    total = np.zeros((len(prepared[0]), len(rows)), np.float32)
    counts = np.zeros_like(total)
    for values in prepared:
        shuffled = rng.permuted(values[rows], axis=1)
        total += values @ shuffled.T
        counts += np.logical_and.outer(values.any(axis=1), shuffled.any(axis=1))
    best: npt.NDArray[np.float32] = (total / np.maximum(counts, 1)).max(0)
    return best


def _near(table: Any, columns: list[str], wanted: list[str], width: int) -> dict[str, list[npt.NDArray[np.float32]]]:
    """The vectors of those patches that are there, by id."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    for start in range(0, len(wanted), 500):
        ids = ", ".join(store.quoted(key) for key in wanted[start : start + 500])
        rows = store.selected(table, f"id IN ({ids})", ["id", *columns])
        vectors = [vectors_of(rows, c, width) for c in columns]
        for i, key in enumerate(rows["id"].to_pylist()):
            found[key] = [v[i] for v in vectors]
    return found


def _similar(prepared: list[npt.NDArray[np.float32]], a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return _similar_rows([p[a] for p in prepared], [p[b] for p in prepared])


def _similar_rows(left: list[npt.NDArray[np.float32]], right: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """The mean cosine of pairs over the columns that both have; pairs that have none in common are left out."""
    total, counts = np.zeros(len(left[0]), np.float32), np.zeros(len(left[0]), np.float32)
    for x, y in zip(left, right, strict=True):
        both = x.any(1) & y.any(1)
        total += np.where(both, np.einsum("nd,nd->n", x, y), 0)
        counts += both
    return total[counts > 0] / counts[counts > 0]

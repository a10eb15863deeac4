"""From the click to the first places in the Similar dock, in a library of 1,000,000 patches: in a scan that the library has, and in
one that it has not. The query's embedding is counted; the library was read before.

The library holds four shared scans and made-up ones, whose patches are those of the four, jittered; it is made once, in
`LITHOSCOPE_BENCH`. Needs Qt and napari, but no screen.

    QT_QPA_PLATFORM=offscreen LITHOSCOPE_SHARED_DATA=… python benchmarks/similar_click.py [--json results.json] [--quick]
"""

import os
import tempfile
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from harness import PeakMemory, Row, bound, main
from lithoscope.retrieval.adding import add
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.statistics import refresh
from lithoscope.retrieval.store import tidy
from lithoscope.retrieval.vectors import vectors_of
from main_thread import Pulse
from retrieval import imported

PIECE = 50_000
CLICKS = 12


def library(folder: Path, count: int) -> Path:
    """A library of so many patches."""
    import pyarrow as pa

    place = folder / f"clicks-{count}"
    if (place / "whole").exists():
        return place / "lib"
    scans = imported(folder)
    add(str(place / "lib"), scans)
    made = Library.open(place / "lib")
    recipe, base = made.recipe, made.patches.to_arrow()
    known = {c: vectors_of(base, c, recipe.width) for c in recipe.columns}
    rng, done = np.random.default_rng(0), base.num_rows
    for number in range(-(-(count - done) // PIECE)):
        rows = min(PIECE, count - done)
        at, name, side = rng.integers(0, base.num_rows, rows), f"made-{number:02d}", 37
        own = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        places = dict(zip("zyx", np.unravel_index(np.arange(rows), (side, side, side)), strict=True))
        some, columns = base.take(pa.array(at)), []
        for field in made.patches.schema:
            if field.name in known:
                moved = known[field.name][at] + rng.normal(0, 0.3 * known[field.name].std(), (rows, recipe.width)).astype(np.float32)
                columns.append(pa.FixedSizeListArray.from_arrays(pa.array(moved.ravel()), recipe.width))
            elif field.name in ("id", "scan", "name"):
                values = {"id": [f"{own}:{i}" for i in range(rows)], "scan": [own] * rows, "name": [name] * rows}
                columns.append(pa.array(values[field.name]))
            elif field.name[:1] in places and field.name[1:] in "01" and len(field.name) == 2:
                columns.append(pa.array((16 * places[field.name[0]] + 32 * int(field.name[1])).astype(np.int32)))
            else:
                columns.append(some[field.name].combine_chunks())
        made.patches.add(pa.Table.from_arrays(columns, schema=made.patches.schema))
        scan = SimpleNamespace(uuid=own, name=name, path=Path("made up") / name, content_hash="", view=None, shape=(16 * side + 16,) * 3)
        made.remember(scan, done=True, rows=rows)
        done += rows
    refresh(made)
    tidy(made.patches)
    (place / "whole").touch()
    return place / "lib"


def clicks(dock, session, spin, number: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first and to the last answer of some clicks, as boxes of 32 voxels."""
    rng, first, last = np.random.default_rng(number), [], []
    for _ in range(CLICKS):
        axis = int(rng.integers(0, 3))
        index, *corner = (int(rng.integers(0, max(1, session.scan.shape[a] - 32))) for a in (axis, *(b for b in range(3) if b != axis)))
        answers = []
        listen = lambda answer, heard=answers: heard.append((time.perf_counter(), answer.rough))  # noqa: E731
        dock.finder.answered.connect(listen)
        begin = time.perf_counter()
        dock.ask_box(axis, index, [(float(c), c + 31.0) for c in corner])
        spin(lambda heard=answers: bool(heard) and not heard[-1][1])
        dock.finder.answered.disconnect(listen)
        first.append(1000 * (answers[0][0] - begin))
        last.append(1000 * (answers[-1][0] - begin))
    return first, last


def measure(quick: bool) -> list[Row]:
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication

    from lithoscope._napari import similar_dock
    from lithoscope._napari.session import session_of
    from lithoscope.sample import simulate

    application = QApplication.instance() or QApplication([])
    folder = Path(os.environ.get("LITHOSCOPE_BENCH", tempfile.gettempdir())) / "lithoscope-retrieval"
    count = 20_000 if quick else 1_000_000
    place = library(folder, count)
    viewer = ViewerModel()
    session = session_of(viewer)
    similar_dock.library_place = lambda: Path("none")
    dock = similar_dock.SimilarDock(viewer)
    dock.show()

    def spin(until) -> None:
        end = time.perf_counter() + 300
        while not until() and time.perf_counter() < end:
            application.processEvents()
            time.sleep(0.001)

    rows = []
    with tempfile.TemporaryDirectory() as other:
        simulate(Path(other) / "rock.zarr", shape=(64, 128, 128), seed=0)
        for words in ("the first, when the libraries that it needs are loaded", "another one"):
            with Pulse() as pulse, PeakMemory() as memory:
                start = time.perf_counter()
                dock.load(str(place))
                spin(lambda: dock.finder.memory is not None)
                spent = time.perf_counter() - start
            said = f"reading took {spent:.1f} s and {memory.peak / 1e9:.1f} GB"
            rows.append(bound(f"the window while a library is read, {words}: longest wait", max(pulse.waits), 100, "ms", said))
        for words, scan in (("that the library has", folder / "soil.zarr"), ("that it has not", Path(other) / "rock.zarr")):
            session.open(scan)
            spin(lambda scan=scan: session.scan is not None and session.scan.path == scan)
            clicks(dock, session, spin, 1)
            first, last = clicks(dock, session, spin, 2)
            note = f"median of {CLICKS}; the slowest {max(first):.0f} ms; looked at closer after {np.median(last):.0f} ms"
            rows.append(bound(f"first of {count:,} places in a scan {words}", float(np.median(first)), 300, "ms", note))
    session.jobs.kill()
    session.shut()
    return rows


if __name__ == "__main__":
    main("From the click to similar places", measure)

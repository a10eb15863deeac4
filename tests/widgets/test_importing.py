"""The first look at a library, in a process of its own: what it needs is imported beside the window, which goes on meanwhile."""

import os
import subprocess
import sys

import pytest
from library_data import SMALL, small_scan

from lithoscope._napari.importing import LIBRARIES, importing, link

LOOK = """
import gc
import sys
import threading
from importlib.abc import MetaPathFinder
from pathlib import Path

from napari.components import ViewerModel
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from lithoscope._napari import similar_dock
from lithoscope._napari.session import session_of

application = QApplication([])
turned, imported = threading.Event(), {}


class Gate(MetaPathFinder):
    '''Lets a package in only when the window has turned meanwhile.'''

    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[2].split(",") and name not in imported:
            imported[name] = threading.current_thread() is not threading.main_thread() and turned.wait(60)
        return None


similar_dock.library_place = lambda: Path("none")
viewer = ViewerModel()
session = session_of(viewer)
dock = similar_dock.SimilarDock(viewer)
assert not [name for name in sys.argv[2].split(",") if name in sys.modules], "the window itself imports it"
sys.meta_path.insert(0, Gate())
loop, collected = QEventLoop(), gc.get_stats()[2]["collections"]
dock.finder.loaded.connect(loop.quit)
dock.finder.failed.connect(loop.quit)
dock.load(sys.argv[1])
said = dock.library._line.text()
QTimer.singleShot(0, turned.set)
loop.exec()
assert said == "opening the library …", said
assert dock.finder.memory is not None, dock.library._line.text()
assert imported and all(imported.values()), imported
assert gc.get_stats()[2]["collections"] == collected, "a full collection stopped the window"
assert gc.isenabled()
session.jobs.kill()
session.shut()
"""

USE = """
import sys

from lithoscope._napari.importing import LIBRARIES, importing

with importing(*LIBRARIES):
    import lancedb, pyarrow, torch

assert float(torch.ones(2).sum()) == 2
assert pyarrow.array([1, 2]).to_pylist() == [1, 2]
assert lancedb.connect(sys.argv[1]).list_tables().tables == []
"""


def run_alone(code, *arguments):
    """Run a program in a process of its own, which is to succeed."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    for package in LIBRARIES:
        pytest.importorskip(package)
    from lithoscope.retrieval.adding import add

    folder = tmp_path_factory.mktemp("lab")
    small_scan(folder, "grains")
    add(str(folder / "lib"), [folder / "grains.zarr"], **SMALL)
    return folder / "lib"


def test_the_window_goes_on_while_what_a_library_needs_is_imported(library):
    run_alone(LOOK, str(library), "lancedb,torch")


@pytest.mark.parametrize("package", LIBRARIES)
def test_every_library_is_linked_before_its_package_is_imported_and_twice_is_harmless(package):
    pytest.importorskip(package)
    first = link(package)
    assert link(package) == first
    assert len({name.partition(".")[0] for name in first}) == len(LIBRARIES[package]) or os.name != "posix"


def test_what_was_linked_before_works_when_it_is_imported(tmp_path):
    for package in LIBRARIES:
        pytest.importorskip(package)
    run_alone(USE, str(tmp_path))


def test_a_package_that_is_missing_or_known_is_left_alone(monkeypatch):
    monkeypatch.setitem(LIBRARIES, "no_such_package", ("x",))
    assert link("no_such_package") == []
    with importing("sys"):
        pass

"""Docks and their parts on Qt's offscreen platform: no OpenGL, so no window of napari's, only its model of one."""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")


@pytest.fixture
def viewer():
    """napari's viewer without a window."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def session(viewer, qapp):
    """The session of that viewer; its worker ends with the test."""
    from lithoscope._napari.session import session_of

    made = session_of(viewer)
    yield made
    made.jobs.kill()
    made.shut()


@pytest.fixture
def scan_path(tmp_path: Path) -> Path:
    """A small scan of three grey levels with noise, 24 × 40 × 48."""
    from lithoscope.volume.convert import import_scan

    rng = np.random.default_rng(0)
    grey = 60 + 60 * (np.arange(48) // 16) + rng.normal(0, 6, (24, 40, 48))
    np.save(tmp_path / "steps.npy", grey.clip(0, 255).astype(np.uint8))
    import_scan(tmp_path / "steps.npy", tmp_path / "steps.zarr", field_of_view=None)
    return tmp_path / "steps.zarr"


@pytest.fixture
def opened(session, scan_path, qtbot):
    """The session with that scan open."""
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        session.open(scan_path)
    return session


@pytest.fixture
def fake_worker(tmp_path: Path):
    """A worker whose jobs do as they are told: `echo`, `wait` (until cancelled), `deaf` (never answers), `crash`."""
    script = tmp_path / "fake_worker.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, os, sys
            cancelled = None
            def say(**event):
                print(json.dumps(event), flush=True)
            for line in sys.stdin:
                request = json.loads(line)
                if request.get("cancel"):
                    if running == "wait":
                        say(id=request["id"], event="failed", kind="cancelled", message="cancelled")
                    continue
                if "command" not in request:
                    continue
                running = request["command"]
                say(id=request["id"], event="progress", done=1, total=4, message="one of four")
                print("a library talks")
                if running == "echo":
                    say(id=request["id"], event="done", result=request["arguments"])
                elif running == "refuse":
                    say(id=request["id"], event="failed", kind="error", message="no")
                elif running == "crash":
                    print("out of luck", file=sys.stderr, flush=True)
                    os._exit(3)
            """
        )
    )
    return [sys.executable, str(script)]

"""Closing napari in the middle of a job: it is finished in the background if that was asked, else ended, to be resumed."""

import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np
import pytest

from lithoscope.labels.results import open_result, resume
from lithoscope.volume.scan import Scan

CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import napari
    from lithoscope._napari.segment_dock import SegmentDock

    scan, finish = Path(sys.argv[1]), sys.argv[2] == "finish"
    viewer = napari.Viewer(show=True)
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session = dock.session
    session.finish_in_background = finish

    def began(job):
        if job.command == "segment" and job.total and job.state == "running":
            session.jobs.changed.disconnect(began)
            print(session.jobs.pid, flush=True)
            viewer.close()

    def run():
        dock.methods.output.setText("otsu")
        dock.methods.run_button.click()

    session.jobs.changed.connect(began)
    session.scan_changed.connect(run)
    session.open(scan)
    napari.run()
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("wish", ["finish", "end"])
def test_a_job_outlives_its_window_only_if_that_was_asked(wish, tmp_path):
    import psutil

    from lithoscope.volume.convert import import_scan

    volume = np.random.default_rng(1).integers(0, 255, (64, 520, 520), np.uint8)
    np.save(tmp_path / "noise.npy", volume)
    import_scan(tmp_path / "noise.npy", tmp_path / "noise.zarr", field_of_view=None)
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "noise.zarr"), wish], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    worker = int(ended.stdout.split()[0])
    with suppress(psutil.NoSuchProcess):
        psutil.Process(worker).wait(60)
    scan = Scan.open(tmp_path / "noise.zarr")
    if wish == "finish":
        assert np.unique(open_result(scan, "otsu").array[:]).tolist() == [1, 2, 3]
    elif "otsu" not in scan.results():
        writer = resume(scan, "otsu")
        assert writer is not None
        writer.close()

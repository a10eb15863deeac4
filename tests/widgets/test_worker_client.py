"""Jobs in the worker process: told of, queued, cancelled, and survived."""

import numpy as np
import pytest

from lithoscope._napari import worker_client
from lithoscope._napari.worker_client import WorkerClient


@pytest.fixture
def client(fake_worker, qapp):
    made = WorkerClient(command=fake_worker)
    yield made
    made.kill()
    made.close(finish=False)


def ended(qtbot, client, job):
    qtbot.waitUntil(lambda: job.over, timeout=60_000)
    return job.state


def test_a_job_reports_and_answers(client, qtbot):
    seen = []
    client.changed.connect(lambda job: seen.append((job.done, job.total, job.message)))
    job = client.submit("echo", {"a": 1}, "echo")
    assert ended(qtbot, client, job) == "done"
    assert job.result == {"a": 1}
    assert (1, 4, "one of four") in seen


def test_jobs_wait_for_each_other_in_one_process(client, qtbot):
    first, second = client.submit("wait", {}, "first"), client.submit("echo", {"b": 2}, "second")
    qtbot.waitUntil(lambda: first.done == 1, timeout=60_000)
    pid = client.pid
    assert second.state == "waiting"
    client.cancel(first)
    assert ended(qtbot, client, second) == "done"
    assert first.state == "cancelled"
    assert client.pid == pid


def test_a_waiting_job_is_cancelled_at_once(client, qtbot):
    first, second = client.submit("wait", {}, "first"), client.submit("echo", {}, "second")
    client.cancel(second)
    assert second.state == "cancelled"
    assert first.state == "running"


def test_a_job_that_does_not_listen_is_ended_after_its_grace(client, qtbot, monkeypatch):
    monkeypatch.setattr(worker_client, "GRACE_S", 0.1)
    job, after = client.submit("deaf", {}, "deaf"), client.submit("echo", {"c": 3}, "after")
    qtbot.waitUntil(lambda: job.done == 1, timeout=60_000)
    client.cancel(job)
    assert ended(qtbot, client, job) == "cancelled"
    assert ended(qtbot, client, after) == "done"


def test_a_crash_fails_the_job_and_the_next_one_gets_a_new_process(client, qtbot):
    job, after = client.submit("crash", {}, "crash"), client.submit("echo", {}, "after")
    assert ended(qtbot, client, job) == "failed"
    assert "out of luck" in job.message
    assert ended(qtbot, client, after) == "done"


def test_a_killed_worker_is_told_as_such(client, qtbot):
    job = client.submit("deaf", {}, "deaf")
    qtbot.waitUntil(lambda: job.done == 1, timeout=60_000)
    client.kill()
    assert ended(qtbot, client, job) == "failed"
    assert "ended from outside" in job.message


def test_a_refusal_is_passed_on(client, qtbot):
    job = client.submit("refuse", {}, "refuse")
    assert ended(qtbot, client, job) == "failed"
    assert job.message == "no"


def test_time_left_is_judged_from_the_pace():
    job = worker_client.Job(1, "x", {}, "x", state="running", done=1, total=4, began=0.0)
    assert job.seconds_left(0.5) is None
    assert job.seconds_left(10.0) == pytest.approx(30.0)


def test_the_real_worker_imports_and_segments(qapp, qtbot, tmp_path):
    image = np.zeros((8, 32, 32), np.uint8)
    image[:, :, 16:] = 100
    np.save(tmp_path / "image.npy", image)
    client = WorkerClient()
    scan = str(tmp_path / "image.zarr")
    try:
        first = client.submit("import", {"source": str(tmp_path / "image.npy"), "scan": scan}, "import")
        second = client.submit("segment", {"scans": [scan], "method": "otsu", "settings": {"classes": 2}, "output": "otsu"}, "otsu")
        third = client.submit("segment", {"scans": [scan], "method": "no such", "output": "x"}, "wrong")
        qtbot.waitUntil(lambda: third.over, timeout=60_000)
        assert (first.state, first.message) == ("done", "")
        assert (second.state, second.message) == ("done", "")
        assert third.state == "failed"
        assert "no such" in third.message
    finally:
        client.close(finish=False)

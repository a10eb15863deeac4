"""The bar of the jobs: those that wait are cancelled by a button of their own."""

import pytest

from lithoscope._napari.job_bar import ROWS, JobBar
from lithoscope._napari.worker_client import WorkerClient


@pytest.fixture
def bar(session, fake_worker, qtbot, monkeypatch):
    client = WorkerClient(command=fake_worker)
    monkeypatch.setattr(session, "jobs", client)
    made = JobBar(session)
    qtbot.addWidget(made)
    yield made
    client.kill()
    client.close(finish=False)


def lines(bar):
    return [line for line in bar._waiting if line.isVisibleTo(bar)]


def test_jobs_that_wait_are_cancelled_one_by_one(bar, qtbot):
    client = bar._session.jobs
    first, *others = [client.submit("wait", {}, f"job {i}") for i in range(4)]
    assert [line.words.text() for line in lines(bar)] == ["job 1 · waits", "job 2 · waits", "job 3 · waits"]
    middle = lines(bar)[1].cancel
    assert type(middle) is type(bar._cancel)
    assert middle.accessibleName() == "Cancel job 2, which waits"
    assert "job 2" in middle.toolTip()
    middle.click()
    assert [job.state for job in (first, *others)] == ["running", "waiting", "cancelled", "waiting"]
    assert [line.words.text() for line in lines(bar)] == ["job 1 · waits", "job 3 · waits"]
    for line in reversed(lines(bar)):
        line.cancel.click()
    assert lines(bar) == []
    assert first.state == "running"


def test_those_beyond_the_lines_move_up(bar, qtbot):
    client = bar._session.jobs
    for i in range(ROWS + 3):
        client.submit("wait", {}, f"job {i}")
    assert len(lines(bar)) == ROWS
    assert "2 more wait" in bar._words.text()
    lines(bar)[0].cancel.click()
    assert [line.words.text() for line in lines(bar)][-1] == f"job {ROWS + 1} · waits"
    assert "1 more waits" in bar._words.text()


def test_a_job_that_has_begun_meanwhile_is_not_cancelled_by_the_line_of_those_that_wait(bar, qtbot):
    client = bar._session.jobs
    client.submit("echo", {}, "first")
    second = client.submit("wait", {}, "second")
    line = bar._waiting[0]
    qtbot.waitUntil(lambda: second.state == "running", timeout=60_000)
    line._job = second  # as in the moment before the bar is shown anew
    line.cancel.click()
    assert not second.cancelling

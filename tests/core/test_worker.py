"""The worker process, spoken to as the docks do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


class Conversation:
    """A real worker with its pipes."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "lithoscope.cli.worker"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def say(self, **request: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def until(self, *kinds: str) -> dict:
        while True:
            event = self.hear()
            if event["event"] in kinds:
                return event


@pytest.fixture
def worker() -> Iterator[Conversation]:
    conversation = Conversation()
    yield conversation
    conversation.process.kill()
    conversation.process.wait()
    if conversation.process.stdout:
        conversation.process.stdout.close()


def test_a_command_is_run_and_answered(worker: Conversation):
    worker.say(id=1, command="methods", arguments={})
    answer = worker.until("done", "failed")
    assert answer["id"] == 1
    assert {"otsu", "threshold"} <= {method["name"] for method in answer["result"]["methods"]}


def test_an_error_is_one_line_and_the_worker_goes_on(worker: Conversation):
    worker.say(id=1, command="info", arguments={"scan": "nowhere.zarr"})
    failed = worker.until("failed")
    assert failed["kind"] == "error"
    assert "\n" not in failed["message"]
    worker.say(id=2, command="methods", arguments={})
    assert worker.until("done")["id"] == 2


def test_a_wrong_request_is_a_bug_and_the_worker_goes_on(worker: Conversation):
    worker.say(id=1, command="info", arguments={"no": "such"})
    assert worker.until("failed")["kind"] == "bug"
    worker.say(id=2, command="methods")
    assert worker.until("done")["id"] == 2


def test_progress_comes_and_a_cancel_is_obeyed(worker: Conversation, tmp_path: Path):
    source = tmp_path / "x_256x256x512_uint8.raw"
    np.zeros((512, 256, 256), np.uint8).tofile(source)
    worker.say(id=5, command="import", arguments={"source": str(source), "scan": str(tmp_path / "x.zarr")})
    assert worker.until("progress")["total"] >= 0
    worker.say(id=5, cancel=True)
    assert worker.until("failed", "done")["event"] in ("failed", "done")
    worker.say(id=6, cancel=True)
    worker.say(id=6, command="import", arguments={"source": str(source), "scan": str(tmp_path / "y.zarr")})
    failed = worker.until("failed")
    assert (failed["id"], failed["kind"]) == (6, "cancelled")
    assert not (tmp_path / "y.zarr").exists()


def test_it_ends_when_standard_input_ends(worker: Conversation):
    assert worker.process.stdin
    worker.process.stdin.close()
    assert worker.process.wait(timeout=20) == 0


def test_after_detach_it_finishes_what_it_was_given(worker: Conversation, tmp_path: Path):
    source = tmp_path / "x.npy"
    np.save(source, np.zeros((64, 64, 64), np.uint8))
    worker.say(detach=True)
    worker.say(id=1, command="import", arguments={"source": str(source), "scan": str(tmp_path / "x.zarr")})
    assert worker.process.stdin
    worker.process.stdin.close()
    assert worker.process.wait(timeout=60) == 0
    assert (tmp_path / "x.zarr" / "zarr.json").exists()


def test_after_detach_nobody_need_listen(tmp_path: Path):
    """The window is gone and its ends of the pipes with it: neither the protocol nor a library that prints may end the job."""
    source = tmp_path / "x.npy"
    np.save(source, np.zeros((64, 64, 64), np.uint8))
    loud = (
        "import sys, warnings; from lithoscope.cli import commands, worker; plain = commands.command\n"
        "def command(name):\n"
        "    def run(**arguments):\n"
        "        done = plain(name)(**arguments)\n"
        "        print('a library talks', flush=True); print('and grumbles', file=sys.stderr, flush=True)\n"
        "        open(arguments['scan'] + '.told', 'w').close(); return done\n"
        "    return run\n"
        "commands.command = command; worker.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", loud], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(json.dumps({"detach": True}) + "\n")
    process.stdin.write(json.dumps({"id": 1, "command": "import", "arguments": {"source": str(source), "scan": str(tmp_path / "x.zarr")}}))
    process.stdout.close()
    process.stderr.close()
    process.stdin.close()
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "x.zarr.told").exists()

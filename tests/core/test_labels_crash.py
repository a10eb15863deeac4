"""What is painted survives `kill -9`, and one program writes at a time: with real processes."""

import json
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from lithoscope.errors import LockedError
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box
from lithoscope.volume.lock import WriterLock

SHAPE = (70, 200, 200)

PAINTER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_labels_crash import SHAPE, step
from lithoscope.labels.store import LabelStore
store = LabelStore(Path(sys.argv[1]), SHAPE)
assert not store.readonly, store.holder
for number in range(100_000):
    step(store, number)
    print(number, time.monotonic(), flush=True)
    time.sleep(0.002)
"""


class Plain:
    """A numpy array that is painted, undone and redone as a store is."""

    def __init__(self):
        self.array = np.zeros(SHAPE, np.uint8)
        self.done, self.undone = [], []

    def write(self, box, mask, value):
        region = self.array[box.slices]
        old = region.copy()
        region[mask] = value
        if (region != old).any():
            self.done.append((box, old, region.copy()))
            self.undone.clear()

    def undo(self):
        if self.done:
            box, old, _ = step = self.done.pop()
            self.undone.append(step)
            self.array[box.slices] = old

    def redo(self):
        if self.undone:
            box, _, new = step = self.undone.pop()
            self.done.append(step)
            self.array[box.slices] = new


def step(store, number):
    """The change of this number: always the same."""
    rng = random.Random(number)
    what = rng.random()
    if what < 0.15:
        store.undo()
    elif what < 0.25:
        store.redo()
    else:
        start = tuple(rng.randrange(n - 21) for n in SHAPE)
        size = (1, 21, 21) if what < 0.7 else (21, 21, 1)
        box = Box(start, tuple(a + b for a, b in zip(start, size, strict=True)))
        mask = np.random.default_rng(number).random(size) < 0.7
        store.write(box, mask, rng.randrange(4))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")
def test_painting_survives_kill_9_at_any_moment(tmp_path, request):
    chance = random.Random(7)
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        plain, replayed = Plain(), 0
        painter = subprocess.Popen(
            [sys.executable, "-c", PAINTER, str(folder), str(request.path.parent)], stdout=subprocess.PIPE, text=True
        )
        kill_at = 1.2 + chance.random()
        said, first = [], None
        for line in painter.stdout:
            number, when = line.split()
            first = first or float(when)
            said.append((int(number), float(when)))
            if float(when) - first > kill_at:
                break
        killed = time.monotonic()
        painter.send_signal(signal.SIGKILL)
        painter.wait()
        painter.stdout.close()
        safe = max(number for number, when in said if when < killed - 1.0)
        with LabelStore(folder, SHAPE) as store:
            assert not store.readonly
            found = store[:]
            while replayed <= safe or (not np.array_equal(found, plain.array) and replayed <= said[-1][0] + 100):
                step(plain, replayed)
                replayed += 1
            np.testing.assert_array_equal(found, plain.array)
            for _ in range(20):  # the history is whole as well
                store.undo()
                plain.undo()
            np.testing.assert_array_equal(store[:], plain.array)


HOLDER = """
import sys
from pathlib import Path
from lithoscope.volume.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]), "the strokes")
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_of_another_process_is_believed_and_that_of_a_dead_one_is_not(tmp_path):
    holder = hold(tmp_path)
    with pytest.raises(LockedError, match=f"process {holder.pid} on this computer"):
        WriterLock(tmp_path, "the strokes")
    with LabelStore(tmp_path, SHAPE, what="the strokes") as store:
        assert store.readonly
        assert str(holder.pid) in store.holder
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert (tmp_path / "lock").exists()
    WriterLock(tmp_path, "the strokes").release()
    assert not (tmp_path / "lock").exists()


def test_a_process_number_that_was_given_again_is_no_holder(tmp_path):
    holder = hold(tmp_path)
    owner = json.loads((tmp_path / "lock").read_text())
    (tmp_path / "lock").write_text(json.dumps({**owner, "started": owner["started"] - 60}))
    WriterLock(tmp_path, "the strokes").release()
    holder.communicate()


def test_a_damaged_lock_holds_nobody(tmp_path):
    (tmp_path / "lock").write_text("{torn")
    WriterLock(tmp_path, "the strokes").release()


def test_a_lock_that_this_program_lost_is_taken_again(tmp_path):
    lock = WriterLock(tmp_path, "the strokes")
    text = lock.path.read_text()
    with pytest.raises(LockedError, match="this program"):
        WriterLock(tmp_path, "the strokes")
    lock.release()
    lock.path.write_text(text)
    WriterLock(tmp_path, "the strokes").release()


def test_a_lock_of_another_computer_is_believed(tmp_path):
    (tmp_path / "lock").write_text('{"host": "elsewhere", "pid": 1, "started": 1.0}')
    with pytest.raises(LockedError, match="process 1 on elsewhere"):
        WriterLock(tmp_path, "the strokes")


def test_of_several_that_find_a_stale_lock_one_gets_it(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"host": socket.gethostname(), "pid": 999999999, "started": 1.0}))
    code = HOLDER.replace("lock = Wr", "from lithoscope.errors import LockedError\ntry:\n    lock = Wr").replace(
        'strokes")\n', 'strokes")\nexcept LockedError:\n    print("refused", flush=True)\n    sys.exit()\n'
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.stdout.readline().strip() for process in started]
    assert sorted(answers) == ["held", "refused", "refused", "refused"]
    for process in started:
        process.communicate()

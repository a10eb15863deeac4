"""What jobs run on is told beside the scan's name, without torch in the window's own process."""

import subprocess
import sys

import pytest

from lithoscope._napari import device_badge
from lithoscope._napari.device_badge import ASK, DeviceBadge, Question, words


def printing(word):
    return (sys.executable, "-c", f"print('a library says hello'); print({word!r})")


def answer(ask):
    return Question(ask).answer()


@pytest.fixture
def badge(session, qtbot, monkeypatch):
    def made(ask):
        monkeypatch.setattr(device_badge, "ASK", ask)
        monkeypatch.setattr(device_badge, "may_have_gpu", lambda: True)
        shown = DeviceBadge(session)
        qtbot.addWidget(shown)
        return shown

    return made


def test_a_gpu_that_jobs_would_take_is_told(badge, qtbot):
    shown = badge(printing("cuda:0"))
    assert shown.text().startswith("CPU · "), "until it is known"
    qtbot.waitUntil(lambda: shown.text().startswith("GPU · "), timeout=60_000)
    assert "dino" in shown.toolTip()
    assert "cuda:0" in shown.toolTip()


def test_without_one_or_an_answer_it_is_the_processor(badge, qtbot):
    assert answer((sys.executable, "-c", "raise SystemExit(3)")) == "cpu"
    assert answer(("no-such-program-anywhere",)) == "cpu"
    shown = badge(printing("cpu"))
    qtbot.waitUntil(lambda: not shown._work.busy, timeout=60_000)
    assert shown.text() == words("cpu")
    assert words("mps").startswith("Apple GPU · ")


def test_it_is_what_the_jobs_themselves_choose():
    pytest.importorskip("torch")
    told = subprocess.run([sys.executable, "-c", "from lithoscope.training.devices import device_of; print(device_of())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert answer(ASK) == told.stdout.strip()


def test_asking_takes_no_torch_into_the_window():
    seen = "import sys; from lithoscope._napari.device_badge import ASK, Question; Question(ASK).answer(); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == "False"


CLOSED_AT_ONCE = """
import sys
from qtpy.QtWidgets import QApplication
from napari.components import ViewerModel
from lithoscope._napari import device_badge
from lithoscope._napari.session import session_of

device_badge.ASK = (sys.executable, "-c", "import time; time.sleep(600)")
device_badge.PATIENCE_S = 600.0
device_badge.may_have_gpu = lambda: True
app, viewer = QApplication([]), ViewerModel()
badge = device_badge.DeviceBadge(session_of(viewer))
while badge._question._process is None:
    app.processEvents()
session_of(viewer).shut()
"""


def test_a_window_that_closes_waits_for_no_answer():
    """The one who asks would sleep for ten minutes; the program ends long before the test's own patience does."""
    subprocess.run([sys.executable, "-c", CLOSED_AT_ONCE], check=True, timeout=120)


def test_what_was_ended_is_not_taken_for_an_answer():
    ask = printing("cuda:7")
    ended = Question(ask)
    ended.end()
    assert ended.answer() == "cpu"
    assert answer(ask) == "cuda:7"

"""What jobs run on, in words; asked of another process, for torch takes seconds to be imported and would hold the window up."""

import os
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from lithoscope._napari.background import Background
from lithoscope._napari.session import Session

ASK = (sys.executable, "-c", "from lithoscope.training.devices import device_of; print(device_of())")
"""Answers with the device that "auto" means, which is what jobs are given."""
PATIENCE_S = 30.0
NAMES = {"cuda": "GPU", "mps": "Apple GPU"}


class DeviceBadge(QLabel):
    """ "CPU · 2 cores"; with a GPU that networks would take "GPU · 16 cores"."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(words("cpu"), parent)
        self.setProperty("muted", True)
        self.setAccessibleName("What jobs run on")
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self._work = Background(self)
        self._question = Question(ASK)
        session.closing.connect(self._on_closing)
        self._show("cpu")
        if may_have_gpu():
            self._work.start(self._question.answer, self._show)

    def _on_closing(self) -> None:
        self._work.close()
        self._question.end()  # or the program would wait for the answer before it ends

    def _show(self, device: str) -> None:
        self.setText(words(device))
        kind = device.partition(":")[0]
        if kind in NAMES:
            self.setToolTip(f"unet, dino and backbones compute on the {NAMES[kind]} ({device}), all else on the processor")
        else:
            self.setToolTip("Everything is computed on the processor; networks take a GPU where torch can use one")


class Question:
    """Asks another process for the device that jobs run on by themselves, as `ask` prints it; the answer is kept for this program."""

    _known: ClassVar[dict[tuple[str, ...], str]] = {}

    def __init__(self, ask: tuple[str, ...]) -> None:
        self._ask = ask
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._ended = False

    def answer(self) -> str:
        """The device, waited for; the processor where nothing answers, or when it was ended."""
        if self._ask not in self._known:
            told = self._told()
            if self._ended:
                return "cpu"
            self._known[self._ask] = told[-1] if told else "cpu"
        return self._known[self._ask]

    def end(self) -> None:
        """Wait no longer."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def _told(self) -> list[str]:
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        try:
            with self._lock:
                if self._ended:
                    return []
                process = self._process = subprocess.Popen(
                    self._ask, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, creationflags=flags
                )
        except OSError:
            return []
        with process:
            try:
                told = process.communicate(timeout=PATIENCE_S)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                return []
        return told.split() if process.returncode == 0 else []


def may_have_gpu() -> bool:
    """Whether torch is here, and not one built for processors alone."""
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False


def words(device: str) -> str:
    """A device in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{NAMES.get(device.partition(':')[0], 'CPU')} · {cores} core{'s' if cores > 1 else ''}"

"""What jobs run on, in words; asked of another process, for torch takes seconds to be imported and would hold the window up."""

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

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
        session.closing.connect(self._work.close)
        self._show("cpu")
        if may_have_gpu():
            self._work.start(lambda: auto_device(ASK), self._show)

    def _show(self, device: str) -> None:
        self.setText(words(device))
        kind = device.partition(":")[0]
        if kind in NAMES:
            self.setToolTip(f"unet, dino and backbones compute on the {NAMES[kind]} ({device}), all else on the processor")
        else:
            self.setToolTip("Everything is computed on the processor; networks take a GPU where torch can use one")


@cache
def auto_device(ask: tuple[str, ...]) -> str:
    """The device that jobs run on by themselves, as `ask` prints it, once a program; the processor where that fails."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
    try:
        told = subprocess.run(ask, capture_output=True, text=True, timeout=PATIENCE_S, check=True, creationflags=flags).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return "cpu"
    return told[-1] if told else "cpu"


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

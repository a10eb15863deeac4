"""What is not needed is not loaded: the core starts fast, and runs where there is no Qt."""

import json
import subprocess
import sys

import pytest

HEAVY = {"PyQt6", "PySide6", "dask", "magicgui", "napari", "peft", "qtpy", "scipy", "skimage", "sklearn", "torch", "transformers", "vispy"}


MODULES = [
    "lithoscope",
    "lithoscope.cli",
    "lithoscope.compare",
    "lithoscope.doctor",
    "lithoscope.export",
    "lithoscope.features",
    "lithoscope.filtering",
    "lithoscope.labels",
    "lithoscope.measure",
    "lithoscope.report",
    "lithoscope.scores",
    "lithoscope.segmenters",
    "lithoscope.similarity",
    "lithoscope.similarity.settings",
    "lithoscope.volume",
    "lithoscope.volume.convert",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_loads_nothing_heavy(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & HEAVY == set()

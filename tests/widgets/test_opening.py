"""What is loaded in a thread before the first layer is shown."""

import subprocess
import sys

CHECK = """
import sys, threading
import pint
from pint.registry import LazyRegistry
from lithoscope._napari.opening import take_up_units, warm
loaded = []
thread = threading.Thread(target=lambda: loaded.append(warm()))
thread.start(); thread.join()
assert {"pandas", "scipy.ndimage", "dask.array"} <= set(sys.modules)
assert isinstance(pint.get_application_registry().get(), LazyRegistry), "two threads may not read it at once"
take_up_units(loaded[0])
assert pint.get_application_registry().get() is loaded[0]
from napari.layers import Image
import numpy as np
layer = Image(np.zeros((2, 3, 4)), units=("micrometer",) * 3)
assert str(layer.units[0]) == "micrometer"
take_up_units(pint.UnitRegistry())
assert pint.get_application_registry().get() is loaded[0], "layers hold units of it"
"""


def test_units_are_read_in_a_thread_and_taken_up_once():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr

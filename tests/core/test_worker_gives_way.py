"""The worker lets the window go first, and nobody else's programs slow down for it."""

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
CODE = """
from pathlib import Path
import os
from lithoscope.cli.worker import give_way
give_way()
print(os.nice(0), Path("/proc/self/autogroup").read_text().split()[-1])
"""


@pytest.mark.skipif(
    not AUTOGROUP.exists() or not AUTOGROUP.read_text().strip(),  # empty where a control group weighs the processes
    reason="this system does not weigh sessions against each other",
)
@pytest.mark.parametrize("own", [True, False])
def test_only_a_session_of_the_workers_own_gives_way_as_a_whole(own: bool) -> None:
    before = AUTOGROUP.read_text().split()[-1]
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, start_new_session=own)
    niceness, session = said.stdout.split()
    assert int(niceness) >= 10
    assert session == ("10" if own else before)
    assert AUTOGROUP.read_text().split()[-1] == before

"""What every test can ask for."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    # What lands is judged by the same examples each time; at a desk new ones are drawn at every run.
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LITHOSCOPE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip("the real scans are not beside this checkout; set LITHOSCOPE_SHARED_DATA to their folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies under tests/real."""
    for item in items:
        if "real" in item.path.parts:
            item.add_marker(pytest.mark.real)

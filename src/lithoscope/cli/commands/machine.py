"""This machine and installation."""

from typing import Any

from lithoscope.job import Report, silent

Json = dict[str, Any]


def doctor(*, report: Report = silent) -> Json:
    """What this machine and installation can do."""
    from lithoscope.doctor import examine

    return examine()

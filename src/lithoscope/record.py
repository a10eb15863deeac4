"""The run record: what was done, to what, with what, so that every result can be explained and made again."""

import platform
import uuid as uuids
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from lithoscope.errors import NewerSchemaError

SCHEMA = 1
"""The version of the record's layout that this code writes."""

RECORDED = ("lithoscope", "numpy", "zarr", "zarrs", "scipy", "scikit-image", "scikit-learn", "torch", "transformers", "peft")


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the installed packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """This moment in UTC, as ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Everything in it is plain JSON; nothing in it names a machine or a person.

    `source` says what was read: the scan's uuid, name, image, content hash, shape, dtype, box and field of view.
    `parameters` holds every field of the method, defaults included, so that a change of a default changes no old record.
    `learnt` is what was fitted (`thresholds`, `centres`); `notes` are the reasons of choices made for the person.
    """

    kind: str
    method: str
    parameters: dict[str, Any]
    source: dict[str, Any]
    seed: int | None = None
    device: str = "cpu"
    output: str | None = None
    learnt: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    created: str = field(default_factory=now)
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    versions: dict[str, str] = field(default_factory=lambda: dict(versions()))
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        schema = int(data.get("schema", 0))
        if schema > SCHEMA:
            raise NewerSchemaError(f"the run record is of schema {schema}, this Lithoscope reads up to {SCHEMA}; update it")
        known = cls.__dataclass_fields__
        return cls(**{key: value for key, value in data.items() if key in known})

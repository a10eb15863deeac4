"""The class table of a scan, kept in its sidecar."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from lithoscope.classes import ClassTable
from lithoscope.errors import NewerSchemaError, UnreadableError
from lithoscope.volume.store import write_json

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

SCHEMA = 1
_NAME = "classes.json"


def load_classes(scan: "Scan") -> ClassTable:
    """The classes of a scan; an empty table when nobody has made any."""
    path = scan.sidecar / _NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if int(data["schema"]) > SCHEMA:
            raise NewerSchemaError(f"{path} is of schema {data['schema']}, this Lithoscope reads up to {SCHEMA}; update it")
        return ClassTable.from_json(data)
    except FileNotFoundError:
        return ClassTable()
    except NewerSchemaError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"{path} is damaged: {error}; put back a copy, or delete it to name the classes again") from error


def save_classes(scan: "Scan", table: ClassTable) -> None:
    """Keep the classes of a scan, in one step; raises `MissingError` when it was deleted."""
    scan.check_present()
    write_json(scan.sidecar / _NAME, {"schema": SCHEMA, **table.to_json()})


def known_classes(scan: "Scan", table: ClassTable) -> ClassTable:
    """The classes of a result, and those of the scan that it lacks: corrections may have brought them in."""
    taken = {c.name.casefold() for c in table}
    more = [replace(c, name=f"{c.name} ({c.id})") if c.name.casefold() in taken else c for c in load_classes(scan) if c.id not in table]
    return ClassTable.of([*table, *more], last=table.last)

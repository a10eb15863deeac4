"""The spot check of a result as it is kept: the places that were drawn, and what a person has named so far.

It lies in the scan's sidecar, one file a result, written after every answer.
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lithoscope.errors import InputError, MissingError, NewerSchemaError, TakenError, UnreadableError
from lithoscope.job import Report, silent
from lithoscope.labels.companions import spot_check_place
from lithoscope.measure.spotcheck import Checked, Draw, checked, draw, shares
from lithoscope.record import now
from lithoscope.volume.store import storage_errors, write_json

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan

SCHEMA = 1
HEADER = ("z", "y", "x", "seen")


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """Places of one result in random order; `seen` holds the class that a person named, by the number of the place."""

    result: str
    record: str
    """The uuid of the run that the result came of."""
    drawn: Draw
    seed: int
    begun: str
    seen: dict[int, int] = field(default_factory=dict)
    view: dict[str, Any] | None = None
    """The field of view that the places were drawn in."""

    @property
    def next(self) -> int | None:
        """The first place that nobody has named, or None."""
        return next((i for i in range(len(self.drawn.places)) if i not in self.seen), None)

    def named(self, number: int, id: int | None) -> Self:
        """With the place of this number named, or with None no longer named."""
        if not 0 <= number < len(self.drawn.places):
            raise InputError(f"there is no place {number + 1}; {len(self.drawn.places)} were drawn")
        seen = {k: v for k, v in self.seen.items() if k != number} | ({} if id is None else {number: id})
        return replace(self, seen=seen)

    def checked(self) -> Checked:
        """What follows from the places named so far; raises `InputError` while they are too few."""
        return checked(self.drawn.voxels, [(self.drawn.places[i].mapped, id) for i, id in sorted(self.seen.items())])

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA, "result": self.result, "record": self.record, "seed": self.seed, "begun": self.begun, "view": self.view,
            **self.drawn.to_json(), "seen": {str(i): id for i, id in sorted(self.seen.items())},
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The spot check that `to_json` wrote."""
        if data["schema"] > SCHEMA:
            raise NewerSchemaError("the spot check was written by a newer Lithoscope; update Lithoscope to read it")
        seen = {int(i): int(id) for i, id in data["seen"].items()}
        return cls(
            str(data["result"]), str(data["record"]), Draw.from_json(data), int(data["seed"]), str(data["begun"]), seen, data["view"]
        )


def begin(scan: "Scan", result: str, count: int = 200, *, seed: int = 0, overwrite: bool = False, report: Report = silent) -> SpotCheck:
    """Draw places of a result as corrected, and keep them.

    Raises:
        TakenError: a check with answers is there already.
    """
    former = _kept(scan, result)
    if former is not None and former.seen and not overwrite:
        said = f"{result} has a spot check with {len(former.seen)} answers"
        if former.view != _view_of(scan):
            raise TakenError(f"{said}, drawn in another field of view; set that one again, or begin anew with --overwrite")
        raise TakenError(f"{said}; go on with it, or begin anew with --overwrite")
    drawn = draw(scan, result, count, seed=seed, report=report)
    made = SpotCheck(result, _record_of(scan, result), drawn, seed, now(), view=_view_of(scan))
    save(scan, made)
    return made


def refuse_another(check: SpotCheck, count: int | None, seed: int | None) -> None:
    """Refuse a number of places or a seed, where one is wished, that a spot check was not begun with."""
    places = len(check.drawn.places)
    known = [n for n in check.drawn.voxels.values() if n]
    other = count is not None and count != places and sum(shares(known, max(count, 2))) != places  # rounding may have drawn a few less
    if other or (seed is not None and seed != check.seed):
        raise InputError(
            f"{check.result} has a spot check of {places} places with seed {check.seed} already; leave --count and --seed out to go on "
            "with it, or begin anew with --overwrite"
        )


def load(scan: "Scan", result: str) -> SpotCheck | None:
    """The spot check of a result, if there is one of it as it is now; a result made anew, or seen in another field of view, has none."""
    found = _kept(scan, result)
    return found if found is not None and found.view == _view_of(scan) else None


def _kept(scan: "Scan", result: str) -> SpotCheck | None:
    """The spot check of a result as it is now, of whatever field of view."""
    place = spot_check_place(scan, result)
    if not place.exists():
        return None
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
        found = SpotCheck.from_json({"view": _view_of(scan), **data})
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"{place} is damaged and cannot be read; delete it and begin the spot check anew") from error
    return replace(found, result=result) if found.record == _record_of(scan, result) else None


def save(scan: "Scan", check: SpotCheck) -> None:
    """Keep it."""
    place = spot_check_place(scan, check.result)
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, check.to_json())


def write_table(check: SpotCheck, out: Path) -> None:
    """The places as a CSV table to be filled in: z, y, x, and `seen`. The class of the result is left out: it would lead the eye."""
    with storage_errors(out), out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        for number, place in enumerate(check.drawn.places):
            table.writerow([*place.at, check.seen.get(number, "")])


def unknown_classes(scan: "Scan", check: SpotCheck) -> str:
    """What to say of answers that are no class of the result or of the scan, such as slips of the pen; "" without any."""
    from lithoscope.labels.classes_file import known_classes
    from lithoscope.labels.results import open_result

    known = known_classes(scan, open_result(scan, check.result).classes)
    strange = sorted({id for id in check.seen.values() if id not in known})
    if not strange:
        return ""
    places = sum(id in strange for id in check.seen.values())
    said = f"{places} answers name class {', '.join(map(str, strange))}, which {check.result} does not know ({known.summary()})"
    return f"{said}; mend them in the table and take it up again, if they are slips"


def read_table(check: SpotCheck, table: Path) -> SpotCheck:
    """The spot check with the answers of a table that was filled in.

    Raises:
        InputError: a place that was not drawn, or something that is no class number.
    """
    numbers = {place.at: number for number, place in enumerate(check.drawn.places)}
    seen: dict[int, int] = {}
    with _opened(table) as rows:
        for line, row in enumerate(rows, start=2):
            where = f"line {line} of {table.name}"
            try:
                at = (int(row["z"] or ""), int(row["y"] or ""), int(row["x"] or ""))
            except (KeyError, ValueError):
                raise InputError(f"{where} does not give z, y and x as whole numbers; keep these columns as they were written") from None
            if at not in numbers:
                raise InputError(f"{where} is of voxel {at}, which was not drawn; fill in the table of this spot check")
            answer = (row.get("seen") or "").strip()
            if answer:
                if not answer.isdecimal() or not 1 <= int(answer) <= 254:
                    raise InputError(f"{where} says {answer!r}; write the number of a class, or nothing")
                seen[numbers[at]] = int(answer)
    return replace(check, seen=check.seen | seen)


@contextmanager
def _opened(table: Path) -> Iterator["csv.DictReader[str]"]:
    if not table.is_file():
        raise MissingError(f"{table} is not there; give the table with the answers")
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            yield csv.DictReader(file)
    except UnicodeDecodeError:
        raise UnreadableError(f"{table} is not a CSV table in UTF-8; save it as one") from None


def _view_of(scan: "Scan") -> dict[str, Any] | None:
    return None if scan.field_of_view is None else scan.field_of_view.to_json()


def _record_of(scan: "Scan", result: str) -> str:
    from lithoscope.labels.results import open_result

    return str(open_result(scan, result).record.uuid)


def labelling(scan: "Scan", result: str) -> dict[str, Any] | None:
    """What the spot check says of the errors of the labels, as plain JSON; None without one, or while it has too few answers."""
    check = load(scan, result)
    if check is None:
        return None
    try:
        return check.checked().to_json()
    except InputError:
        return None

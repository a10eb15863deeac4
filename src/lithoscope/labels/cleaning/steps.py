"""The steps of a cleaning as they are written, `islands=200` or `closing=5um,class=2`, and what each of them means for a scan."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.labels.cleaning import morphology, nearby, removal, renaming
from lithoscope.labels.cleaning.components import REACH, Keys, Labels
from lithoscope.volume.box import Triple
from lithoscope.volume.voxel import UNITS_UM, Voxel, unit_named

OPTIONS: dict[str, tuple[str, ...]] = {
    "islands": ("class", "connectivity", "to"),
    "holes": ("class", "connectivity"),
    "largest": ("class", "connectivity", "to"),
    "through": ("class", "connectivity", "to"),
    "majority": (),
    "median": (),
    "opening": ("class",),
    "closing": ("class",),
    "merge": ("to",),
    "renumber": (),
}
"""The steps, and what may be written behind each of them."""

_APART = 1e30
"""How far separate slices are from one another: no ball reaches across."""
_NUMBER = re.compile(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([^0-9^³]*?)\s*(\^?3|³)?")

Local = nearby.Majority | nearby.Median | morphology.Opening | morphology.Closing | renaming.Renaming


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, its value as written ("" for none), and its options."""

    name: str
    value: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        head = f"{self.name}={self.value}" if self.value else self.name
        return ",".join([head, *(f"{key}={value}" for key, value in self.options.items())])


@dataclass(frozen=True, slots=True)
class Taking:
    """Components of `keys` that a `rule` takes out, filled with class `to` or with what is around them."""

    keys: Keys
    rule: removal.Rule
    connectivity: int = 6
    to: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What a step must know of the labels it is for."""

    classes: ClassTable
    voxel: Voxel | None = None
    flat: bool = False


def parse_steps(texts: Sequence[str]) -> list[Step]:
    """The steps as written, one a text, checked as far as they can be without a scan."""
    if not texts:
        raise InputError("no step given; write --step islands=200, or another of " + ", ".join(OPTIONS))
    return [_parsed(text) for text in texts]


def _parsed(text: str) -> Step:
    head, *rest = text.strip().split(",")
    name, _, value = (part.strip() for part in head.partition("="))
    if name not in OPTIONS:
        raise InputError(f"there is no step {name!r}; the steps are {', '.join(OPTIONS)}")
    options = {}
    for part in rest:
        key, equals, given = (p.strip() for p in part.partition("="))
        if not equals or not given or key not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name]) or "no options"
            raise InputError(f"step {text!r}: {part.strip()!r} is not understood; {name} takes {known}")
        options[key] = given
    step = Step(name, value, options)
    if not value and name not in ("largest", "renumber"):
        example = {"through": "z", "holes": "all", "merge": "2+3"}.get(name, "3")
        raise InputError(f"step {text!r} has no value; write {name}={example}")
    if name in ("opening", "closing") and "class" not in options:
        raise InputError(f"step {text!r} does not say for which class; write {step},class=1")
    return step


def meaning(step: Step, place: Place) -> list[Taking | Local]:
    """What is to be done for a step, in order."""
    make = {
        "islands": _islands,
        "largest": _largest,
        "through": _through,
        "holes": _holes,
        "majority": _cube,
        "median": _cube,
        "opening": _ball,
        "closing": _ball,
        "merge": _merge,
        "renumber": _renumber,
    }
    return make[step.name](step, place)


def classes_after(step: Step, classes: ClassTable) -> ClassTable:
    """The classes that there are once a step is done."""
    if step.name not in ("merge", "renumber"):
        return classes
    done = meaning(step, Place(classes))[0]
    assert isinstance(done, renaming.Renaming)
    return done.classes


def _islands(step: Step, place: Place) -> list[Taking | Local]:
    return [_taking(step, place, removal.Smaller(_amount(step, place)))]


def _largest(step: Step, place: Place) -> list[Taking | Local]:
    ids = step.value or step.options.get("class", "")
    return [_taking(Step(step.name, "", {**step.options, **({"class": ids} if ids else {})}), place, removal.NotLargest())]


def _through(step: Step, place: Place) -> list[Taking | Local]:
    if step.value not in ("z", "y", "x"):
        raise InputError(f"step {str(step)!r}: {step.value!r} is not an axis; write through=z, through=y or through=x")
    if place.flat and step.value == "z":
        raise InputError(f"step {str(step)!r}: nothing leads through slices that are not connected; write through=y or through=x")
    return [_taking(step, place, removal.NotThrough("zyx".index(step.value)))]


def _taking(step: Step, place: Place, rule: removal.Rule) -> Taking:
    ids = _ids(step, place)
    to = _whole(step, step.options["to"]) if "to" in step.options else None
    if to is not None:
        renaming.check_known(place.classes, [to])
    return Taking(_Only(ids), rule, _connectivity(step), to)


def _holes(step: Step, place: Place) -> list[Taking | Local]:
    most = float("inf") if step.value == "all" else _amount(step, place)
    return [Taking(_Not(id), removal.Enclosed(most), _connectivity(step), id) for id in _ids(step, place)]


def _cube(step: Step, place: Place) -> list[Taking | Local]:
    length, unit = _number(step, step.value, 1)
    spacing = _spacing(step, unit, place)
    z, y, x = (int(length / s * (1 + 1e-9)) for s in spacing)
    radius: Triple = (0 if place.flat else z, y, x)
    if not any(radius):
        raise InputError(f"step {str(step)!r} reaches less than a voxel; give at least {min(spacing):g}{unit or ''}")
    return [nearby.Majority(radius) if step.name == "majority" else nearby.Median(radius)]


def _ball(step: Step, place: Place) -> list[Taking | Local]:
    length, unit = _number(step, step.value, 1)
    spacing = _spacing(step, unit, place)
    ball = morphology.Ball(length, (_APART if place.flat else spacing[0], *spacing[1:]))
    if not any(ball.reach):
        raise InputError(f"step {str(step)!r} reaches less than a voxel; give at least {min(spacing):g}{unit or ''}")
    kind = morphology.Opening if step.name == "opening" else morphology.Closing
    return [kind(id, ball) for id in _ids(step, place)]


def _merge(step: Step, place: Place) -> list[Taking | Local]:
    ids = _numbers(step, step.value)
    to = _whole(step, step.options["to"]) if "to" in step.options else ids[0]
    if not 1 <= to <= 254:
        raise InputError(f"step {str(step)!r}: {to} is not within 1…254")
    return [renaming.merged(place.classes, ids, to)]


def _renumber(step: Step, place: Place) -> list[Taking | Local]:
    return [renaming.renumbered(place.classes, _numbers(step, step.value) if step.value else None)]


def _ids(step: Step, place: Place) -> list[int]:
    """The classes that a step is for: those it names, else all."""
    if "class" not in step.options:
        return list(place.classes.ids)
    ids = _numbers(step, step.options["class"])
    renaming.check_known(place.classes, ids)
    return ids


def _numbers(step: Step, text: str) -> list[int]:
    return [_whole(step, part) for part in text.split("+")]


def _whole(step: Step, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"step {str(step)!r}: {text!r} is not a class; classes are numbers, several as 1+2") from None


def _connectivity(step: Step) -> int:
    text = step.options.get("connectivity", "6")
    if text not in map(str, REACH):
        raise InputError(f"step {str(step)!r}: connectivity {text} is not 6, 18 or 26")
    return int(text)


def _number(step: Step, text: str, power: int) -> tuple[float, str | None]:
    """A length (power 1) or a volume (power 3), and its unit: None for voxels."""
    found = _NUMBER.fullmatch(text.strip())
    try:
        value = float(found[1]) if found else float("nan")
    except ValueError:
        value = float("nan")
    wanted = "200 voxels as 200, or a volume as 50um3" if power == 3 else "a radius of 2 voxels as 2, or in units as 5um"
    if not found or not value > 0 or (found[2] and bool(found[3]) != (power == 3)) or (not found[2] and found[3]):
        raise InputError(f"step {str(step)!r}: {text!r} is not understood; write {wanted}")
    return value, unit_named(found[2]) if found[2] else None


def _amount(step: Step, place: Place) -> float:
    """How many voxels a number of them, or a volume, is."""
    value, unit = _number(step, step.value, 3)
    if unit is None:
        return value
    z, y, x = _um(step, place)
    return value * UNITS_UM[unit] ** 3 / (z * y * x)


def _spacing(step: Step, unit: str | None, place: Place) -> tuple[float, float, float]:
    """How far apart voxels are, in the unit."""
    if unit is None:
        return (1.0, 1.0, 1.0)
    z, y, x = (s / UNITS_UM[unit] for s in _um(step, place))
    return (z, y, x)


def _um(step: Step, place: Place) -> tuple[float, float, float]:
    if place.voxel is None:
        raise InputError(f"step {str(step)!r} needs the voxel size, which is not known; set it: lithoscope set SCAN --voxel-size Z Y X")
    return place.voxel.um


@dataclass(frozen=True)
class _Only:
    """Keys of these classes: each by itself."""

    ids: list[int]

    def __call__(self, labels: Labels) -> Labels:
        table = np.zeros(256, np.uint8)
        table[self.ids] = self.ids
        found: Labels = table[labels]
        return found


@dataclass(frozen=True)
class _Not:
    """One key for all that is not this class, what nobody labelled included."""

    id: int

    def __call__(self, labels: Labels) -> Labels:
        keys: Labels = (labels != self.id).view(np.uint8)
        return keys

"""Parameters that explain themselves: the dataclass fields of a method or an image filter, from which forms, `--set` keys, the
run record and the tables of the documentation are made."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from lithoscope.errors import InputError

Level = Literal["basic", "advanced"]
Configured = TypeVar("Configured")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a form or a command line needs to know of one field."""

    name: str
    type: Any
    default: Any
    help: str
    label: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    unit: str = ""
    level: Level = "basic"
    choices: tuple[Any, ...] = ()
    shown_if: tuple[str, Any] | None = None


def parameter(
    default: Any,
    help: str,
    *,
    label: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    unit: str = "",
    level: Level = "basic",
    shown_if: tuple[str, Any] | None = None,
) -> Any:
    """A dataclass field with its help, bounds and unit; `shown_if` is (other field, value it must have)."""
    about = {
        "help": help,
        "label": label,
        "minimum": minimum,
        "maximum": maximum,
        "step": step,
        "unit": unit,
        "level": level,
        "shown_if": shown_if,
    }
    if isinstance(default, (list, dict, set)):
        raise TypeError("a parameter's default is immutable; use a tuple")
    return field(default=default, metadata={"parameter": about})


def parameters(method: type) -> tuple[Parameter, ...]:
    """The parameters of a class, in the order of its fields."""
    hints = get_type_hints(method)
    return tuple(_described(f, hints[f.name]) for f in fields(method) if "parameter" in f.metadata)


def _described(f: Field[Any], hint: Any) -> Parameter:
    assert f.default is not MISSING
    about = dict(f.metadata["parameter"])
    about["label"] = about["label"] or f.name.replace("_", " ").capitalize()
    options = get_args(hint) if type(None) in get_args(hint) else (hint,)
    choices = tuple(choice for option in options if get_origin(option) is Literal for choice in get_args(option))
    if choices and len(options) > 1:
        choices = (None, *choices)
    return Parameter(name=f.name, type=hint, default=f.default, choices=choices, **about)


def settings(method: Any) -> dict[str, Any]:
    """Every parameter of a method or filter with its value, defaults included, as plain JSON."""
    found = {p.name: getattr(method, p.name) for p in parameters(type(method))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def configured(method: type[Configured], given: Mapping[str, Any]) -> Configured:
    """An object of this class with the given parameters, text converted and every bound checked."""
    known = {p.name: p for p in parameters(method)}
    for name in given:
        if name not in known:
            raise InputError(f"{getattr(method, 'name', method.__name__)} has no setting {name!r}; it has {', '.join(known) or 'none'}")
    made: Configured = replace(method(), **{name: parsed(known[name], value) for name, value in given.items()})  # type: ignore[type-var]
    return made


def parsed(p: Parameter, value: Any) -> Any:
    """`value`, perhaps text, as this parameter's type and within its bounds."""
    result = _as_type(p, p.type, value)
    for number in result if isinstance(result, tuple) else (result,):
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            if number != number:
                raise InputError(f"{p.name}={value} is not a number")
            if (p.minimum is not None and number < p.minimum) or (p.maximum is not None and number > p.maximum):
                low, high = ("" if b is None else f"{b:g}" for b in (p.minimum, p.maximum))
                raise InputError(f"{p.name}={number:g} is not within {low}…{high}")
    return result


def _as_type(p: Parameter, hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        for choice in arguments:
            if value == choice or str(value) == str(choice):
                return choice
        raise InputError(f"{p.name}={value} is not one of {', '.join(map(str, arguments))}")
    if type(None) in arguments:
        if value is None or value in ("", "none", "auto"):
            return None
        return _as_type(p, next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        items = value.replace(";", ",").split(",") if isinstance(value, str) else (value,) if isinstance(value, (int, float)) else value
        return tuple(_as_type(p, arguments[0], item) for item in items if item != "")
    try:
        if hint is bool:
            return (
                value
                if isinstance(value, bool)
                else {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[str(value).lower()]
            )
        if hint is int:
            number = float(value)
            if number != int(number):
                raise ValueError
            return int(number)
        return hint(value)
    except (ValueError, KeyError, TypeError, OverflowError):
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "understood")
        raise InputError(f"{p.name}={value} is not {wanted}") from None


def described(kind: Any) -> dict[str, Any]:
    """A method or filter and its parameters, as plain JSON."""
    return {
        "name": kind.name,
        "title": kind.title,
        "summary": kind.summary,
        "parameters": [
            {
                "name": p.name,
                "default": p.default,
                "help": p.help,
                "choices": list(p.choices),
                "minimum": p.minimum,
                "maximum": p.maximum,
                "unit": p.unit,
                "level": p.level,
            }
            for p in parameters(kind)
        ],
    }

"""What the words of every command have in common: the options that all take, and how a command is run and its answer shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from lithoscope.cli.console import reporting, show
from lithoscope.errors import InputError

Many = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    json: bool = False
    "Print one JSON object on standard output."


COMMON = Common()


def run(name: str, words: Callable[[dict[str, Any]], str], common: Common, title: str | None = None, /, **arguments: Any) -> None:
    """Run a command under a progress bar, and print what it answers."""
    from lithoscope.cli.commands import command

    with reporting(title or name) as report:
        answer = command(name)(**arguments, report=report)
    show(answer, common.json, words)


def settings(pairs: list[str]) -> dict[str, str]:
    """The settings written key=value."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair} is not of the form key=value")
        found[key] = value
    return found

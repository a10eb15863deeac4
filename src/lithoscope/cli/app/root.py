"""The root of the command line, and what all its commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from lithoscope import __version__
from lithoscope.cli.console import reporting, show
from lithoscope.errors import InputError

app = App(
    name="lithoscope",
    help="From a CT stack to a segmentation that you trust, measure and publish.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=()),
)
labels = App(name="labels", help="Bring in, list, rename and delete results and labels.", default_parameter=Parameter(negative=()))
app.command(labels)

Many = Annotated[list[str] | None, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    json: bool = False
    "Print one JSON object on standard output."


COMMON = Common()


def run(name: str, words: Callable[[dict[str, Any]], str], common: Common, title: str | None = None, /, **arguments: Any) -> None:
    """Run a command with a bar on standard error, and print its answer: in `words`, or as JSON."""
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

"""What the documentation takes from the code: the tables of settings, from the fields of the methods and filters, and the reference
of the command line, from its help.

    python docs/generate.py            writes them
    python docs/generate.py --check    says which pages are out of date, and exits with 1

A table stands between `<!-- settings: otsu -->` and `<!-- end -->`; everything else on a page is written by hand.
"""

import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
_TABLE = re.compile(r"<!-- settings: (\S+) -->\n.*?<!-- end -->", re.DOTALL)
_HEAD = """# Command line

Made from the program's own help by `docs/generate.py`. Everything that the docks do can be done here. Errors are one line on standard
error that says what to do, and exit status 2; a cancelled command ends with 130. `--json` prints one object on standard output.

"""


def pages() -> dict[Path, str]:
    """Every page that holds something from the code, as it should be."""
    found = {}
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if "<!-- settings: " in text:
            found[page] = _TABLE.sub(lambda match: f"<!-- settings: {match[1]} -->\n{settings(match[1])}\n<!-- end -->", text)
    found[DOCS / "command-line.md"] = command_line()
    return found


def settings(name: str) -> str:
    """The settings of a method, or of an image filter written `filter:NAME`, as a Markdown table."""
    from lithoscope.parameters import parameters

    rows = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for p in parameters(_class(name)):
        words = p.help + _limits(p) + (" *Advanced.*" if p.level == "advanced" else "")
        rows.append(f"| `{p.name}` | {_default(p.default)} | {words.replace('|', '&#124;')} |")
    return "\n".join(rows) if len(rows) > 2 else "It has no settings."


def _class(name: str) -> type:
    if name.startswith("filter:"):
        from lithoscope.filtering.base import REGISTRY

        return REGISTRY[name.removeprefix("filter:")]
    from lithoscope.segmenters import segmenter

    return segmenter(name)


def _limits(p: Any) -> str:
    if p.choices:
        return " One of " + ", ".join("left open" if c is None else f"`{c}`" for c in p.choices) + "."
    unit = f" {p.unit}" if p.unit else ""
    if p.minimum is not None and p.maximum is not None:
        return f" From {p.minimum:g} to {p.maximum:g}{unit}."
    if p.minimum is not None:
        return f" At least {p.minimum:g}{unit}."
    return f" At most {p.maximum:g}{unit}." if p.maximum is not None else ""


def _default(value: Any) -> str:
    if value is None or value in ((), ""):
        return "left open"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{','.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def command_line() -> str:
    """The reference of every command, in the order of the alphabet."""
    from lithoscope.cli.app import app

    text = app.generate_docs(output_format="markdown")
    _, *rest = re.split(r"\n(?=## `?lithoscope )", text)
    if not rest:
        raise RuntimeError("the help of the command line has no sections; look at how cyclopts writes it now")
    return _HEAD + "\n".join(section.rstrip() + "\n" for section in sorted(rest))


def main() -> int:
    """Write the pages, or say which are out of date."""
    stale = []
    for page, text in pages().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page)
            if "--check" not in sys.argv:
                page.write_text(text, encoding="utf-8", newline="\n")
    for page in stale:
        sys.stdout.write(f"{page.relative_to(DOCS.parent)} {'is out of date' if '--check' in sys.argv else 'written'}\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

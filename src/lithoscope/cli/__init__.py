"""The command line: every capability, headless."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `lithoscope` and exit: 0 when done, 2 on an error that one line explains, 130 on cancel."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run `lithoscope` with these words; answers the exit status."""
    from cyclopts import CycloptsError

    from lithoscope.cli.app import app
    from lithoscope.cli.console import complain
    from lithoscope.errors import LithoscopeError
    from lithoscope.job import Cancelled

    try:
        app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        complain(f"{error} (see lithoscope --help)")
        return 2
    except (Cancelled, KeyboardInterrupt):
        complain("cancelled")
        return 130
    except LithoscopeError as error:
        complain(str(error))
        return 2
    except MemoryError as error:
        complain(f"not enough memory: {error}".rstrip(": ") + "; close other programs, or work on a box with --box")
        return 2
    except BrokenPipeError:
        return 0
    except OSError as error:
        complain(str(error))
        return 2
    return 0

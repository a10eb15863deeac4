"""Start-up: importing the library and asking the command line for help (DESIGN §7)."""

import subprocess
import sys

from harness import Row, bound, main, seconds


def measure(quick: bool) -> list[Row]:
    def run(*words: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True), 3 if quick else 7)

    note = f"bare interpreter {run('-c', 'pass'):.3f} s"
    return [
        bound("import lithoscope", run("-c", "import lithoscope"), 0.5, "s", note),
        bound("lithoscope --help", run("-m", "lithoscope", "--help"), 0.5, "s", note),
    ]


if __name__ == "__main__":
    main("Start-up", measure)

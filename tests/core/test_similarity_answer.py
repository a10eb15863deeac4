"""What `similarity train` prints of its answer."""

import pytest

from lithoscope.cli.app.similarity import _taught

ANSWER = {"model": "m", "kept": "taught", "classes": {"a": 3}, "held_out": 2, "steps": 9, "best_step": 4, "notes": []}


@pytest.mark.parametrize(
    ("scores", "error", "said"),
    [
        ({"frozen": 0.5, "taught": 0.75}, None, "0.750"),
        ({"frozen_classes": 0.5, "taught_classes": 0.75}, 0.125, "0.750 ± 0.125"),
    ],
)
def test_an_answer_is_printed_with_and_without_left_out_classes(scores, error, said):
    lines = _taught({**ANSWER, "scores": scores, "left_out_error": error}).splitlines()
    assert any(line.rstrip().endswith(said) for line in lines)
    assert sum("±" in line for line in lines) == (error is not None)

"""Results made again from their records."""

import numpy as np
import pytest
from segment_data import scan_of, three_phases

from lithoscope.errors import InputError
from lithoscope.labels import results
from lithoscope.labels.predict import segment
from lithoscope.labels.repeat import repeat
from lithoscope.segmenters import REGISTRY, configured
from lithoscope.volume.box import Box
from lithoscope.volume.store import open_array

SHAPE = (20, 40, 36)


def test_a_result_made_again_is_the_same(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    segment(scan, configured(REGISTRY["fuzzy"], {"spatial": True}), output="f", box=Box((0, 0, 0), (20, 30, 20)))
    again = repeat(scan, "f")
    assert again.identical
    assert again.differing == 0
    assert results.results(scan) == ["f"]
    repeat(scan, "f", output="kept")
    assert results.results(scan) == ["f", "kept"]


def test_a_result_that_was_changed_is_told(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    segment(scan, REGISTRY["otsu"](), output="o")
    array = open_array(scan.labels_folder / "o" / "0")
    array[3, 4, 5:7] = np.array([9, 9], np.uint8)
    again = repeat(scan, "o")
    assert not again.identical
    assert again.differing == 2
    assert again.reasons


def test_what_cannot_be_repeated_says_why(tmp_path):
    scan = scan_of(three_phases(SHAPE), tmp_path / "s.zarr")
    segment(scan, REGISTRY["otsu"](), output="o")
    scan.set(field_of_view="cylinder:20,18,15")
    with pytest.raises(InputError, match="another field of view"):
        repeat(scan, "o")

"""The preview says of a plane what the method will say of the volume."""

import numpy as np
import pytest

from lithoscope._napari import preview
from lithoscope._napari.preview import Plane, Previewer
from lithoscope._napari.shown import shown_image
from lithoscope.errors import InputError
from lithoscope.volume.box import Box
from lithoscope.volume.scan import Scan


@pytest.fixture
def scan(scan_path):
    return Scan.open(scan_path)


@pytest.mark.parametrize("plane", [Plane(0, 3), Plane(1, 39), Plane(2, 20)])
def test_a_plane_has_the_classes_of_numpy(scan, plane):
    answer = Previewer(scan).answer("threshold", {"bounds": (90, 150)}, plane)
    volume = np.asarray(scan.levels[0][:])
    expected = np.digitize(np.take(volume, [plane.index], plane.axis), [90, 150], right=True) + 1
    np.testing.assert_array_equal(answer.labels, expected)
    assert answer.pixels.origin[plane.axis] == plane.index


def test_otsu_is_fitted_to_the_whole_scan_once(scan):
    previewer = Previewer(scan)
    first = previewer.answer("otsu", {"classes": 3}, Plane(0, 3))
    second = previewer.answer("otsu", {"classes": 3}, Plane(0, 4))
    assert first.learnt == second.learnt
    assert len(first.classes) == 3


def test_slice_by_slice_is_previewed_along_z_only(scan):
    previewer = Previewer(scan)
    assert previewer.answer("otsu", {"classes": 2, "per_slice": True}, Plane(0, 3)).learnt["thresholds"]
    with pytest.raises(InputError, match="along z"):
        previewer.answer("otsu", {"classes": 2, "per_slice": True}, Plane(1, 3))


def test_large_planes_come_from_a_coarser_level(tmp_path, monkeypatch):
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "wide.npy", np.tile(np.arange(600, dtype=np.uint8) // 3, (4, 600, 1)))
    scan = import_scan(tmp_path / "wide.npy", tmp_path / "wide.zarr", field_of_view=None)
    monkeypatch.setattr(preview, "LARGEST_PLANE", 200_000)
    answer = Previewer(scan).answer("threshold", {"bounds": (30,)}, Plane(0, 2))
    assert answer.pixels.factor == (1, 2, 2)
    assert answer.labels.shape == (1, 300, 300)
    assert answer.pixels.origin == (2, 0, 0)


def test_outside_the_field_of_view_nothing_is_said(scan):
    scan.set(field_of_view="cylinder:20,24,10")
    labels = Previewer(scan).answer("otsu", {"classes": 2}, Plane(0, 3)).labels
    assert labels[0, 0, 0] == 0
    assert labels[0, 20, 24] > 0


def test_neighbours_beside_the_plane_have_their_say(scan):
    from lithoscope.labels.predict import segment
    from lithoscope.labels.results import open_result
    from lithoscope.parameters import configured
    from lithoscope.segmenters import segmenter

    values = {"classes": 3, "spatial": True}
    answer = Previewer(scan).answer("fuzzy", values, Plane(0, 5))
    segment(scan, configured(segmenter("fuzzy"), values), output="fuzzy")
    np.testing.assert_array_equal(answer.labels[0], open_result(scan, "fuzzy").array[5])


def test_what_the_window_read_already_is_not_read_from_the_disk_again(scan):
    expected = Previewer(scan).answer("otsu", {"classes": 3}, Plane(0, 2)).labels
    shown = shown_image(scan)[0]
    shown._chunks.fill(Box((2, 0, 0), (3, *scan.shape[1:])))
    previewer = Previewer(scan)
    previewer.fitted("otsu", {"classes": 3})
    for part in (scan.path / "0").rglob("*"):
        if part.is_file() and part.name != "zarr.json":
            part.write_bytes(b"")
    np.testing.assert_array_equal(previewer.answer("otsu", {"classes": 3}, Plane(0, 2)).labels, expected)

"""What belongs to one scan is not laid over, told of or saved with another one that is opened after it."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from napari.layers import Image

from lithoscope._napari.filter_panel import FilterPanel
from lithoscope._napari.grains_panel import GrainsPanel
from lithoscope._napari.import_form import ImportForm
from lithoscope._napari.reader import get_reader
from lithoscope._napari.spot_check_panel import SpotCheckPanel
from lithoscope.cli.commands import command
from lithoscope.errors import UnreadableError
from lithoscope.volume.convert import import_scan


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another scan of the same shape, with results of the same names."""
    np.save(tmp_path / "other.npy", np.random.default_rng(1).integers(0, 255, (24, 40, 48), np.uint8))
    import_scan(tmp_path / "other.npy", tmp_path / "other.zarr", field_of_view=None)
    return tmp_path / "other.zarr"


def otsu(path: Path) -> None:
    command("segment")([str(path)], method="otsu", settings={"classes": 2}, output="otsu")


def turn_to(session, path, qtbot):
    with qtbot.waitSignal(session.scan_changed, timeout=120_000):
        session.open(path)


def shows_otsu_at_once(session):
    """Restores the result on show as the Segment dock does: before the panels that were made after it hear of the scan."""
    session.scan_changed.connect(lambda: session.show_result("otsu") if session.scan is not None else None)


def test_a_spot_check_ends_with_its_scan(opened, scan_path, other, qtbot):
    for path in (scan_path, other):
        otsu(path)
    shows_otsu_at_once(opened)
    opened.show_result("otsu")
    panel = SpotCheckPanel(opened)
    qtbot.addWidget(panel)
    command("spotcheck")(str(scan_path), "otsu", count=20)
    panel.on_result()
    panel.resume()
    assert panel._mark.shown
    turn_to(opened, other, qtbot)
    assert opened.shown == "otsu"
    assert panel.check is None
    assert not panel._mark.shown


def test_a_table_of_grains_is_not_shown_for_another_scan(opened, scan_path, other, qtbot):
    for path in (scan_path, other):
        otsu(path)
        command("separate")(str(path), "otsu", id=1, output="grains")
    opened.scan_changed.connect(lambda: opened.show_result("grains") if opened.scan is not None else None)
    panel = GrainsPanel(opened)
    qtbot.addWidget(panel)
    opened.show_result("grains")
    qtbot.waitUntil(lambda: panel.table is not None, timeout=120_000)
    before = panel.table
    turn_to(opened, other, qtbot)
    qtbot.waitUntil(lambda: panel.table is not None and panel.table is not before, timeout=120_000)
    assert panel.table.summary() != before.summary()


def test_a_filters_preview_ends_with_its_scan(opened, other, qtbot):
    panel = FilterPanel(opened)
    qtbot.addWidget(panel)
    panel.method.setCurrentIndex(panel.method.findData("median"))
    panel.live.setChecked(True)
    assert panel in opened.previewing
    turn_to(opened, other, qtbot)
    assert panel.live.isChecked() == (panel in opened.previewing)


def test_a_result_that_cannot_be_read_leaves_none_on_show(opened, scan_path, monkeypatch):
    otsu(scan_path)
    opened.show_result("otsu")

    def damaged(*_):
        raise UnreadableError("damaged")

    monkeypatch.setattr("lithoscope.labels.results.open_result", damaged)
    opened.show_result("otsu")
    assert opened.shown == ""
    assert opened.layer("result") is None


def test_the_same_scan_by_another_path_is_still_ones_own(opened, scan_path, tmp_path, qtbot):
    try:
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    turn_to(opened, tmp_path / "link" / scan_path.name, qtbot)
    assert opened.readonly == ""


def test_an_image_of_one_channel_and_time_is_shown_in_place(tmp_path):
    values = np.random.default_rng(0).integers(0, 999, (8, 32, 32), np.uint16)
    group = zarr.create_group(str(tmp_path / "cell é.zarr"), zarr_format=2)
    group.create_array("0", shape=(1, 1, 8, 32, 32), chunks=(1, 1, 4, 16, 16), dtype="uint16")[:] = values[None, None]
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 2, 1, 1]}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]
    place = str(tmp_path / "cell é.zarr")
    data, keywords, _ = get_reader(place)(place)[0]
    for key in ((3,), (slice(None), 5), (slice(None), slice(None), 7)):
        np.testing.assert_array_equal(np.asarray(data[key]), values[key])
    assert tuple(keywords["scale"]) == (2, 1, 1)


def test_of_an_image_of_several_levels_the_finest_is_imported(session, qtbot):
    fine = np.random.default_rng(0).integers(0, 255, (8, 64, 64), np.uint8)
    session.viewer.add_layer(Image([fine, fine[:, ::2, ::2]], multiscale=True))
    form = ImportForm(session)
    qtbot.addWidget(form)
    form.offer()
    assert np.asarray(form.wish().array).shape == fine.shape

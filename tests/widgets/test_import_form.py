"""The import form asks what a file leaves open, and imports just what was chosen."""

import numpy as np
import pytest
import tifffile

from lithoscope._napari.import_form import ImportForm
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel

h5py = pytest.importorskip("h5py")


@pytest.fixture
def form(session, qtbot):
    made = ImportForm(session)
    qtbot.addWidget(made)
    made.resize(340, 500)
    made.show()
    made.offer()
    return made


def typed(form, qtbot, path, until):
    form._source.setText(str(path))
    qtbot.waitUntil(until, timeout=60_000)


def shown(form, key):
    return form.choices._form.isRowVisible(form.choices._rows[key])


def imported(form, session, qtbot):
    assert form._go.isEnabled(), form._size.text()
    target = form._target.text()
    with qtbot.waitSignal(session.scan_changed, timeout=60_000):
        form._go.click()
    return Scan.open(target)


def choose(combo, value):
    combo.setCurrentIndex(combo.findData(value))
    combo.activated.emit(combo.currentIndex())


@pytest.fixture
def nexus(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "scan.nxs", "w") as file:
        file["raw/frames"] = rng.integers(0, 99, (5, 17, 16), np.uint16)
        file["entry/recon/data"] = rng.normal(size=(8, 19, 20)).astype(np.float32)
        file["entry/series"] = rng.integers(0, 99, (3, 2, 4, 15, 16), np.uint8)
    return tmp_path / "scan.nxs"


def test_a_dataset_is_chosen_from_a_list_with_shapes(form, session, nexus, qtbot):
    typed(form, qtbot, nexus, lambda: form.choices.combos["dataset"].count() == 4)
    combo = form.choices.combos["dataset"]
    assert [combo.itemText(n) for n in range(4)][1:] == [
        "entry/series: 3 × 2 × 4 × 15 × 16 uint8", "entry/recon/data: 8 × 19 × 20 float32", "raw/frames: 5 × 17 × 16 uint16",
    ]  # fmt: skip
    assert not form._go.isEnabled()
    assert form._size.text() == "choose a dataset"
    choose(combo, "entry/recon/data")
    qtbot.waitUntil(lambda: "8 × 19 × 20 float32" in form._size.text(), timeout=60_000)
    assert "how large a voxel is" in form._size.text()
    form.voxel.size.setText("2.5")
    assert "choose the unit" in form._size.text()
    form.voxel.unit.setCurrentText("µm")
    scan = imported(form, session, qtbot)
    with h5py.File(nexus) as file:
        np.testing.assert_array_equal(np.asarray(scan.levels[0][:]), file["entry/recon/data"][:])
    assert scan.voxel == Voxel((2.5,) * 3)


def test_channel_and_time_are_asked_for(form, session, nexus, qtbot):
    typed(form, qtbot, nexus / "entry/series", lambda: shown(form, "time"))
    assert form._target.text().endswith("scan.zarr")
    assert form._size.text() == "choose a time point and a channel"
    choose(form.choices.combos["time"], "2")
    choose(form.choices.combos["channel"], "1")
    qtbot.waitUntil(lambda: "4 × 15 × 16" in form._size.text(), timeout=60_000)
    assert shown(form, "channel")
    scan = imported(form, session, qtbot)
    with h5py.File(nexus) as file:
        np.testing.assert_array_equal(np.asarray(scan.levels[0][:]), file["entry/series"][2, 1])


def test_a_raw_file_is_described_by_its_name_or_by_hand(form, session, tmp_path, qtbot):
    values = np.random.default_rng(0).integers(0, 60000, (4, 15, 16), np.uint16)
    values.astype(">u2").tofile(tmp_path / "core_16x15x4_uint16_be.raw")
    values.tofile(tmp_path / "plain.raw")
    typed(form, qtbot, tmp_path / "core_16x15x4_uint16_be.raw", lambda: shown(form, "raw"))
    assert form.choices.shape.text() == "4 15 16"
    assert form.choices.type.currentData() == "uint16"
    assert form.choices.order.currentData() == "big"
    typed(form, qtbot, tmp_path / "plain.raw", lambda: "say the shape" in form._size.text())
    form.choices.shape.setText("5 15 16")
    choose(form.choices.type, "uint16")
    qtbot.waitUntil(lambda: "cut short" in form._size.text(), timeout=60_000)
    assert not form._go.isEnabled()
    form.choices.shape.setText("4 15 16")
    form.choices.shape.editingFinished.emit()
    qtbot.waitUntil(lambda: "4 × 15 × 16 uint16" in form._size.text(), timeout=60_000)
    form.voxel.size.setText("5 2 2")
    form.voxel.unit.setCurrentText("nm")
    scan = imported(form, session, qtbot)
    np.testing.assert_array_equal(np.asarray(scan.levels[0][:]), values)
    assert scan.voxel == Voxel((5, 2, 2), "nm")


def test_images_of_no_volume_are_separate_slices(form, session, tmp_path, qtbot):
    folder = tmp_path / "micrographs"
    folder.mkdir()
    for name in ("b", "a"):
        tifffile.imwrite(folder / f"{name}.tif", np.full((20, 30), ord(name), np.uint8))
    form._source.setText(str(folder))
    qtbot.waitUntil(lambda: form._contents is not None, timeout=60_000)
    form.choices.separate.setChecked(True)
    qtbot.waitUntil(lambda: form._go.isEnabled() and "2 × 20 × 30" in form._size.text(), timeout=60_000)
    scan = imported(form, session, qtbot)
    assert scan.separate_slices
    assert session.scan.dimensions()[0] == 2


def test_one_picture_is_a_scan_of_one_slice(form, session, tmp_path, qtbot):
    tifffile.imwrite(tmp_path / "one.tif", np.arange(600, dtype=np.uint16).reshape(20, 30))
    typed(form, qtbot, tmp_path / "one.tif", lambda: "1 × 20 × 30 uint16" in form._size.text())
    assert not shown(form, "separate")
    assert imported(form, session, qtbot).shape == (1, 20, 30)


@pytest.mark.parametrize(("name", "said"), [("nothing.tif", "there is no"), ("words.txt", "not read"), ("broken.h5", "damaged")])
def test_what_cannot_be_imported_is_said_before_the_button_is_pressed(form, tmp_path, qtbot, name, said):
    (tmp_path / "words.txt").write_text("words")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    typed(form, qtbot, tmp_path / name, lambda: said in form._size.text())
    assert not form._go.isEnabled()


def test_a_voxel_size_that_is_none_is_refused(form, tmp_path, qtbot):
    np.save(tmp_path / "a.npy", np.zeros((4, 20, 30), np.uint8))
    typed(form, qtbot, tmp_path / "a.npy", lambda: form._go.isEnabled())
    form.voxel.size.setText("1 2")
    form.voxel.unit.setCurrentText("mm")
    assert "one number or three" in form._size.text()
    assert not form._go.isEnabled()


def test_the_form_fits_and_every_control_has_a_name(form, nexus, qtbot):
    from qtpy.QtWidgets import QComboBox, QLineEdit

    typed(form, qtbot, nexus / "entry/series", lambda: shown(form, "time"))
    assert form.minimumSizeHint().width() <= 330
    for kind in (QComboBox, QLineEdit):
        assert all(widget.accessibleName() for widget in form.findChildren(kind))

"""The export form: every format and choice that the command line has."""

import numpy as np
import pytest

from lithoscope._napari.export_form import KINDS, ExportForm
from lithoscope.classes import ClassTable
from lithoscope.labels.results import create
from lithoscope.record import RunRecord


@pytest.fixture
def values(opened):
    found = np.ones((24, 40, 48), np.uint8)
    found[6:18, 10:30, 10:30] = 2
    return found


@pytest.fixture
def form(opened, values, qtbot):
    with create(opened.scan, "otsu", RunRecord("segment", "otsu", {}, {}), ClassTable.numbered(2)) as writer:
        writer.write(opened.scan.box, values)
        writer.finish(writer.record)
    made = ExportForm(opened)
    qtbot.addWidget(made)
    made.resize(344, 300)
    made.offer("otsu", opened.classes_of("otsu"))
    return made


def written(form, session, qtbot):
    with qtbot.waitSignal(session.jobs.finished, timeout=60_000) as waited:
        form._go.click()
    assert waited.args[0].state == "done", waited.args[0].message


def test_a_class_is_written_to_a_file_of_its_own_with_a_header(form, opened, values, qtbot, tmp_path):
    form._kind.setCurrentText("raw bytes, with a .mhd header")
    form._which.setCurrentIndex(form._which.findData("2"))
    assert not form._values.isEnabled()
    written(form, opened, qtbot)
    assert np.array_equal(np.fromfile(tmp_path / "steps-otsu.raw", np.uint8).reshape(values.shape), values == 2)
    assert "DimSize = 48 40 24" in (tmp_path / "steps-otsu.mhd").read_text()


def test_each_class_goes_to_a_file_of_its_own(form, opened, values, qtbot, tmp_path):
    import nrrd

    form._kind.setCurrentText("NRRD")
    form._which.setCurrentIndex(form._which.findData("all"))
    written(form, opened, qtbot)
    files = sorted(tmp_path.glob("*.nrrd"))
    assert len(files) == 2
    assert [int(nrrd.read(str(file), index_order="C")[0].sum()) for file in files] == [int((values == id).sum()) for id in (1, 2)]


def test_a_surface_is_of_one_class(form, opened, qtbot, tmp_path):
    form._kind.setCurrentText("surface of a class, STL")
    assert "choose it" in form._note.text()
    assert not form._go.isEnabled()
    form._which.setCurrentIndex(form._which.findData("2"))
    written(form, opened, qtbot)
    assert (tmp_path / "steps-otsu.stl").stat().st_size > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_written(form, opened, qtbot, kind):
    form._kind.setCurrentText(kind)
    if kind.endswith("STL"):
        form._which.setCurrentIndex(form._which.findData("1"))
    written(form, opened, qtbot)


def test_every_control_has_a_name_and_fits(form):
    for part in (form._kind, form._which, form._scores, form._target, form._values):
        assert part.accessibleName()
    assert form.minimumSizeHint().width() <= 344

"""Every shared file that is a volume comes in right by the command line: shape, type, voxel size, and each value in its place."""

import json

import numpy as np
import pytest
from independent import NO_VOLUMES, PALETTES, SOURCES, values_of, voxel_of

from lithoscope.cli import run
from lithoscope.volume.scan import Scan


def test_no_shared_file_is_left_out(shared_data):
    for file in shared_data.rglob("*"):
        name = file.relative_to(shared_data).as_posix()
        if file.is_file() and not name.startswith(NO_VOLUMES) and "zarr.zr" not in name:
            assert name in SOURCES or name in PALETTES or any(name.startswith(f"{folder}/") for folder in SOURCES), name


@pytest.mark.parametrize("name", SOURCES)
def test_the_command_line_imports_it_right(shared_data, tmp_path, capsys, name):
    if not (shared_data / name).exists():
        pytest.skip(f"the shared data are without {name}")
    path, expected = values_of(shared_data, name, tmp_path)
    assert run(["import", str(path), str(tmp_path / "scan.zarr"), "--fov", "none", "--json", *SOURCES[name]]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    size, unit = voxel_of(name)
    assert (told["shape"], told["dtype"]) == (list(expected.shape), str(expected.dtype.newbyteorder("=")))
    assert told["unit"] == unit
    assert told["voxel_size"] == (None if size is None else pytest.approx(list(size)))
    assert told["separate_slices"] == ("--separate-slices" in SOURCES[name])
    found = np.asarray(Scan.open(tmp_path / "scan.zarr").levels[0][:])
    assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize("name", PALETTES)
def test_labels_in_colours_are_no_grey_values_and_it_is_said_where_they_go(shared_data, tmp_path, capsys, name):
    assert run(["import", str(shared_data / name), str(tmp_path / "scan.zarr")]) == 2
    said = capsys.readouterr().err
    assert "lithoscope labels import" in said
    assert said.count("\n") == 1

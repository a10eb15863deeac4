"""`compare`, `report` and `measure --structure` from the command line."""

import json

import numpy as np
import pytest
from segment_data import brushed, scan_of, three_phases

from lithoscope.cli import main
from lithoscope.labels.strokes import strokes
from lithoscope.volume.scan import Scan


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """The path of a scan with strokes."""
    values = three_phases((10, 150, 150))
    made = scan_of(values, tmp_path_factory.mktemp("judged") / "rock.zarr", shard=(16, 64, 64))
    said = brushed((np.digitize(values, [90, 155]) + 1).astype(np.uint8), (1, 2, 3), 5)
    with strokes(made) as store:
        store.write(made.box, said > 0, said)
        store.flush()
    return made.path


def _run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.out, captured.err


def test_compare_prints_the_promised_keys_and_the_page(scan, tmp_path, capsys):
    words = ("compare", scan, "--methods", "threshold,otsu,nonesuch", "--set", "otsu.per_slice=true", "--html", tmp_path / "all.html")
    code, out, err = _run(capsys, *words, "--json")
    assert code == 0, err
    answer = json.loads(out)
    for line in answer["methods"]:
        assert {"name", "mean_iou", "seconds", "peak_bytes"} <= set(line)
    lines = {line["name"]: line for line in answer["methods"]}
    assert lines["otsu:per_slice=true"]["settings"]["per_slice"] is True
    assert (tmp_path / "all.html").exists()
    code, out, _ = _run(capsys, *words, "--resume")
    assert code == 0
    assert "cluster 1 is class 1" in out
    assert "no method nonesuch" in out
    assert _run(capsys, *words)[0] == 2


@pytest.mark.parametrize(("page", "there"), [("n.html", "n.json"), ("n.html", "n-methods.csv"), ("n.pdf", "")])
def test_a_page_that_cannot_be_written_is_refused_before_anything_is_compared(scan, tmp_path, capsys, page, there):
    if there:
        (tmp_path / there).write_text("mine")
    words = ("compare", scan, "--methods", "otsu", "--name", "never", "--html", tmp_path / page)
    code, _, complaint = _run(capsys, *words)
    assert code == 2
    assert (f"{there} exists already" if there else "does not end in .html") in complaint
    assert _run(capsys, *words, "--resume")[0] == 2, "nor is a page of ours there to go on with"
    assert not (Scan.open(scan).sidecar / "comparisons" / "never.json").exists()
    assert {file.name for file in tmp_path.iterdir()} <= {there}


def test_report_and_measure_tell_of_structure(scan, tmp_path, capsys):
    assert _run(capsys, "segment", scan, "--method", "otsu", "--set", "classes=3", "--output", "o", "--overwrite")[0] == 0
    code, out, _ = _run(capsys, "measure", scan, "o", "--structure", "--json")
    measured = json.loads(out)
    assert code == 0
    assert measured["structure"]["connected"]["1"]["voxels"] == measured["phases"]["1"]["voxels"]
    assert measured["structure"]["surface"]["unit"] == "µm"
    told = _run(capsys, "measure", scan, "o", "--structure", "--thickness")[1]
    assert "reaches across" in told
    assert "mean thickness" in told
    assert _run(capsys, "report", scan, "o", tmp_path / "o.html")[0] == 0
    assert (tmp_path / "o-phases.csv").exists()
    code, _, complaint = _run(capsys, "report", scan, "o", tmp_path / "o.html")
    assert code == 2
    assert "--overwrite" in complaint
    assert _run(capsys, "compare", scan, "--set", "per_slice=true", "--name", "x")[0] == 2

"""The page about results: what it holds, that it is whole, and that it needs nothing else."""

import csv
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from segment_data import brushed, scan_of, three_phases

from lithoscope.compare import compare
from lithoscope.errors import InputError, MissingError, TakenError
from lithoscope.labels.predict import segment
from lithoscope.labels.strokes import strokes
from lithoscope.measure.readable import readable
from lithoscope.report import report_page
from lithoscope.report.charts import Line, Point, lines, nice_step, number, points
from lithoscope.segmenters import configured, segmenter

VOID = {"meta", "img", "br", "circle", "path", "polygon", "i"}


class Page(HTMLParser):
    """Checks that tags are closed, and collects what would be fetched and what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data") and not value.startswith(("data:", "#")):
                self.fetched.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan with a result, strokes and a comparison."""
    folder = tmp_path_factory.mktemp("A & <report>")
    values = three_phases((10, 150, 150))
    made = scan_of(values, folder / "Bohrkern & Ton.zarr", shard=(16, 64, 64))
    segment(made, configured(segmenter("otsu"), {"classes": 3}), output="otsu")
    said = brushed((np.digitize(values, [90, 155]) + 1).astype(np.uint8), (1, 2, 3), 5)
    with strokes(made) as store:
        store.write(made.box, said > 0, said)
        store.flush()
    compare(made, methods=["otsu", "fuzzy", "nonesuch"], processes=False)
    return made


def _read(file):
    page = Page()
    text = file.read_text(encoding="utf-8")
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    return text, " ".join(page.words)


def test_the_page_tells_of_a_result_and_needs_nothing_else(scan, tmp_path):
    answer = report_page(scan, ["otsu"], tmp_path / "page.html", structure=True, thickness=True)
    text, words = _read(tmp_path / "page.html")
    assert "Bohrkern & Ton" in words
    assert "<b>Ton" not in text
    for expected in (
        "Representative volume",
        "Two-point correlation",
        "Connection and surface",
        "Local thickness",
        "Hildebrand",
        "Otsu",
        "thresholds",
        "Run record of otsu",
    ):
        assert expected in words
    assert text.count("<svg") >= 5
    assert text.count("data:image/png;base64,") == 2
    whole = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((tmp_path / "page-phases.csv").open(encoding="utf-8", newline="")))
    for row in rows[:-1]:
        phase = whole["results"]["otsu"]["measured"]["phases"][row["class"]]
        assert float(row["fraction"]) == phase["fraction"]
    sizes = list(csv.DictReader((tmp_path / "page-thickness.csv").open(encoding="utf-8", newline="")))
    assert sum(float(row["fraction"]) for row in sizes if row["class"] == "1") == pytest.approx(1, abs=1e-4)
    assert {file.name for file in tmp_path.iterdir()} == {file.rpartition("/")[2].rpartition("\\")[2] for file in answer["files"]}


def test_the_page_tells_of_a_comparison(scan, tmp_path):
    report_page(scan, [], tmp_path / "page.html", comparison="comparison")
    text, words = _read(tmp_path / "page.html")
    assert "nonesuch" in words
    assert "Score against time" in words
    assert "Hungarian" in words
    assert "cluster → class" in words
    assert text.count("data:image/png;base64,") == 3
    rows = list(csv.DictReader((tmp_path / "page-methods.csv").open(encoding="utf-8", newline="")))
    assert {row["method"] for row in rows} == {"otsu", "fuzzy", "nonesuch"}


def test_what_cannot_be_reported_is_refused(scan, tmp_path):
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises(TakenError):
        report_page(scan, ["otsu"], tmp_path / "there.html")
    (tmp_path / "notes.json").write_text("mine")
    with pytest.raises(TakenError, match=r"notes\.json exists already"):
        report_page(scan, ["otsu"], tmp_path / "notes.html")
    (tmp_path / "table-phases.csv").write_text("mine")
    with pytest.raises(TakenError, match=r"table-phases\.csv exists already"):
        report_page(scan, ["otsu"], tmp_path / "table.html")
    with pytest.raises(InputError, match="html"):
        report_page(scan, ["otsu"], tmp_path / "page.pdf")
    with pytest.raises(MissingError, match="no result"):
        report_page(scan, ["nothing"], tmp_path / "page.html")
    with pytest.raises(InputError, match="no result is named"):
        report_page(scan, [], tmp_path / "page.html")
    with pytest.raises(MissingError, match="comparison"):
        report_page(scan, [], tmp_path / "page.html", comparison="none")
    assert {file.name for file in tmp_path.iterdir()} == {"there.html", "notes.json", "table-phases.csv"}


def test_figures_leave_gaps_where_there_is_no_value_and_escape_names():
    drawn = lines([Line("a < b", "#000000", [0, 1, 2, 3], [0.1, None, 0.3, 0.4])], "x", "y", title='say "so"')
    assert drawn.count("M", drawn.index('class="line"'), drawn.index("</svg>")) == 2
    assert "a &lt; b" in drawn
    assert "say &quot;so&quot;" in drawn
    assert lines([], "x", "y", title="") == ""
    assert lines([Line("flat", "#000000", [0], [0.5])], "x", "y", title="one place")
    assert points([Point("a", "#000000", 0.0, 0.5)], "x", "y", title="no time at all")


def test_numbers_and_steps_are_short():
    assert [number(v) for v in (0, 0.25, 1500, 1e6, 2e-5, 1e-4)] == ["0", "0.25", "1500", "10⁶", "2·10⁻⁵", "10⁻⁴"]
    assert [nice_step(v) for v in (0.011, 0.2, 3, 70)] == pytest.approx([0.02, 0.2, 5, 100])


@pytest.mark.parametrize(
    ("value", "words"), [(311083.4, "311,100"), (0.0210912, "0.02109"), (9999.7, "10,000"), (12.5, "12.5"), (3.2e12, "3.2e+12"), (0, "0")]
)
def test_quantities_are_written_to_be_read(value, words):
    assert readable(value) == words

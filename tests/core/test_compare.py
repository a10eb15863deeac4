"""Methods compared by one protocol, against the same done by hand."""

import itertools
import json

import numpy as np
import pytest
from segment_data import brushed, scan_of, three_phases

from lithoscope.classes import Class, ClassTable
from lithoscope.compare import compare, open_comparison
from lithoscope.compare.apart import CrashedError, apart
from lithoscope.compare.mapping import clusters_to_classes, thresholds_between
from lithoscope.compare.protocol import Entry, Protocol
from lithoscope.errors import InputError, MissingError, ResourceError, TakenError
from lithoscope.job import Cancelled, Progress, silent
from lithoscope.labels.classes_file import save_classes
from lithoscope.labels.repeat import repeat
from lithoscope.labels.results import open_result, results
from lithoscope.labels.strokes import strokes
from lithoscope.scores.segmentation import confusion

SHAPE = (10, 150, 150)
BRIGHT_FIRST = ClassTable.of([Class(1, "grain", "#2ca25f"), Class(2, "clay", "#e69f00", 0.4), Class(5, "pore", "#3b7dd8", 1.0)])


def _truth(values):
    """The phases of `three_phases`, named against the order of their grey values."""
    return np.array([5, 2, 1], np.uint8)[np.digitize(values, [90, 155])]


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A scan with strokes, its grey values, and a truth as a file."""
    import tifffile
    from scipy.ndimage import uniform_filter

    folder = tmp_path_factory.mktemp("compare")
    values = three_phases(SHAPE)
    scan = scan_of(values, folder / "rock.zarr", shard=(16, 64, 64))
    truth = _truth(uniform_filter(values.astype(np.float32), 3))
    save_classes(scan, BRIGHT_FIRST)
    said = brushed(truth, BRIGHT_FIRST.ids, 5)
    with strokes(scan) as store:
        store.write(scan.box, said > 0, said)
        store.flush()
    tifffile.imwrite(folder / "truth.tif", truth)
    return scan, values, truth, said, folder / "truth.tif"


TRUTH_MAP = {1: 1, 2: 2, 5: 5}


def test_a_truth_scores_where_nobody_painted_and_clusters_are_mapped_on_the_strokes(painted):
    scan, _, truth, said, file = painted
    found = compare(scan, truth=str(file), truth_map=TRUTH_MAP, methods=["otsu", "kmeans"], name="by truth", processes=False)
    left = np.where(said > 0, 0, truth)
    assert found["truth"]["voxels"] == {str(i): int((left == i).sum()) for i in (1, 2, 5)}
    for line in found["methods"]:
        assert line["class_map"] == {"1": 5, "2": 2, "3": 1}
        labels = open_result(scan, line["result"]).array[:]
        assert line["mean_iou"] == pytest.approx(confusion(left, labels).mean_iou)
        assert line["seconds"] > 0
        assert line["peak_bytes"] >= 0
    assert found["best"] == found["methods"][0]["name"]
    assert open_comparison(scan, "by truth") == json.loads(json.dumps(found))


def test_held_strokes_score_and_teach_nothing(painted):
    scan, _, _, said, _ = painted
    found = compare(scan, methods=["otsu", "threshold"], name="by strokes", processes=False)
    protocol = Protocol(scan.path, gap=0)
    _, taught, classes = protocol.opened()
    held = protocol.split(taught.painted, classes).held[0]
    left = np.zeros(SHAPE, np.uint8)
    left[tuple(taught.painted.places[held].T)] = taught.painted.labels[held]
    assert 0 < np.count_nonzero(left) < np.count_nonzero(said) / 2
    for line in found["methods"]:
        assert line["mean_iou"] == pytest.approx(confusion(left, open_result(scan, line["result"]).array[:]).mean_iou)
    bounds = next(line for line in found["methods"] if line["name"] == "threshold")["settings"]["bounds"]
    assert 75 < bounds[0] < 105
    assert 140 < bounds[1] < 170


def test_a_mapped_result_is_repeated_byte_for_byte(painted):
    scan = painted[0]
    compare(scan, methods=["otsu"], name="again", processes=False)
    assert repeat(scan, "again otsu").identical


def test_missing_and_failing_methods_are_named_and_the_others_go_on(painted):
    scan = painted[0]
    found = compare(scan, methods=["nonesuch", "threshold:bounds=9,3", "otsu"], name="gaps", processes=False)
    lines = {line["name"]: line for line in found["methods"]}
    assert "no method nonesuch" in lines["nonesuch"]["missing"]
    assert lines["threshold:bounds=9,3"]["error"]
    assert lines["otsu"]["mean_iou"] > 0.5
    assert found["best"] == "otsu"


def test_a_cancelled_comparison_goes_on_at_the_method_it_was_at(painted):
    scan = painted[0]

    def cancel(progress):
        if progress.message.startswith("kmeans"):
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(scan, methods=["otsu", "kmeans"], name="stopped", processes=False, report=cancel)
    begun = open_comparison(scan, "stopped")["methods"]
    assert [line["name"] for line in begun] == ["otsu"]
    asked = []
    found = compare(
        scan, methods=["otsu", "kmeans"], name="stopped", processes=False, resume=True, report=lambda p: asked.append(p.message)
    )
    assert not any(words.startswith("otsu") for words in asked)
    assert begun[0] in json.loads(json.dumps(found["methods"]))
    with pytest.raises(TakenError, match="--resume"):
        compare(scan, methods=["otsu"], name="stopped", processes=False)
    with pytest.raises(InputError, match="another"):
        compare(scan, methods=["otsu"], name="stopped", processes=False, resume=True, seeds=(3,))


def test_what_was_done_is_kept_when_a_comparison_that_goes_on_is_ended_again(painted):
    scan = painted[0]
    compare(scan, methods=["otsu", "threshold"], name="long", processes=False)

    def cancel(progress):
        if progress.message.startswith("fuzzy"):
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(scan, methods=["kmeans", "fuzzy", "otsu", "threshold"], name="long", processes=False, resume=True, report=cancel)
    assert {line["name"] for line in open_comparison(scan, "long")["methods"]} == {"kmeans", "otsu", "threshold"}


def test_seeds_are_averaged_and_leave_one_result(painted):
    scan = painted[0]
    found = compare(scan, methods=["otsu"], name="seeds", processes=False, seeds=(0, 1))["methods"][0]
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert found["mean_iou"] == pytest.approx(np.mean([run["mean_iou"] for run in found["runs"]]))
    assert [name for name in results(scan) if name.startswith("seeds")] == ["seeds otsu"]


def test_a_method_without_chance_runs_once_against_a_truth(painted):
    scan, _, _, _, file = painted
    given = {"truth": str(file), "truth_map": TRUTH_MAP, "name": "chance", "processes": False, "seeds": (0, 1)}
    lines = {line["name"]: line for line in compare(scan, methods=["otsu", "kmeans"], **given)["methods"]}
    assert len(lines["otsu"]["runs"]) == 1
    assert lines["otsu"]["mean_iou_sd"] is None
    assert len(lines["kmeans"]["runs"]) == 2


def test_a_method_in_a_process_of_its_own_answers_the_same(painted):
    scan = painted[0]
    found = [compare(scan, methods=["otsu"], name=f"apart {p}", processes=p)["methods"][0] for p in (True, False)]
    assert found[0]["mean_iou"] == found[1]["mean_iou"]
    assert found[0]["peak_bytes"] > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strokes": "nowhere"}, "nowhere"),
        ({"methods": ["otsu", "otsu"]}, "twice"),
        ({"methods": ["otsu:classes"]}, "key=value"),
        ({"methods": ["otsu:colour=red"]}, "no setting"),
        ({"name": "../x"}, "name"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_runs(painted, given, words):
    with pytest.raises((InputError, MissingError), match=words):
        compare(painted[0], **{"methods": ["otsu"], "processes": False, **given})


def test_a_truth_of_other_classes_is_explained(painted):
    scan, _, _, _, file = painted
    with pytest.raises(InputError, match="map them to the same"):
        compare(scan, truth=str(file), truth_map={1: 7, 2: 8, 5: 9}, methods=["otsu"], name="other", processes=False)
    some = compare(scan, truth=str(file), truth_map={1: 1, 2: 9, 5: 5}, methods=["otsu"], name="some", processes=False)
    assert any("never painted" in note for note in some["truth"]["notes"])
    assert any("clay" in note for note in some["truth"]["notes"])


def test_clusters_are_mapped_as_the_best_of_all_one_to_one_maps():
    random = np.random.default_rng(0)
    for _ in range(20):
        ids, clusters = [2, 3, 7], int(random.integers(2, 5))
        counts = np.zeros((256, clusters + 1), np.int64)
        counts[ids] = random.integers(0, 100, (3, clusters + 1))

        def total(pairs, counts=counts, ids=ids):
            sums = counts[ids].sum(axis=0)
            return sum(counts[i, c] / max(1, counts[i].sum() + sums[c] - counts[i, c]) for c, i in pairs)

        ours = clusters_to_classes(counts, ids)
        assert len(set(ours.values())) == len(ours) == min(3, clusters)
        size = min(3, clusters)
        every = (
            zip(c, i, strict=True) for c in itertools.permutations(range(1, clusters + 1), size) for i in itertools.combinations(ids, size)
        )
        assert total(ours.items()) == pytest.approx(max(total(list(pairs)) for pairs in every))


def test_thresholds_lie_where_the_strokes_are_told_apart():
    values = np.array([1.0, 2, 3, 10, 11, 12, 30, 31])
    labels = np.array([4, 4, 4, 1, 1, 1, 2, 2], np.uint8)
    low, high = thresholds_between(values, labels)
    assert np.digitize(values, [low, high], right=True).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    same = thresholds_between(np.ones(6), np.array([1, 1, 2, 2, 3, 3], np.uint8))
    assert same[0] < same[1]


def test_entries_are_written_with_their_settings():
    entry = Entry.parse("dino:tuning=lora:head=linear")
    assert (entry.method, dict(entry.given)) == ("dino", {"tuning": "lora", "head": "linear"})
    assert entry.label == "dino:tuning=lora:head=linear"
    assert ":" not in entry.output


def _answers(number, *, report):
    report(Progress(1, 2, "half"))
    return {"twice": 2 * number}


def _refuses(*, report):
    raise ResourceError("too large")


def _falls(*, report):
    raise ZeroDivisionError("a bug")


def _dies(*, report):
    import os

    os._exit(3)


def _waits(*, report):
    while True:
        report(Progress(0, 1, "waiting"))


def test_work_apart_answers_fails_and_ends_as_it_would_here(capfd):
    seen = []
    assert apart(_answers, 21, report=lambda p: seen.append(p.message)) == {"twice": 42}
    assert "half" in seen
    with pytest.raises(ResourceError, match="too large"):
        apart(_refuses, report=silent)
    with pytest.raises(CrashedError, match="ZeroDivisionError: a bug"):
        apart(_falls, report=silent)
    with pytest.raises(CrashedError, match="status 3"):
        apart(_dies, report=silent)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_work_apart_is_cancelled():
    def cancel(progress):
        if progress.message == "waiting":
            raise Cancelled

    with pytest.raises(Cancelled):
        apart(_waits, report=cancel)


def test_a_method_sees_nothing_of_the_strokes_that_score(painted, monkeypatch):
    from lithoscope.labels.samples import StrokeSamples
    from lithoscope.segmenters.forest import Forest

    scan = painted[0]
    seen = []

    def fit(self, samples, *, report):
        assert isinstance(samples, StrokeSamples)
        for sample in samples:
            places = np.argwhere(sample.labels > 0) + np.array(sample.origin)
            seen.extend(map(tuple, places.tolist()))
        raise InputError("enough was seen")

    monkeypatch.setattr(Forest, "fit", fit)
    found = compare(scan, methods=["forest:scales=1"], name="seen", processes=False)
    assert found["methods"][0]["error"] == "enough was seen"
    protocol = Protocol(scan.path, gap=found["strokes"]["apart"])
    _, taught, classes = protocol.opened()
    held = {tuple(place) for place in taught.painted.places[protocol.split(taught.painted, classes).held[0]].tolist()}
    assert seen
    assert held
    assert not held & set(seen)


def test_a_taught_method_answers_in_the_painted_classes(painted, monkeypatch):
    from lithoscope.segmenters.base import REGISTRY
    from lithoscope.segmenters.otsu import Otsu

    class Taught(Otsu):
        """Otsu that was told names, and numbers its classes from 1 as every taught method does."""

        name = "taught"
        needs_labels = True
        classes_ = property(
            lambda self: ClassTable.of([Class(1, "pore", "#3b7dd8"), Class(2, "clay", "#e69f00"), Class(3, "grain", "#2ca25f")])
        )

    monkeypatch.setitem(REGISTRY, "taught", Taught)
    found = compare(painted[0], methods=["otsu", "taught:classes=3"], name="told", processes=False)["methods"]
    assert found[0]["mean_iou"] == found[1]["mean_iou"] > 0.5
    assert next(line for line in found if line["name"].startswith("taught"))["class_map"] == {}


def test_strokes_over_values_that_are_no_numbers_put_no_bound():
    values, labels = np.array([1.0, 2.0, 3.0, 9.0, 10.0, 11.0]), np.array([2, 2, 2, 1, 1, 1], np.uint8)
    lost = np.insert(values, [1, 4, 4], np.nan), np.insert(labels, [1, 4, 4], [2, 1, 1])
    assert thresholds_between(*lost) == thresholds_between(values, labels)

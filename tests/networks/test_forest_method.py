"""The forest as a person meets it: taught by strokes, scored, saved, moved to other scans, watched while painting."""

import json

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.cli.commands import command
from lithoscope.errors import InputError
from lithoscope.features.cache import FeatureCache
from lithoscope.features.windows import ScanFeatures
from lithoscope.job import Cancelled, silent
from lithoscope.labels.classes_file import save_classes
from lithoscope.labels.live import LivePreview
from lithoscope.labels.results import open_result
from lithoscope.labels.strokes import strokes
from lithoscope.segmenters import configured, segmenter
from lithoscope.volume.box import Box

CLASSES = ClassTable().add("pore").add("grain")


def rock(folder, name, seed, shape=(10, 120, 140)):
    """A scan of stripes of the same mean grey value, one smooth and one grainy, and its truth."""
    from lithoscope.volume.convert import import_scan

    rng = np.random.default_rng(seed)
    truth = np.ones(shape, np.uint8) + (np.arange(shape[2]) // 35 % 2).astype("u1")
    image = np.where(truth == 1, rng.normal(100, 5, shape), rng.normal(110, 40, shape)).clip(0, 255).astype("u1")
    np.save(folder / f"{name}.npy", image)
    scan = import_scan(folder / f"{name}.npy", folder / f"{name}.zarr", field_of_view=None)
    save_classes(scan, CLASSES)
    return scan, truth


def paint(scan, truth, z=5, count=12, seed=0):
    rng = np.random.default_rng(seed)
    with strokes(scan) as store:
        for _ in range(count):
            y, x = rng.integers(4, 110), rng.integers(4, 130)
            box = Box((z, y, x), (z + 1, y + 5, x + 6))
            store.write(box, truth[box.slices] == truth[z, y, x], np.uint8(truth[z, y, x]))


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    scan, truth = rock(tmp_path_factory.mktemp("forest"), "rock", 0)
    paint(scan, truth, count=30)
    return scan, truth


def test_strokes_on_one_plane_segment_the_volume(painted):
    scan, truth = painted
    record = command("segment")([str(scan.path)], method="forest", output="f", settings={"dimensions": "2"})
    assert (open_result(scan, "f").array[...] == truth).mean() > 0.85
    assert set(record["learnt"]["voxels"]) == {"pore", "grain"}
    assert record["learnt"]["held_out"].keys() & {"mean_iou", "missing"}
    assert record["inputs"]
    assert [c["name"] for c in record["classes"]["classes"]] == ["pore", "grain"]


def test_a_model_goes_to_another_scan_with_its_class_names(painted, tmp_path):
    scan, _ = painted
    other, truth = rock(tmp_path, "other", 1)
    save_classes(other, ClassTable().add("Grain").add("pore"))
    trained = command("train")([str(scan.path)], method="forest", model=str(tmp_path / "m"), settings={"dimensions": 2})
    assert json.loads((tmp_path / "m" / "record.json").read_text())["uuid"] == trained["uuid"]
    record = command("segment")([str(other.path)], model=str(tmp_path / "m"), output="moved", seed=7)
    moved = open_result(other, "moved")
    assert (moved.array[...] == 3 - truth).mean() > 0.85, "pore is 2 in this scan, and grain 1"
    assert [(c.id, c.name) for c in moved.classes] == [(1, "Grain"), (2, "pore")]
    assert any("1 pore is its 2 pore, 2 grain is its 1 Grain" in note for note in record["notes"])
    assert record["inputs"]["model"] == trained["uuid"]
    assert not list(tmp_path.rglob("*.pkl"))


def test_several_scans_teach_one_model_by_class_name(tmp_path):
    a, truth_a = rock(tmp_path, "a", 0)
    b, truth_b = rock(tmp_path, "b", 3)
    paint(a, truth_a)
    save_classes(b, ClassTable().add("grain").add("pore"))
    paint(b, 3 - truth_b)
    record = command("train")([str(a.path), str(b.path)], method="forest", model=str(tmp_path / "m"), settings={"dimensions": 2})
    assert len(record["inputs"]) == 2
    assert list(record["learnt"]["voxels"]) == ["pore", "grain"]
    command("segment")([str(b.path)], model=str(tmp_path / "m"), output="r")
    assert (open_result(b, "r").array[...] == 3 - truth_b).mean() > 0.85


def test_one_class_is_not_enough(tmp_path):
    scan, _ = rock(tmp_path, "one", 0)
    with strokes(scan) as store:
        store.write(Box((1, 1, 1), (2, 9, 9)), None, np.uint8(1))
    with pytest.raises(InputError, match="only pore is painted"):
        command("segment")([str(scan.path)], method="forest")


def test_strokes_outside_the_field_of_view_teach_nothing_while_painting(tmp_path):
    scan, _ = rock(tmp_path, "outside", 0)
    scan.set(field_of_view="box:0:10,0:60,0:140")
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    with strokes(scan) as store:
        store.write(Box((5, 80, 10), (6, 90, 30)), None, np.uint8(2))
        with pytest.raises(InputError, match="nothing is painted inside the field of view"):
            live.learn(store, CLASSES)
        store.write(Box((5, 10, 10), (6, 20, 30)), None, np.uint8(1))
        with pytest.raises(InputError, match="only pore is painted"):
            live.learn(store, CLASSES)
        assert live.fitted is None
        store.write(Box((5, 10, 40), (6, 20, 60)), None, np.uint8(2))
        live.learn(store, CLASSES)
    seen = live.view(Box((5, 0, 0), (6, 120, 140)))
    assert not seen.labels[0, 60:].any()
    assert seen.labels[0, :60].all()


def test_scales_in_micrometres_need_a_voxel_size(painted):
    scan, _ = painted
    with pytest.raises(InputError, match="no voxel size"):
        command("segment")([str(scan.path)], method="forest", output="um", settings={"unit": "um"})


def test_features_do_not_depend_on_where_they_come_from(painted, tmp_path):
    scan, _ = painted
    bank = configured(segmenter("forest"), {"dimensions": 3}).bank
    box = Box((4, 10, 20), (6, 70, 100))
    computed = ScanFeatures(scan)(box, bank)
    kept = ScanFeatures(scan, cache=FeatureCache(tmp_path, spare=0))
    assert np.allclose(kept(box, bank), computed, atol=1e-3)
    again = ScanFeatures(scan, cache=FeatureCache(tmp_path, spare=0))
    assert np.array_equal(again(box, bank), kept(box, bank))


def test_the_preview_is_the_result_to_be(painted):
    scan, _ = painted
    command("segment")([str(scan.path)], method="forest", output="whole", overwrite=True, settings={"dimensions": "2"})
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    with strokes(scan, readonly=True) as store:
        live.learn(store, CLASSES)
        scores = live.rate(store, CLASSES)
    for box in (Box((3, 0, 0), (4, 120, 140)), Box((0, 60, 0), (10, 61, 140)), Box((0, 0, 99), (10, 120, 100))):
        view = live.view(box)
        assert (view.labels == open_result(scan, "whole").array[box.slices]).mean() > 0.999
        assert view.certainty.min() >= 0
        assert view.certainty.max() <= 1
    assert scores.keys() & {"mean_iou", "missing"}


def test_doubtful_places_are_apart_and_away_from_the_paint(painted):
    scan, _ = painted
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    with strokes(scan, readonly=True) as store:
        live.learn(store, CLASSES)
    view = live.view(Box((8, 0, 0), (9, 120, 140)))
    first = live.doubtful([view])
    second = live.doubtful([view], [first])
    assert first[0] == second[0] == 8
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) >= 24
    assert view.certainty[0, first[1], first[2]] < view.certainty.mean() + 0.5


def test_the_preview_stops_between_windows(painted):
    scan, _ = painted
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))

    def cancel():
        raise Cancelled

    with strokes(scan, readonly=True) as store:
        with pytest.raises(Cancelled):
            live.learn(store, CLASSES, cancel)
        assert live.fitted is None
        live.learn(store, CLASSES)
    with pytest.raises(Cancelled):
        live.view(Box((3, 0, 0), (4, 120, 140)), cancel)


def test_windows_are_made_ready_plane_in_view_first(tmp_path):
    scan, truth = rock(tmp_path, "w", 5)
    paint(scan, truth, z=2)
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    live.features.cache.spare = 0
    view = Box((7, 0, 0), (8, 120, 140))
    extractor = live.method.extractors()[0]
    made = live.prepare(view, near=1)
    next(made)
    assert live.features.has(view, 0, extractor)
    assert sum(1 for _ in made) == 2
    assert not list(live.prepare(view, near=1))


def test_planes_that_cost_no_more_are_worked_out_with_the_one_in_view(painted, tmp_path):
    scan, _ = painted
    bank = configured(segmenter("forest"), {"dimensions": 3}).bank
    for axis in range(3):
        kept = ScanFeatures(scan, cache=FeatureCache(tmp_path / str(axis), spare=0))
        start, stop = [0, 0, 0], list(scan.shape)
        start[axis], stop[axis] = 5, 6
        view = Box(tuple(start), tuple(stop))
        found = kept.of_window(view, axis, bank)
        np.testing.assert_array_equal(found, ScanFeatures(scan).compute(view, bank))
        for step, ready in ((-2, False), (-1, True), (1, True), (2, True), (3, False)):
            beside = view.shift(tuple(step * (a == axis) for a in range(3)))
            assert kept.has(beside, axis, bank) == ready
            if ready:
                np.testing.assert_array_equal(kept.of_window(beside, axis, bank), ScanFeatures(scan).compute(beside, bank))


def test_a_long_stroke_does_not_drown_a_short_one():
    from lithoscope.segmenters.strokes import MOST_OF_A_STROKE, Chosen, balanced

    labels = np.array([1] * 5000 + [2] * 40)
    chosen = balanced(Chosen(np.zeros((5040, 2), np.float32), labels, labels, np.ones(5040)), 0)
    assert (chosen.labels == 1).sum() == MOST_OF_A_STROKE
    assert (chosen.labels == 2).sum() == 40
    assert np.isclose(chosen.weights[chosen.labels == 1].sum(), chosen.weights[chosen.labels == 2].sum())


def test_kept_features_are_learnt_from_as_those_worked_out_now(painted, tmp_path):
    from lithoscope.labels.samples import StrokeSamples, Taught
    from lithoscope.segmenters.strokes import balanced, gathered

    scan, truth = painted
    labels = np.zeros(scan.shape, np.uint8)
    labels[3, 10:40, 10:60:2] = truth[3, 10:40, 10:60:2]
    labels[5, 50:60, 20:60] = truth[5, 50:60, 20:60]
    method = configured(segmenter("forest"), {"dimensions": 2})
    found = []
    for cache in (None, FeatureCache(tmp_path / "kept")):
        samples = StrokeSamples.of([Taught.of(scan, labels, cache=cache)], CLASSES, method)
        assert (samples.listed() is None) == (cache is None)
        found.append(
            [balanced(gathered(s, method.bank, silent, seed=1, most=300), 1, 300) for s in (samples, samples.scored(method.halo()))]
        )
    for one, other in zip(*found, strict=True):
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_nobody_waits_for_pauses_many_times_within_a_window(tmp_path):
    scan, _ = rock(tmp_path, "pauses", 0)
    live, paused = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 3})), []
    made = live.prepare(Box((7, 0, 0), (8, 120, 140)), near=0, pause=lambda: paused.append(1))
    assert next(made) == 1
    assert len(paused) > 10


def test_what_strokes_taught_is_repeated_byte_for_byte(tmp_path):
    scan, truth = rock(tmp_path, "again", 0)
    paint(scan, truth, count=20)
    command("segment")([str(scan.path)], method="forest", output="f", settings={"dimensions": "2"})
    assert command("repeat")(str(scan.path), "f")["identical"]
    command("train")([str(scan.path)], method="forest", model=str(tmp_path / "m"), settings={"dimensions": 2})
    command("segment")([str(scan.path)], model=str(tmp_path / "m"), output="by model")
    assert command("repeat")(str(scan.path), "by model")["identical"]
    with strokes(scan) as store:
        store.write(Box((1, 1, 1), (2, 9, 9)), None, np.uint8(1))
    with pytest.raises(InputError, match="are not those that taught f"):
        command("repeat")(str(scan.path), "f")


def test_what_several_scans_taught_is_not_repeated_and_says_why(tmp_path):
    from lithoscope.labels.predict import segment
    from lithoscope.labels.teaching import taught_by, teach

    a, truth = rock(tmp_path, "a", 0)
    b, _ = rock(tmp_path, "b", 1)
    paint(a, truth)
    paint(b, truth)
    found, table = taught_by([a, b], ["strokes"])
    method, lesson = teach(found, configured(segmenter("forest"), {"dimensions": 2}), table, scored=False)
    segment(a, method, output="both", lesson=lesson)
    with pytest.raises(InputError, match="taught by b, which repeat does not open"):
        command("repeat")(str(a.path), "both")


def test_a_full_disk_keeps_nothing_and_stops_nothing(tmp_path):
    scan, truth = rock(tmp_path, "full", 0)
    paint(scan, truth, count=20)
    cache = FeatureCache(scan.sidecar / "cache", spare=1 << 62)
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}), cache=cache)
    with strokes(scan, readonly=True) as store:
        live.learn(store, CLASSES)
    view = live.view(Box((5, 0, 0), (6, 120, 140)))
    assert (view.labels == truth[5]).mean() > 0.85
    assert "nearly full" in cache.problem
    assert not list(scan.sidecar.rglob("*.npy"))


def test_a_cache_of_another_version_is_not_met(tmp_path, monkeypatch):
    from lithoscope.features import filters

    scan, _ = rock(tmp_path, "older", 0)
    cache = FeatureCache(scan.sidecar / "cache", spare=0)
    bank, box = configured(segmenter("forest"), {"dimensions": 2}).bank, Box((5, 0, 0), (6, 120, 140))
    monkeypatch.setattr(filters, "VERSION", filters.VERSION - 1)
    features = ScanFeatures(scan, cache=cache)
    features(box, bank)
    for path in scan.sidecar.rglob("*.npy"):  # what the older version wrote is not what this one would
        np.save(path, np.load(path) + np.float16(1))
    monkeypatch.undo()
    again = ScanFeatures(scan, cache=FeatureCache(scan.sidecar / "cache", spare=0))(box, bank)
    assert np.array_equal(again, ScanFeatures(scan)(box, bank))


def test_a_certain_answer_has_the_labels_of_a_quick_one(painted):
    scan, _ = painted
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    with strokes(scan, readonly=True) as store:
        live.learn(store, CLASSES)
    box = Box((0, 60, 0), (10, 61, 140))
    quick, certain = live.view(box, certain=False), live.view(box)
    assert quick.certainty is None
    assert np.array_equal(quick.labels, certain.labels)


def test_a_model_that_names_other_features_than_its_trees_ask_for_is_refused(painted, tmp_path):
    from lithoscope.segmenters import saving

    scan, _ = painted
    command("train")([str(scan.path)], method="forest", model=str(tmp_path / "m"), settings={"dimensions": 2})
    about = json.loads((tmp_path / "m" / "model.json").read_text())
    about["parameters"]["scales"] = [1.0]
    (tmp_path / "m" / "model.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="other features or classes"):
        saving.load(tmp_path / "m")


def test_strokes_count_alike_however_long_they_are(tmp_path):
    """A stroke over half a plane on one phase leaves the other phase, of which a dab is painted, where it is."""
    scan, truth = rock(tmp_path, "long", 0)
    live = LivePreview(scan, configured(segmenter("forest"), {"dimensions": 2}))
    with strokes(scan) as store:
        store.write(Box((5, 0, 0), (6, 120, 34)), None, np.uint8(1))
        store.write(Box((5, 50, 45), (6, 58, 60)), None, np.uint8(2))
        live.learn(store, CLASSES)
    shown = live.view(Box((5, 0, 0), (6, 120, 140)), certain=False).labels[0]
    for id in (1, 2):
        own = truth[5] == id
        assert (shown[own] == id).mean() > 0.7


def test_blocks_that_are_worked_on_at_once_share_the_cores(monkeypatch):
    import os
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from lithoscope.labels.threads import share_cores

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with ThreadPoolExecutor(1, initializer=share_cores, initargs=(("torch",), 2)) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2
    with ThreadPoolExecutor(1, initializer=share_cores, initargs=(("torch",), 9)) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1

"""The method on tokens over whole scans: tokens are worked out once and kept, bounded, and answer as those of blocks do."""

import numpy as np
import pytest

from lithoscope.cli.commands.learning import taught
from lithoscope.cli.commands.segmenting import segment
from lithoscope.errors import InputError
from lithoscope.features.backbones import RANDOM
from lithoscope.labels import kept_tokens as keeping
from lithoscope.labels.kept_tokens import cache_of, kept_tokens
from lithoscope.labels.live import LivePreview
from lithoscope.labels.predict import resolved
from lithoscope.labels.results import open_result
from lithoscope.labels.strokes import strokes
from lithoscope.sample import CLASSES, TRUTH, simulate
from lithoscope.segmenters import configured, segmenter
from lithoscope.volume.box import Box
from lithoscope.volume.voxel import Voxel

GIVEN = {"backbone": RANDOM, "reduced": 8, "plane": "z", "scale": 1}


@pytest.fixture
def scan(tmp_path):
    made = simulate(tmp_path / "small.zarr", shape=(12, 72, 80), seed=1)
    paint(made, 0, 5)
    return made


def paint(scan, axis, index):
    truth = np.asarray(open_result(scan, TRUTH).array[...])
    labels, place = np.zeros(scan.shape, np.uint8), [slice(None)] * 3
    place[axis] = slice(index, index + 1)
    labels[tuple(place)] = truth[tuple(place)]
    y, x = (np.arange(n) % 24 < 8 for n in scan.shape[1:])
    labels *= (y[:, None] if axis == 0 else np.ones((scan.shape[1], 1), bool)) & x[None]
    with strokes(scan) as store:
        store.write(Box.whole(scan.shape), labels > 0, labels)
        store.flush()


def kept(scan):
    return sorted((scan.sidecar / "cache").glob("tokens-*"))


def told(report):
    seen = []
    report(seen.append)
    return [p.message for p in seen]


@pytest.mark.parametrize("head", ["linear", "trees", "knn"])
def test_kept_tokens_answer_as_those_of_blocks_do(scan, head, monkeypatch):
    segment([str(scan.path)], method="dino", settings={**GIVEN, "head": head}, output="kept")
    assert len(kept(scan)) == 1
    monkeypatch.setattr(keeping, "MOST", 0)
    record = segment([str(scan.path)], method="dino", settings={**GIVEN, "head": head, "reduced": 9}, output="other")
    assert any("not kept" in note for note in record["notes"])
    one, other = (np.asarray(open_result(scan, name).array[...]) for name in ("kept", "other"))
    assert (one == other).mean() > 0.9


def test_a_second_run_takes_the_tokens_that_are_kept(scan, monkeypatch):
    segment([str(scan.path)], method="dino", settings=GIVEN, output="a")
    monkeypatch.setattr("lithoscope.features.token_cache.TokenCache._planes", None)  # nothing is worked out any more
    segment([str(scan.path)], method="dino", settings={**GIVEN, "head": "knn"}, output="b")


def test_scores_are_exported_from_the_tokens_that_are_kept(scan, tmp_path, monkeypatch):
    from lithoscope.export import export
    from lithoscope.export.memberships import Memberships, method_of

    segment([str(scan.path)], method="dino", settings=GIVEN, output="a")
    result = open_result(scan, "a")
    monkeypatch.setattr("lithoscope.features.tokens.Tokens.of_plane", None)  # nothing is worked out any more
    box = tuple(slice(0, n) for n in scan.shape)
    scores = np.stack([Memberships(scan, result, method_of(scan, result), c.id)[box] for c in result.classes])
    labels = np.asarray(result.array[...])
    assert (np.argmax(scores, 0) + 1 == labels)[labels > 0].mean() > 0.99
    export(scan, "a", tmp_path / "scores.tif", scores=True)


def test_minutes_and_disk_are_said_before_the_tokens_are_worked_out(scan):
    messages = told(lambda report: segment([str(scan.path)], method="dino", settings=GIVEN, output="a", report=report))
    assert any("first: about" in m and "MB of disk" in m for m in messages)


def test_a_small_box_is_not_worth_the_tokens_of_the_scan(scan):
    segment([str(scan.path)], method="dino", settings=GIVEN, output="a", box="0:4,0:30,0:30")
    assert kept(scan) == []


def test_the_oldest_tokens_make_room(scan, monkeypatch):
    method, _ = taught([scan], "dino", GIVEN, ["strokes"])
    cache, _ = kept_tokens(scan, method)
    whole = configured(segmenter("dino"), {**GIVEN, "reduced": 7, "dimensions": 2})
    monkeypatch.setattr(keeping, "MOST", cache_of(scan, whole).bytes + cache.bytes // 2)
    other, _ = kept_tokens(scan, whole)
    assert kept(scan) == [other.folder]


def test_strokes_on_planes_that_the_network_does_not_look_at_need_the_whole_scans_tokens(scan):
    paint(scan, 1, 30)
    taught([scan], "dino", {**GIVEN, "plane": "all"}, ["strokes"])
    assert len(kept(scan)) == 1


def test_the_live_preview_answers_a_plane_as_the_run_does(scan):
    method = configured(segmenter("dino"), GIVEN)
    live = LivePreview(scan, method)
    with strokes(scan, readonly=True) as painted:
        live.learn(painted, CLASSES)
        scores = live.rate(painted, CLASSES)
    assert "mean_iou" in scores or "missing" in scores
    view = live.view(Box((5, 0, 0), (6, *scan.shape[1:])))
    segment([str(scan.path)], method="dino", settings=GIVEN, output="run")
    assert (view.labels == np.asarray(open_result(scan, "run").array[5:6])).mean() > 0.97
    box = Box((5, 0, 0), (6, *scan.shape[1:]))
    assert list(live.prepare(box))
    assert list(live.prepare(box)) == []


@pytest.mark.parametrize("given", [{"tuning": "lora"}, {"head": "cnn"}, {"preset": "published"}])
def test_what_takes_minutes_to_teach_is_not_previewed_and_says_so(scan, given):
    with pytest.raises(InputError, match="taught when you run it"):
        LivePreview(scan, configured(segmenter("dino"), {**GIVEN, **given}))


def test_the_preview_across_another_axis_says_where_to_look(scan):
    live = LivePreview(scan, configured(segmenter("dino"), GIVEN))
    with strokes(scan, readonly=True) as painted:
        live.learn(painted, CLASSES)
    with pytest.raises(InputError, match="planes across z"):
        live.view(Box((0, 30, 0), (12, 31, 80)))


def test_what_is_left_open_is_chosen_for_the_scan(scan, tmp_path):
    method, notes = resolved(scan, configured(segmenter("dino"), {"backbone": RANDOM}))
    assert (method.plane, method.scale) == ("z", 1.0)
    assert any("there is no GPU" in note for note in notes)
    flat = simulate(tmp_path / "flat.zarr", shape=(3, 40, 40))
    assert resolved(flat, configured(segmenter("dino"), {"backbone": RANDOM}))[0].plane == "z"


def test_lora_is_recorded_and_goes_to_the_next_scan(scan, tmp_path):
    from lithoscope.cli.commands.learning import train

    quick = {**GIVEN, "tuning": "lora", "rank": 2, "side": 32, "steps": 4, "batch": 2}
    record = train([str(scan.path)], method="dino", model=str(tmp_path / "tuned"), settings=quick)
    assert record["learnt"]["steps_lora"] == 4
    other = simulate(tmp_path / "other.zarr", shape=(4, 48, 48), seed=2)
    again = segment([str(other.path)], model=str(tmp_path / "tuned"), output="a")
    assert again["learnt"]["tuning"] in ("lora", "frozen")
    assert set(np.unique(open_result(other, "a").array[...])) <= {0, 1, 2, 3}


def test_slices_that_are_far_apart_are_looked_at_within_alone(tmp_path):
    far = simulate(tmp_path / "far.zarr", shape=(12, 48, 48), seed=1, voxel=Voxel((10.0, 2.5, 2.5)))
    paint(far, 0, 5)
    record = segment([str(far.path)], method="dino", settings={"backbone": RANDOM, "reduced": 8}, output="a")
    assert (record["parameters"]["dimensions"], record["parameters"]["plane"]) == (2, "z")


def test_a_scan_smaller_than_a_window_is_answered(tmp_path):
    small = simulate(tmp_path / "tiny.zarr", shape=(3, 40, 40), seed=1, dtype="uint16")
    paint(small, 0, 1)
    segment([str(small.path)], method="dino", settings={"backbone": RANDOM, "reduced": 8}, output="a")
    assert set(np.unique(open_result(small, "a").array[...])) <= {0, 1, 2, 3}

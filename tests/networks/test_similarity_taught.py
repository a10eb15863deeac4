"""Teaching by the command line's own functions: what is kept, what is refused, and what is gone on with after a kill."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from retrieval_data import textured_folder

from lithoscope.cli.commands.similarity import similarity_apply, similarity_evaluate, similarity_train
from lithoscope.errors import InputError, MissingError, TakenError
from lithoscope.features.backbones import open_backbone
from lithoscope.job import Cancelled
from lithoscope.similarity.readout import fitted
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.rockset import rocks, write_rocks
from lithoscope.similarity.split import held_out, leaks

QUICK = {"backbone": "random-tiny", "side": "32", "steps": "8", "every": "4", "rank": "4", "tuning": "all", "rate": "0.01"}
TRAIN = """
import json, sys
from lithoscope.cli.commands.similarity import similarity_train
similarity_train(sys.argv[1], output=sys.argv[2], settings=json.loads(sys.argv[3]), device="cpu")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return textured_folder(tmp_path_factory.mktemp("images"), each=8)


@pytest.fixture(scope="module")
def rockset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rocks")
    write_rocks(folder, rocks(24, slices=2, size=48, kinds=("blobs", "layers")))
    return folder


def weights(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("given", [{}, {"method": "contrastive", "tuning": "lora"}, {"mining": "semi-hard", "distance": "euclidean"}])
def test_what_is_taught_opens_as_a_backbone_and_is_seeded(folder, tmp_path, given):
    answers = [similarity_train(str(folder), output=str(tmp_path / n), settings={**QUICK, **given}, device="cpu") for n in "ab"]
    assert answers[0]["scores"] == answers[1]["scores"]
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert open_backbone(tmp_path / "a").width == 48
    assert answers[0]["classes"] == {"rings": 8, "slope": 8, "waves": 8}
    files = {path.name for path in (tmp_path / "a").iterdir()}
    assert files == {"model.safetensors", "config.json", "similarity.json"}, "safetensors and JSON alone"
    record = json.loads((tmp_path / "a" / "similarity.json").read_text())["record"]
    assert record["kind"] == "similarity"
    assert record["parameters"]["mining"] == given.get("mining", "batch-hard")
    assert answers[0]["kept"] == ("taught" if answers[0]["scores"]["taught"] > answers[0]["scores"]["frozen"] else "frozen")


def test_teaching_finds_the_like_of_what_was_held_out(folder, tmp_path):
    more = {**QUICK, "steps": "60", "every": "10", "patience": "6", "rate": "0.005"}
    answer = similarity_train(str(folder), output=str(tmp_path / "m"), settings=more, device="cpu")
    assert answer["kept"] == "taught"
    assert answer["scores"]["taught"] > answer["scores"]["frozen"]
    told = similarity_evaluate(str(tmp_path / "m"), str(folder), device="cpu")
    assert told["taught"]["p_at_nk"] > told["frozen"]["p_at_nk"]
    assert told["taught_on"] == 24 - answer["held_out"]


def test_one_that_is_no_better_is_not_kept_and_it_says_so(folder, tmp_path):
    images = tmp_path / "images"
    for name, level in (("dark", 40), ("bright", 200)):
        (images / name).mkdir(parents=True)
        for n in range(6):
            Image.fromarray(np.random.default_rng(n).integers(level, level + 9, (48, 48), np.uint8)).save(images / name / f"{name}{n}.png")
    answer = similarity_train(str(images), output=str(tmp_path / "m"), settings=QUICK, device="cpu")
    assert answer["scores"] == {"frozen": 1.0, "taught": 1.0}
    assert answer["kept"] == "frozen"
    assert any("the frozen network is kept" in note for note in answer["notes"])
    frozen = open_backbone("random-tiny").network.state_dict()
    kept = open_backbone(tmp_path / "m").network.state_dict()
    assert frozen.keys() == kept.keys()
    assert all(np.array_equal(frozen[name].numpy(), kept[name].numpy()) for name in frozen)


@pytest.mark.parametrize("method", ["triplet", "contrastive"])
def test_the_matrix_alone_is_taught_and_opens_behind_the_untaught_network(folder, tmp_path, method):
    settings = {**QUICK, "tuning": "frozen", "method": method, "rate": "0.001"}
    answer = similarity_train(str(folder), output=str(tmp_path / "m"), settings=settings, device="cpu")
    assert answer["kept"] == "taught"
    assert answer["scores"]["taught"] > answer["scores"]["frozen"]
    before, after = open_backbone("random-tiny").network, open_backbone(tmp_path / "m").network
    pixels = torch.rand(2, 1, 32, 32)
    expected = before(pixels) @ after.projector.weight.T
    torch.testing.assert_close(after(pixels), expected)
    torch.testing.assert_close(after.layers(pixels, (-1,))[0], expected)
    again = {**settings, "backbone": str(tmp_path / "m")}
    similarity_train(str(folder), output=str(tmp_path / "twice"), settings=again, device="cpu")
    assert open_backbone(tmp_path / "twice").width == 48


def test_what_a_view_changes_is_made_small_and_what_tells_kinds_apart_stays():
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 20)
    seen = rng.normal(0, 0.3, (60, 6))
    seen[:, :2] += 2.0 * np.eye(3, 2)[kinds]
    views = np.repeat(seen[:, None], 4, 1)
    views[..., 5] += rng.normal(0, 3, (60, 4))
    seen[:, 5] += rng.normal(0, 3, 60)
    matrix = fitted(seen, views, Relation.of_classes([f"kind {k}" for k in kinds]))
    length = np.linalg.norm(matrix, axis=0)
    assert length[:2].min() > 2 * length[2:5].max(), "the directions in which kinds differ"
    assert length[5] < 0.3 * length[2:5].min(), "the direction in which views differ"
    marks = Relation.of_marks(60, [(i, i + 1) for i in range(59) if kinds[i] == kinds[i + 1]], [(0, 20)])
    assert np.isfinite(fitted(seen, views, marks)).all()
    about = seen - seen.mean(0)
    lengths = np.linalg.norm(about, axis=1).mean(), np.linalg.norm(about @ matrix.T, axis=1).mean()
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)


def test_killed_and_taken_up_it_ends_with_the_same_bytes(folder, tmp_path):
    settings = {**QUICK, "steps": "40", "every": "2", "patience": "100"}
    whole = similarity_train(str(folder), output=str(tmp_path / "whole"), settings=settings, device="cpu")
    place = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(folder), str(place), json.dumps(settings)])
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (place / "training" / "training.safetensors").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (place / "similarity.json").exists(), "it was not killed midway"
    again = similarity_train(str(folder), output=str(place), settings=settings, device="cpu")
    assert again["curves"] == whole["curves"]
    assert weights(place) == weights(tmp_path / "whole")


def cancelled(folder, output, **more):
    def stop(progress):
        if progress.message.startswith("learning"):
            raise Cancelled

    with pytest.raises(Cancelled):
        similarity_train(str(folder), output=str(output), settings=QUICK, device="cpu", report=stop, **more)


def test_a_run_is_not_resumed_with_other_classes_or_images(folder, tmp_path):
    cancelled(folder, tmp_path / "m")
    other = textured_folder(tmp_path / "more", each=8)
    (other / "waves").rename(other / "ripples")
    with pytest.raises(InputError, match=r"other classes \(rings, slope, waves\) than these \(rings, ripples, slope\)"):
        similarity_train(str(other), output=str(tmp_path / "m"), settings=QUICK, device="cpu")
    same = textured_folder(tmp_path / "same", each=8, seed=5)
    with pytest.raises(InputError, match="is another one"):
        similarity_train(str(same), output=str(tmp_path / "m"), settings=QUICK, device="cpu")
    answer = similarity_train(str(folder), output=str(tmp_path / "m"), settings=QUICK, device="cpu")
    assert answer["steps"] == 8
    with pytest.raises(TakenError, match="holds a taught similarity already"):
        similarity_train(str(folder), output=str(tmp_path / "m"), settings=QUICK, device="cpu")


def test_a_class_of_one_item_only_counts_as_unlike_the_others(folder, tmp_path):
    images = textured_folder(tmp_path / "images", each=6)
    (images / "lonely").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(images / "lonely" / "one.png")
    answer = similarity_train(str(images), output=str(tmp_path / "m"), settings=QUICK, device="cpu")
    assert any("lonely: one item only" in note for note in answer["notes"])


@pytest.mark.parametrize(
    ("table", "properties", "words"),
    [
        ("image,porosity\nx,1\ny,2\n", ["porosity"], "metadata for none of the images"),
        ("image,porosity\nwaves,0.2\nrings,0.2\nslope,0.2\n", ["porosity"], "constant property"),
        ("image,porosity\nwaves,soft\nrings,hard\n", ["porosity"], "words in column porosity"),
        ("image,porosity\nwaves,1\nrings,2\n", ["depth"], "no column 'depth'"),
    ],
)
def test_properties_that_cannot_be_learnt_are_refused(folder, tmp_path, table, properties, words):
    (tmp_path / "t.csv").write_text(table)
    settings = {**QUICK, "method": "siamese", "tuning": "frozen"}
    with pytest.raises((InputError, MissingError), match=words):
        similarity_train(
            str(folder),
            output=str(tmp_path / "m"),
            metadata=str(tmp_path / "t.csv"),
            properties=properties,
            settings=settings,
            device="cpu",
        )


def test_labels_that_leak_across_groups_are_told(folder, tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.random((6, 12, 12)).astype(np.float32)
    pictures[5] = pictures[0] + 1e-3 * rng.random((12, 12))
    relation, names = Relation.of_classes(list("aaabba")), [f"{i}.png" for i in range(6)]
    told = leaks(pictures, relation, list("111222"), names)
    assert len(told) == 1
    assert "labels leak across groups: 2 items" in told[0]
    assert "0.png and 5.png" in told[0]
    assert leaks(pictures, relation, list("111111"), names) == ()


def test_held_out_groups_are_whole_and_two_of_each_class_stay():
    kinds = [k for k in "abcd" for _ in range(12)]
    groups = [f"{k}{i // 3}" for k in "abcd" for i in range(12)]
    held, _ = held_out(Relation.of_classes(kinds), groups, 0.25, seed=3)
    for group in set(groups):
        assert len({bool(h) for h, g in zip(held, groups, strict=True) if g == group}) == 1
    for kind in "abcd":
        left = sum(1 for h, k in zip(held, kinds, strict=True) if k == kind and not h)
        assert 6 <= left < 12
    with pytest.raises(InputError, match="no group can be held out"):
        held_out(Relation.of_classes(list("aabb")), list("1122"), 0.25)


def siamese(rockset, output, **given):
    return similarity_train(
        str(rockset / "images"), output=str(output), group="name:4", metadata=str(rockset / "rocks.csv"),
        properties=["porosity", "permeability"], settings={**QUICK, "method": "siamese", **given}, device="cpu",
    )  # fmt: skip


@pytest.mark.parametrize("given", [{"tuning": "frozen", "steps": "60"}, {"tuning": "lora", "steps": "3"}, {"shared": "true", "steps": "3"}])
def test_a_double_siamese_network_is_taught_used_and_judged(rockset, tmp_path, given):
    answer = siamese(rockset, tmp_path / "m", **given)
    assert {"r2.porosity", "r2.permeability", "ranking"} <= set(answer["scores"])
    one = open_backbone(tmp_path / "m")
    assert one.width == (48 if given.get("tuning") == "frozen" or "shared" in given else 96)
    used = similarity_apply(str(tmp_path / "m"), str(rockset / "images"), query="S000_0", k=5, device="cpu", output=str(tmp_path / "t.csv"))
    assert len(used["hits"]) == 5
    assert all(hit["image"] != "blobs/S000_0" for hit in used["hits"])
    scores = [hit["score"] for hit in used["hits"]]
    assert scores == sorted(scores, reverse=True)
    told = used["hits"][0]["properties"]["porosity"]
    assert told["low"] is None or told["low"] < told["value"] < told["high"]
    assert "porosity_low" in (tmp_path / "t.csv").read_text().splitlines()[0]
    judged = similarity_evaluate(
        str(tmp_path / "m"), str(rockset / "images"), group="name:4", metadata=str(rockset / "rocks.csv"), device="cpu"
    )
    assert set(judged["properties"]) == {"porosity", "permeability"}


def test_properties_are_foretold_better_than_by_their_mean(rockset, tmp_path):
    answer = siamese(rockset, tmp_path / "m", tuning="frozen", steps="300", every="20", rate="0.003", hold="0.25")
    assert answer["kept"] == "taught"
    assert answer["scores"]["r2.porosity"] > 0.3
    assert not [path for path in (tmp_path / "m").iterdir() if path.suffix not in (".json", ".safetensors")]


def test_a_small_resnet_is_a_trunk_too(rockset, tmp_path):
    import torch

    from lithoscope.features.convnet import ConvConfig, Convnet
    from lithoscope.similarity.taught import write_backbone

    torch.manual_seed(0)
    write_backbone(tmp_path / "net", Convnet(ConvConfig(8, (8, 16, 24, 32), (1, 1, 1, 1), False)))
    settings = {"backbone": str(tmp_path / "net"), "side": "64", "steps": "2", "every": "2"}
    for tuning in ("all", "lora"):
        siamese(rockset, tmp_path / tuning, **settings, tuning=tuning)
        assert open_backbone(tmp_path / tuning).width == 64
    answer = similarity_train(
        str(rockset / "images"), output=str(tmp_path / "t"), settings={**QUICK, **settings}, group="name:4", device="cpu"
    )
    assert open_backbone(tmp_path / "t").width == 32
    assert answer["steps"] == 2
    given = {**QUICK, **settings, "tuning": "frozen"}
    with pytest.raises(InputError, match="no place for a taught matrix"):
        similarity_train(str(rockset / "images"), output=str(tmp_path / "f"), settings=given, group="name:4", device="cpu")

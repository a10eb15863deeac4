"""Toning is as strong as the grey values of what is painted bear: phases that grey alone tells apart stay apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from test_dino_heads import QUICK, fitted

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.job import Cancelled, silent
from lithoscope.segmenters import Block, Sample, configured, dino_network, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.network_parts import taught
from lithoscope.segmenters.saving import load, save
from lithoscope.training.augment import Augmentation, toned
from lithoscope.training.toning import BINS, FEW, KEPT, bearable

WINDOW = (0.0, 1000.0)
NEAR, FAR = (330, 380, 900), (100, 900, 500)
"""Grey values of three phases: two a twentieth of the window apart, and all at least two fifths of it."""


def grey(*classes, size=4000, seed=0):
    """Histograms as they are asked, of classes given by mean and spread in windows."""
    rng = np.random.default_rng(seed)
    return np.array([np.histogram(rng.normal(m, s, size), BINS, (-0.5, 1.5))[0] for m, s in classes])


def phases(means, spread=6, seed=0):
    """Two phases in blocks of 24 × 24, with a third in between, and little noise."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.arange(48) % 2).reshape(3, 4, 4).repeat(24, 1).repeat(24, 2)
    which[:, 20:28] = 2
    return np.array(means)[which] + rng.normal(0, spread, which.shape), which.astype(np.uint8) + 1


def strokes(image, truth, *, held=False):
    labels, kept = np.zeros_like(truth), np.zeros(truth.shape, bool)
    labels[1, 2::6, 1:-1] = truth[1, 2::6, 1:-1]
    kept[1, 70:] = held
    whole = Block.of(image, WINDOW)
    sample = Sample(image=image, core=whole.core, window=WINDOW, labels=labels, held=kept)
    return ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(3))


def unet(**given):
    return configured(segmenter("unet"), {"preset": "tiny", "dimensions": 2, "slices": 1, "steps": 6, **given})


def test_phases_that_lie_far_apart_bear_all_of_it():
    assert bearable(grey((0.1, 0.05), (0.5, 0.05), (0.9, 0.05))) == (1.0, ())


def test_the_nearer_two_phases_lie_the_less_they_bear_and_they_are_named():
    found = [bearable(grey((0.9, 0.02), (0.4, 0.01), (0.4 + gap, 0.01))) for gap in (0.12, 0.06, 0.03)]
    assert [pair for _, pair in found] == [(2, 3)] * 3
    assert 0.5 > found[0][0] > found[1][0] > found[2][0] > 0


def test_phases_of_which_grey_says_little_have_no_say():
    assert bearable(grey((0.25, 0.1), (0.3, 0.1), (0.8, 0.1))) == (1.0, ())


def test_a_few_voxels_have_no_say_and_classes_without_any_are_no_error():
    few = grey((0.4, 0.01), (0.45, 0.01), size=FEW - 1)
    assert bearable(few) == (1.0, ())
    assert bearable(np.zeros((3, BINS), np.int64)) == (1.0, ())
    assert bearable(np.concatenate([np.zeros((1, BINS), np.int64), grey((0.4, 0.01), (0.45, 0.01))]))[1] == (2, 3)


def apart(one, other, strength):
    """How well one threshold tells two samples of grey values apart when every value is a crop of its own, toned as crops are."""
    how = Augmentation().toned_by(strength)
    made = [
        toned(torch.from_numpy(g).view(-1, 1, 1, 1), how, torch.Generator().manual_seed(k)).flatten() for k, g in enumerate((one, other))
    ]
    return ks_2samp(*(m.numpy() for m in made)).statistic


def test_what_is_borne_leaves_as_much_as_it_says_under_the_toning_that_crops_get():
    rng = np.random.default_rng(1)
    one, other = (rng.normal(m, 0.01, 40_000) for m in (0.31, 0.37))
    strength, _ = bearable(np.array([np.histogram(g, BINS, (-0.5, 1.5))[0] for g in (one, other)]))
    plain = apart(one, other, 0)
    assert strength < 0.5
    assert apart(one, other, strength) > (KEPT - 0.02) * plain
    assert apart(one, other, strength + 0.05) < KEPT * plain


def test_what_is_held_has_no_say():
    image, truth = phases(FAR)
    given = strokes(image, truth, held=True)
    held = given.labelled[0].held
    image[held & (truth == 1)] = FAR[1] - 60
    assert taught(given, silent).toned(None).tones.strength == 1
    given.labelled[0].held[:] = False
    image[truth == 1] = FAR[1] - 60
    assert taught(given, silent).toned(None).tones.strength < 1


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_near_phases_are_learnt_and_full_toning_hides_them(dtype):
    image, truth = phases(NEAR)
    given = strokes(image.astype(dtype), truth)
    own = {"steps": 120, "unlabelled": "nothing"}
    method, usual = unet(**own).fit(given), unet(**own, toning=1).fit(given)
    near = np.isin(truth, (1, 2))
    right = [(m.predict(Block.of(given.image, WINDOW)) == truth)[near].mean() for m in (method, usual)]
    assert right[0] > 0.9
    assert right[1] < 0.85
    assert method.learnt()["toning"] < 0.2
    assert method.remarks() == [
        f"toning={method.learnt()['toning']:g}: stronger changes of brightness would hide how class 1 and class 2 differ in grey"
    ]


def test_a_strength_that_is_given_is_used_and_told():
    given = strokes(*phases(NEAR))
    method = unet(toning=0.7).fit(given)
    assert method.learnt()["toning"] == 0.7
    assert method.remarks() == []
    assert b"".join(v.tobytes() for v in method.state().values()) != b"".join(v.tobytes() for v in unet().fit(given).state().values())
    with pytest.raises(InputError, match=r"toning=3 is not within 0…2"):
        unet(toning=3)


def test_far_phases_are_taught_as_with_the_usual_strength_to_the_bit():
    given = strokes(*phases(FAR))
    found, usual = unet().fit(given), unet(toning=1).fit(given)
    assert {k: v.tobytes() for k, v in found.state().items()} == {k: v.tobytes() for k, v in usual.state().items()}
    assert found.learnt()["toning"] == 1
    assert taught(given, silent).digest() == taught(given, silent).toned(None).digest(), "trainings of earlier versions are gone on with"


def test_teaching_on_by_all_strokes_asks_them_all():
    image, truth = phases(FAR)
    given = strokes(image, truth, held=True)
    image[given.labelled[0].held & (truth == 1)] = FAR[1] - 60
    method = unet(unlabelled="nothing").fit(given)
    done = method.finished(strokes(image, truth))
    assert (method.learnt()["toning"], method.remarks()) == (1, [])
    assert done.learnt()["toning_with_all"] == taught(strokes(image, truth), silent).toned(None).tones.strength


def test_a_training_is_not_gone_on_with_by_another_strength(tmp_path):
    def cancel(progress):
        if progress.message.startswith("learning") and progress.done == 3:
            raise Cancelled

    given, method = strokes(*phases(NEAR)), unet()
    method.folder = tmp_path / "training"
    with pytest.raises(Cancelled):
        method.fit(given, report=cancel)
    other = unet(toning=1)
    other.folder = method.folder
    with pytest.raises(InputError, match="other strokes or settings"):
        other.fit(given)
    assert method.fit(given).state()["network.stem.weight"].tobytes() == unet().fit(given).state()["network.stem.weight"].tobytes()


def test_a_model_of_before_there_was_a_strength_is_read(tmp_path):
    given = strokes(*phases(NEAR))
    method = unet().fit(given)
    for known in (method.about_, method.about_["learnt"]):
        known.pop("remarks", None)
        known.pop("toning", None)
    folder = save(method, tmp_path / "model")
    about = json.loads((folder / "model.json").read_text())
    del about["parameters"]["toning"]
    (folder / "model.json").write_text(json.dumps(about))
    found, block = load(folder), Block.of(given.image, WINDOW)
    assert found.remarks() == []
    assert found.predict(block).tobytes() == method.predict(block).tobytes()


@pytest.mark.parametrize("more", [{"head": "cnn"}, {"head": "cnn", "tuning": "lora"}, {"tuning": "lora"}, {"preset": "published"}])
def test_every_network_of_the_loop_obeys_and_tells_it(more):
    image, truth = phases(NEAR)
    given = strokes(image, truth, held=True)
    method = fitted(given, unlabelled="nothing", steps=2, **more)
    if "fell_back" in method.learnt() and "head" not in more:
        assert "toning" not in method.learnt()
        assert method.remarks() == [method.learnt()["fell_back"]]
        return
    assert method.learnt()["toning"] == taught(given, silent).toned(None).tones.strength < 0.2
    assert any("class 1 and class 2 differ in grey" in words for words in method.remarks())
    other = fitted(given, unlabelled="nothing", steps=2, toning=2, **more)
    assert other.learnt()["toning"] == 2
    changed = {k for k, v in method.state().items() if k != "about" and v.tobytes() != other.state()[k].tobytes()}
    assert changed or "fell_back" in method.learnt()


def test_a_head_that_is_fitted_is_not_toned():
    method = fitted(strokes(*phases(NEAR)))
    assert "toning" not in method.learnt()
    assert method.remarks() == []


@pytest.mark.parametrize("whole", [True, False])
def test_a_fitted_head_that_lora_falls_back_to_is_not_toned(whole, monkeypatch):
    monkeypatch.setattr(dino_network, "improved", lambda tuned, frozen: False)
    given = strokes(*phases(NEAR), held=True)
    if whole:
        how = replace(configured(segmenter("dino"), {**QUICK, "tuning": "lora", "steps": 2, "unlabelled": "nothing"})._how(), decides=True)
        learnt = dino_network.learn(given, how, silent)
        story, remarks = learnt.story, list(learnt.remarks)
    else:
        method = fitted(given, unlabelled="nothing", steps=2, tuning="lora")
        story, remarks = method.learnt(), method.remarks()
    assert remarks == [story["fell_back"]]
    assert "toning" not in story


def test_convolutions_that_were_taught_on_by_all_strokes_tell_of_these():
    image, truth = phases(FAR)
    given = strokes(image, truth, held=True)
    image[given.labelled[0].held & (truth == 1)] = FAR[1] - 60
    method = fitted(given, head="cnn", unlabelled="nothing", steps=2)
    done = method.finished(strokes(image, truth))
    assert (method.learnt()["toning"], method.remarks()) == (1, [])
    assert done.learnt()["toning_with_all"] < 1
    assert done.remarks() == list(taught(strokes(image, truth), silent).toned(None).tones.remarks) != []

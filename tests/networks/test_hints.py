"""What a forest says between the strokes, as networks are taught by it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_unet import image_of, made, samples

from lithoscope.job import silent
from lithoscope.segmenters.hints import hinted
from lithoscope.segmenters.network_parts import taught


def pieces(given, **more):
    return hinted(taught(given, silent), **{"axis": 0, "flat": True, "seed": 0, "report": silent, **more})


def test_hints_lie_on_painted_planes_where_nothing_is_painted():
    given = samples(image_of((5, 60, 60)), held=True)
    found = pieces(given)
    hints, labels = found.pieces[0].hints, found.pieces[0].labels
    assert not hints[[0, 1, 3, 4]].any()
    assert not hints[labels > 0].any(), "what was painted, or is held, is not guessed at"
    assert found.hints == (hints > 0).sum() > 1000
    truth = np.digitize(given.labelled[0].image, [80, 140]) + 1
    assert (hints == truth)[hints > 0].mean() > 0.8
    assert set(np.unique(hints)) <= {0, 1, 2, 3}


def test_held_strokes_do_not_teach_the_forest():
    given = samples(image_of((5, 60, 60)), held=True)
    before = pieces(given).pieces[0].hints
    labels, held = given.labelled[0].labels, given.labelled[0].held
    labels[held & (labels > 0)] = 4 - labels[held & (labels > 0)]
    np.testing.assert_array_equal(pieces(given).pieces[0].hints, before)


def test_masks_need_no_hints():
    given = samples(image_of((5, 40, 40)), thin=1)
    found = pieces(given)
    assert found.hints == 0
    assert found.pieces[0].hints is None


@pytest.mark.parametrize("flat", [True, False])
def test_no_hint_lies_outside_the_field_of_view_or_on_what_is_no_number(flat):
    from dataclasses import replace

    image = image_of((5, 40, 40)).astype("f4")
    given = samples(image)
    image[2, 5:9] = np.nan
    inside = np.ones(image.shape, bool)
    inside[:, :, 30:] = False
    given.labelled = (replace(given.labelled[0], image=image, inside=inside, window=(30.0, 200.0)),)
    hints = pieces(given, flat=flat).pieces[0].hints
    assert hints.any()
    assert not hints[:, :, 30:].any()
    assert not hints[2, 5:9].any()


def test_a_class_that_was_not_painted_is_never_guessed():
    given = samples(image_of((5, 40, 40)))
    given.labelled[0].labels[given.labelled[0].labels == 2] = 0
    found = pieces(given)
    assert set(np.unique(found.pieces[0].hints)) <= {0, 1, 2}
    assert [c.name for c in found.table] == ["class 1", "class 3"]


@pytest.mark.parametrize("given", [{}, {"slices": 1}, {"dimensions": 3, "side": 8}, {"plane": "all"}])
def test_a_network_says_how_much_was_guessed_and_counts_only_what_was_painted(given):
    image = image_of((6, 32, 32))
    strokes = samples(image, held=True)
    story = made(unlabelled="forest", **given).fit(strokes).learnt()
    labels, held = strokes.labelled[0].labels, strokes.labelled[0].held
    assert story["hints"] > 100
    assert sum(story["voxels"].values()) == int(((labels > 0) & ~held).sum())
    assert "hints" not in made(unlabelled="nothing", **given).fit(strokes).learnt()


def test_strokes_of_several_pieces_teach_the_forest_together():
    from dataclasses import replace

    given = samples(image_of((5, 60, 60)))
    found = pieces(replace(given, labelled=given.labelled * 3))
    assert [(p.hints > 0).sum() > 1000 for p in found.pieces] == [True] * 3


def test_few_strokes_teach_more_with_hints_than_without():
    image = image_of((4, 80, 80), seed=3)
    strokes = samples(image, thin=40)
    truth = np.digitize(image, [80, 140]) + 1
    right = {}
    for way in ("nothing", "forest"):
        method = made(unlabelled=way, steps=60, slices=1).fit(strokes)
        from lithoscope.segmenters import Block

        right[way] = (method.predict(Block.of(image)) == truth)[2].mean()
    assert right["forest"] > right["nothing"] - 0.02
    assert right["forest"] > 0.8


@given(st.integers(1, 5), st.integers(0, 99))
def test_the_likeliest_class_is_that_of_numpy(classes, seed):
    from lithoscope.segmenters.best import best

    values = np.random.default_rng(seed).integers(0, 4, (classes, 2, 5, 6)).astype(np.float32)
    assert np.array_equal(best(torch.from_numpy(values)), values.argmax(0) + 1)
    assert np.array_equal(best(torch.from_numpy(values).movedim(0, 3).contiguous().movedim(3, 0)), values.argmax(0) + 1)

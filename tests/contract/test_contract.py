"""One suite over every method of the registry: the rules that the engine, the docks and the command line rely on."""

from importlib.util import find_spec

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LithoscopeError, NotFittedError, ResourceError
from lithoscope.job import Cancelled
from lithoscope.labels.budget import allot
from lithoscope.labels.predict import segment
from lithoscope.segmenters import REGISTRY, Block, Sample, configured, parameters, segmenter, settings
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.segmenters.saving import load, save
from lithoscope.volume.box import Box

SHAPE = (20, 30, 26)
CASES = {
    "threshold": [{"bounds": (90, 150)}],
    "otsu": [{}, {"classes": 2}, {"per_slice": True}],
    "watershed": [{}, {"classes": 3, "reach": 3}, {"dimensions": 2, "margin": 0.8}, {"bounds": (80, 100, 140, 160)}],
    "kmeans": [
        {},
        {"starts": "seeded"},
        {"per_slice": True},
        {"on": "filters"},
        {"on": "filters", "dimensions": 2, "plane": "y"},
        {"on": "tokens", "backbone": "random-tiny", "attempts": 2},
        {"on": "tokens", "backbone": "random-tiny", "attempts": 2, "plane": "y"},
    ],
    "forest": [{"dimensions": 3}, {"preset": "published", "dimensions": 3}, {"dimensions": 2, "plane": "y", "trees": 5}],
    "dino": [
        {"backbone": "random-tiny", "dimensions": 3, "scale": 1},
        {"backbone": "random-tiny", "plane": "y", "dimensions": 2, "filters": False},
        {"backbone": "random-tiny", "head": "trees", "dimensions": 3, "plane": "all"},
        {"backbone": "random-tiny", "head": "knn", "dimensions": 2},
        {"backbone": "random-tiny", "tuning": "lora", "rank": 2, "side": 16, "steps": 4, "batch": 2},
        {"backbone": "random-tiny", "head": "cnn", "side": 16, "steps": 2, "batch": 2},
    ],
    "unet": [
        {"preset": "tiny", "dimensions": 2},
        {"preset": "tiny", "dimensions": 2, "unlabelled": "forest"},
        {"preset": "tiny", "dimensions": 2, "plane": "all", "slices": 1, "flips": True},
        {"preset": "tiny", "dimensions": 3, "side": 8},
    ],
    "fuzzy": [{}, {"spatial": True}, {"spatial": True, "dimensions": 2, "plane": "all"}, {"per_slice": True, "m": 1.5}],
}
NEEDS_TORCH = {"dino", "forest", "unet"}
NO_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="torch, of the extra networks, is not installed")
EVERY = [
    pytest.param(
        name,
        given,
        id=f"{name}-{'-'.join(map(str, given.values())) or 'plain'}",
        marks=[NO_TORCH] if name in NEEDS_TORCH or given.get("on", "grey") != "grey" else [],
    )
    for name, cases in CASES.items()
    for given in cases
]


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(1)
    phase = rng.integers(0, 3, (5, 6, 13)).repeat(4, 0).repeat(5, 1).repeat(2, 2)
    return (np.array([60, 120, 190])[phase] + rng.normal(0, 12, SHAPE)).clip(0, 255).astype("u1")


def made(name, given):
    return configured(REGISTRY[name], given)


def taught(image):
    """The image with strokes on two planes: the darkest third, the middle and the brightest are classes 1, 2 and 3."""
    labels = np.zeros(image.shape, np.uint8)
    classes = np.digitize(image, np.quantile(image, [1 / 3, 2 / 3])) + 1
    labels[4::9, 3:-3:2, 2:-2] = classes[4::9, 3:-3:2, 2:-2]
    whole = Block.of(image)
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels)
    return ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(3))


def least_memory(scan, method):
    """About the least that the engine agrees to work in."""
    memory = 4 << 20
    while True:
        try:
            allot(scan, method, 1, memory)
        except ResourceError:
            memory += memory // 8
        else:
            return memory


def run(scan, name, given, image, **more):
    return segment(scan, made(name, given), samples=taught(image) if segmenter(name).needs_labels else None, **more)


def test_every_method_has_its_cases():
    assert set(CASES) == set(REGISTRY)


@pytest.mark.parametrize("name", REGISTRY)
def test_parameters_explain_themselves(name):
    method = REGISTRY[name]
    assert method.name == name
    assert method.title
    assert method.summary.endswith(".")
    known = parameters(method)
    assert sum(p.level == "basic" for p in known) <= 6
    for p in known:
        assert p.help.endswith(".")
        if p.shown_if:
            assert p.shown_if[0] in {q.name for q in known}
    assert settings(method()) == {p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in known}


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_settings_survive_being_written_down(name, given):
    method = made(name, given)
    assert configured(REGISTRY[name], settings(method)) == method


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_an_unfitted_method_says_so(name, given, image):
    method = made(name, given)
    for ask in (
        lambda: method.predict(Block.of(image)),
        lambda: method.scores(Block.of(image)),
        method.learnt,
        method.state,
        lambda: method.classes_,
    ):
        with pytest.raises(NotFittedError, match="fit"):
            ask()


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_refit_forgets(name, given, image):
    darker = (image // 2 + 70).astype("u1")
    once = made(name, given).fit(taught(image))
    twice = made(name, given).fit(taught(darker)).fit(taught(image))
    assert once.learnt() == twice.learnt()


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_the_same_seed_gives_the_same_bytes(name, given, image):
    a, b = (made(name, given).fit(taught(image)) for _ in range(2))
    assert a.predict(Block.of(image)).tobytes() == b.predict(Block.of(image)).tobytes()
    assert a.scores(Block.of(image)).tobytes() == b.scores(Block.of(image)).tobytes()


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_scores_sum_to_one_and_their_best_is_the_class(name, given, image):
    method = made(name, given).fit(taught(image))
    scores, labels = method.scores(Block.of(image)), method.predict(Block.of(image))
    assert scores.shape == (len(method.classes_), *image.shape)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(0), 1, atol=1e-5)
    assert labels.dtype == np.uint8
    assert labels.shape == image.shape
    assert labels.min() >= 1
    assert labels.max() <= len(method.classes_)
    best = np.take_along_axis(scores, labels[None].astype(np.intp) - 1, 0)[0]
    assert np.all(best >= scores.max(0) - 1e-6)


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_fit_and_predict_change_nothing_that_they_are_given(name, given, image):
    copy = image.copy()
    copy.setflags(write=False)
    method = made(name, given)
    before = settings(method)
    method.fit(taught(copy))
    method.predict(Block.of(copy))
    assert settings(method) == before
    assert np.array_equal(copy, image)


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_saved_equals_loaded(name, given, image, tmp_path):
    method = made(name, given).fit(taught(image))
    again = load(save(method, tmp_path / "my model"))
    assert type(again) is type(method)
    assert again.learnt() == method.learnt()
    assert again.classes_ == method.classes_
    assert again.predict(Block.of(image)).tobytes() == method.predict(Block.of(image)).tobytes()


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_blockwise_equals_whole(name, given, image):
    method = made(name, given).fit(taught(image))
    halo = method.halo()
    padded = np.pad(image, [(h, h) for h in halo], "symmetric")

    def answer(box):
        grown = box.grow(halo).shift(halo)
        core = box.shift(halo).within(grown).slices
        block = Block(image=padded[grown.slices], core=core, window=(0, 255), origin=box.grow(halo).start)
        return method.predict(block)[core]

    whole = answer(Box.whole(SHAPE))
    for box in (Box((0, 0, 0), (7, 30, 26)), Box((7, 3, 5), (20, 4, 26)), Box((19, 29, 25), (20, 30, 26))):
        assert np.array_equal(answer(box), whole[box.slices])


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_the_engine_answers_the_same_whatever_the_blocks(name, given, image, tmp_path):
    from lithoscope.labels.results import open_result
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "image.npy", image)
    scan = import_scan(tmp_path / "image.npy", tmp_path / "scan.zarr", field_of_view=None)
    run(scan, name, given, image, output="plenty")
    run(scan, name, given, image, output="little", memory=least_memory(scan, made(name, given)))
    assert np.array_equal(open_result(scan, "plenty").array[...], open_result(scan, "little").array[...])


@pytest.mark.parametrize(("name", "given"), EVERY)
def test_it_stops_when_cancelled(name, given, image, tmp_path):
    from lithoscope.labels.results import results
    from lithoscope.volume.convert import import_scan

    np.save(tmp_path / "image.npy", image)
    scan = import_scan(tmp_path / "image.npy", tmp_path / "scan.zarr", field_of_view=None)

    def cancel(progress):
        raise Cancelled

    with pytest.raises(Cancelled):
        run(scan, name, given, image, output="a", report=cancel)
    assert results(scan) == []


@pytest.mark.parametrize(("name", "given"), EVERY)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "f4", "f8"])
def test_native_values_of_every_kind_are_taken(name, given, dtype, image):
    if name == "threshold":
        given = {"bounds": (-10, 40)}
    native = (image.astype(float) - 80).clip(-128, 127) if dtype == "i1" else image.astype(float) - (80 if dtype[0] in "if" else 0)
    method = made(name, given).fit(taught(native.astype(dtype)))
    labels = method.predict(Block.of(native.astype(dtype)))
    assert len(np.unique(labels)) > (0 if name == "threshold" else 1)


@pytest.mark.parametrize("name", [n for n, m in REGISTRY.items() if not m.needs_labels and "classes" in {p.name for p in parameters(m)}])
def test_classes_rise_with_the_grey_value(name, image):
    labels = made(name, {"classes": 4}).fit(taught(image)).predict(Block.of(image))
    means = [image[labels == c].mean() for c in range(1, 5)]
    assert means == sorted(means)


@pytest.mark.parametrize("name", REGISTRY)
def test_nonsense_settings_are_one_line(name):
    with pytest.raises(InputError, match="no setting 'colour'"):
        made(name, {"colour": 3})
    for p in parameters(REGISTRY[name]):
        if p.type in (int, float):
            for value in ("many", "nan", (p.minimum if p.minimum is not None else 0) - 1):
                with pytest.raises(LithoscopeError) as caught:
                    made(name, {p.name: value})
                assert "\n" not in str(caught.value)

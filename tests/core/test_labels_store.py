"""The painted array against a plain numpy array, whatever is done to it and however it ends."""

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lithoscope.errors import InputError
from lithoscope.labels import chunks, store
from lithoscope.labels.changes import Change
from lithoscope.labels.history import History
from lithoscope.labels.store import LabelStore
from lithoscope.volume.box import Box

SHAPE = (5, 70, 130)


def an_index(n):
    return st.one_of(
        st.integers(-n, n - 1),
        st.builds(
            slice, st.none() | st.integers(-n - 2, n + 2), st.none() | st.integers(-n - 2, n + 2), st.sampled_from([None, 1, 2, -1, -3])
        ),
        st.just(slice(None)),
    )


keys = st.tuples(*(an_index(n) for n in SHAPE))
labels = st.sampled_from([0, 1, 2, 254])


class Painting(RuleBasedStateMachine):
    """Paint, undo, redo, flush, crash and open again; the store always reads as the numpy array does."""

    @initialize(memory=st.sampled_from([0, 1 << 30]))
    def start(self, memory):
        self.memory = memory
        self.root = Path(tempfile.mkdtemp())
        self.model = np.zeros(SHAPE, np.uint8)
        self.done, self.undone = [], []
        self.copies = 0
        self.open(self.root / "strokes")

    def open(self, folder):
        self.store = LabelStore(folder, SHAPE, memory=self.memory)
        assert not self.store.readonly

    def remember(self, before):
        if not np.array_equal(before, self.model):
            self.done.append((before, self.model.copy()))
            self.undone.clear()

    @rule(key=keys, value=labels)
    def paint_one_value(self, key, value):
        before = self.model.copy()
        self.model[key] = value
        self.store[key] = value
        self.remember(before)

    @rule(key=keys, seed=st.integers(0, 99))
    def paint_values(self, key, seed):
        before = self.model.copy()
        region = np.random.default_rng(seed).integers(0, 3, self.model[key].shape, np.uint8)
        self.model[key] = region
        self.store[key] = region
        self.remember(before)

    @rule(count=st.integers(0, 30), seed=st.integers(0, 99), value=labels, across=st.booleans())
    def paint_points(self, count, seed, value, across):
        before = self.model.copy()
        rng = np.random.default_rng(seed)
        points = tuple(rng.integers(-n if across else 0, n, count) for n in SHAPE)
        self.model[points] = value
        np.testing.assert_array_equal(self.store[points], before[points])
        self.store[points] = value
        self.remember(before)

    @rule(seed=st.integers(0, 99), stamps=st.integers(0, 5))
    def paint_a_stroke(self, seed, stamps):
        before = self.model.copy()
        rng = np.random.default_rng(seed)
        with self.store.stroke():
            for _ in range(stamps):
                z, y, x = (int(rng.integers(0, n)) for n in SHAPE)
                key = (slice(z, z + 2), slice(y, y + 21), slice(x, x + 21))
                mask = rng.random(self.model[key].shape) < 0.6
                value = int(rng.integers(0, 4))
                self.model[key][mask] = value
                self.store.write(Box((z, y, x), tuple(a + b for a, b in zip((z, y, x), mask.shape, strict=True))), mask, value)
        self.remember(before)

    @rule()
    def undo(self):
        box = self.store.undo()
        assert (box is None) == (not self.done)
        if self.done:
            before, after = self.done.pop()
            self.undone.append((before, after))
            self.model = before.copy()
            changed = np.argwhere(before != after)
            assert all((changed.min(0) >= box.start) & (changed.max(0) < box.stop))

    @rule()
    def redo(self):
        box = self.store.redo()
        assert (box is None) == (not self.undone)
        if self.undone:
            before, after = self.undone.pop()
            self.done.append((before, after))
            self.model = after.copy()

    @rule()
    def flush(self):
        self.store.flush()
        np.testing.assert_array_equal(zarr.open_array(self.store.folder, mode="r")[:], self.model)

    @rule()
    def compact(self):
        with mock.patch.multiple(store, _COMPACT_ABOVE=0, _COMPACT_TIMES=0):
            self.store.flush()

    @rule()
    def open_again(self):
        self.store.close()
        self.open(self.store.folder)

    @precondition(lambda self: self.copies < 3)
    @rule(chunks_too=st.booleans(), torn=st.integers(0, 20))
    def crash(self, chunks_too, torn):
        """What a killed program leaves: the journal is written, the chunks perhaps not, the last entry may be torn."""
        self.copies += 1
        old = self.store
        if chunks_too:
            old.flush()
        with old._flushing:
            old._write_journal()
            folder = self.root / f"copy{self.copies}"
            shutil.copytree(old.folder, folder)
        with (folder / "journal").open("ab") if (folder / "journal").exists() else (folder / "other").open("ab") as file:
            file.write(b"\x05\0\0\0torn entry, cut here"[:torn])
        (folder / "lock").unlink()
        old.close()
        self.open(folder)

    @invariant()
    def reads_as_numpy_does(self):
        np.testing.assert_array_equal(self.store[:], self.model)
        assert self.store.can_undo == bool(self.done)
        assert self.store.can_redo == bool(self.undone)
        touched = np.zeros(SHAPE, bool)
        for box in self.store.touched():
            touched[box.slices] = True
        assert not self.model[~touched].any()

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.root)


TestPainting = Painting.TestCase
TestPainting.settings = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def random_store(tmp_path_factory):
    model = np.random.default_rng(3).integers(0, 200, SHAPE, np.uint8)
    with LabelStore(tmp_path_factory.mktemp("strokes"), SHAPE) as painted:
        painted[:] = model
        yield painted, model


@settings(max_examples=300, deadline=None)
@given(key=keys)
def test_slices_and_ints_read_as_in_numpy(random_store, key):
    painted, model = random_store
    np.testing.assert_array_equal(painted[key], model[key])
    assert np.shape(painted[key]) == model[key].shape


@pytest.mark.parametrize(
    "key",
    [
        ...,
        2,
        (2, ...),
        (..., 3),
        (1, slice(None), [4, 5, 5]),
        ([0, 1], [2, 3]),
        ([0, 1], slice(3, 60, 7), [[2], [-3]]),
        (slice(None), [2, 3], [4, 5]),
        (slice(1, 3), [2, 3]),
        (slice(None), slice(None, None, 2), [1, 2]),
        (np.array([[0, 1], [2, 3]]), 5, np.array([6, 7])),
        (np.zeros(0, int), np.zeros(0, int), np.zeros(0, int)),
        np.arange(5) % 2 == 0,
        (1, np.arange(70) > 60),
        np.random.default_rng(1).random(SHAPE) < 0.01,
    ],
    ids=str,
)
def test_points_and_masks_read_and_paint_as_in_numpy(random_store, tmp_path, key):
    painted, model = random_store
    np.testing.assert_array_equal(painted[key], model[key])
    expected = np.zeros(SHAPE, np.uint8)
    expected[key] = 7
    with LabelStore(tmp_path, SHAPE) as other:
        other[key] = 7
        np.testing.assert_array_equal(other[:], expected)


@pytest.mark.parametrize("key", [5, (0, 70), (0, 0, -131), (0, 0, 0, 0), (..., ...), (None, 0), 1.5, ([9], [0], [0])], ids=str)
def test_an_index_beyond_the_array_is_refused(random_store, key):
    with pytest.raises(IndexError):
        random_store[0][key]


@pytest.mark.parametrize("value", [-1, 256, 1.5, [1, 300]])
def test_values_that_are_no_labels_are_refused(random_store, value):
    with pytest.raises(InputError, match="0…255"):
        random_store[0][0, 0, :2] = value


def test_what_is_read_can_be_changed_without_changing_the_labels(random_store):
    painted, model = random_store
    for key in (0, (slice(0, 1), slice(0, 5), slice(0, 5)), np.s_[:, 3]):
        region = painted[key]
        region[...] = 0
        np.testing.assert_array_equal(painted[key], model[key])


def test_an_empty_chunk_is_not_on_the_disk(tmp_path):
    with LabelStore(tmp_path, (130, 130, 130)) as painted:
        painted[70, 70, 70] = 1
        painted.flush()
        assert [str(p.relative_to(tmp_path)) for p in tmp_path.glob("c/*/*/*")] == ["c/1/1/1"]
        assert painted.touched() == [Box((64, 64, 64), (128, 128, 128))]
        painted.undo()
        painted.flush()
        assert not list(tmp_path.glob("c/*/*/*"))
        assert painted.touched() == []
        painted.redo()
    with LabelStore(tmp_path, (130, 130, 130)) as painted:
        assert painted[70, 70, 70] == 1


def test_strokes_are_on_the_disk_soon_without_a_flush(tmp_path):
    written = LabelStore(tmp_path, SHAPE)
    with mock.patch.object(store, "FLUSH_SECONDS", 0.01), mock.patch.object(LabelStore, "_finish_pass", autospec=True) as finished:
        done = threading.Event()
        finished.side_effect = lambda *_, **__: done.set()
        written[1, 2, 3] = 4
        assert done.wait(1.0)
    with LabelStore(tmp_path, SHAPE, readonly=True) as reader:
        assert reader[1, 2, 3] == 4
    written.close()


def test_a_box_of_a_large_array_is_painted_in_parts_and_undone_as_one(tmp_path):
    shape = (260, 300, 700)
    with LabelStore(tmp_path, shape) as painted:
        assert painted.write(Box((0, 10, 0), (258, 290, 650)), None, 3) == Box((0, 10, 0), (258, 290, 650))
        assert painted[257, 289, 649] == 3
        assert painted[258, 289, 649] == 0
        assert painted.undo() == Box((0, 10, 0), (258, 290, 650))
        assert painted.touched() == [] or not painted[100].any()
        assert painted.undo() is None


def test_history_is_bounded_in_number_and_bytes():
    history = History(max_strokes=5, max_bytes=1000, max_stroke=1500)
    box = Box((0, 0, 0), (1, 1, 1))
    for stroke in range(1, 9):
        history.add(stroke, Change(box, b"x" * 10))
    assert [s.id for s in history.done] == [4, 5, 6, 7, 8]
    history.add(9, Change(box, b"x" * 980))
    assert [s.id for s in history.done] == [7, 8, 9]
    history.undo()
    history.add(10, Change(box, b"x" * 2000))
    assert not history.done
    assert not history.undone
    history.add(10, Change(box, b"x" * 10))
    assert not history.done  # half a stroke is not undone
    assert history.last == 10
    history.add(11, Change(box, b"x" * 10))
    assert [s.id for s in history.done] == [11]
    history.add(12, Change(box, b"x" * 1200))
    assert [s.id for s in history.done] == [12]  # the newest alone may be larger than all of them may be together
    history.add(13, Change(box, b"x" * 10))
    assert [s.id for s in history.done] == [13]


@settings(max_examples=200, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 1000),
    part=st.sampled_from([0.01, 0.5, 1.0]),
    old=st.integers(1, 4),
    new=st.integers(1, 4),
)
def test_a_change_holds_exactly_what_changed(shape, seed, part, old, new):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < part
    mask.flat[0] = True
    box = Box((3, 4, 5), tuple(a + b for a, b in zip((3, 4, 5), shape, strict=True)))
    before, after = (rng.integers(0, n, int(mask.sum()), np.uint8) for n in (old, new))
    again = Change.unpack(Change.of(box, mask, before, after).packed)
    got = again.values()
    assert again.box == box
    np.testing.assert_array_equal(got[0], mask)
    np.testing.assert_array_equal(np.broadcast_to(got[1], before.shape), before)
    np.testing.assert_array_equal(np.broadcast_to(got[2], after.shape), after)


def test_painting_reads_nothing_where_nothing_is(tmp_path):
    with LabelStore(tmp_path, (2048, 2048, 2048)) as painted, mock.patch.object(chunks.SparseChunks, "_load") as load:
        painted[1000, 500:521, 500:521] = 1
        painted[:, 1000]
        painted[..., 1000]
        load.assert_not_called()


def test_another_thread_reads_strokes_whole_while_they_are_painted_and_flushed(tmp_path):
    region = np.s_[0:3, 40:70, 50:80]
    with LabelStore(tmp_path, SHAPE, memory=0) as painted, ThreadPoolExecutor(1) as pool:
        stop = threading.Event()

        def read():
            seen = set()
            while not stop.is_set():
                values = np.unique(painted[region])
                assert len(values) == 1
                seen.add(int(values[0]))
            return seen

        reading = pool.submit(read)
        for value in range(1, 101):
            painted[region] = value
            if value % 10 == 0:
                painted.flush()
        stop.set()
        assert reading.result()

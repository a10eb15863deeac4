"""The searching behind the Similar dock: a library kept in memory, asked in a thread. It knows no widget."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.importing import LIBRARIES, importing
from lithoscope.errors import LithoscopeError, MissingError
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope.retrieval.embed import Embedder
    from lithoscope.retrieval.library import Library
    from lithoscope.retrieval.memory import Memory
    from lithoscope.retrieval.proposals import Proposal
    from lithoscope.retrieval.search import Found, Hit
    from lithoscope.retrieval.sources import Source

Prepared = Mapping[float, Mapping[str, npt.NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class Question:
    """What the person asked: a box of the open scan, perhaps with the voxels that count, and the planes that alone count; `axis` is
    the one across which the person looked."""

    box: Box
    mask: npt.NDArray[np.bool_] | None = None
    planes: tuple[str, ...] | None = None
    where: str = ""
    k: int = 24
    more: tuple[int, ...] = ()
    less: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found. `rough` says that the question was only looked up so far, and is being looked at."""

    question: Question
    found: "Found"
    query: Prepared
    rough: bool = False
    own: str = ""
    threshold: float = 0.5
    columns: tuple[str, ...] = field(default=())


class Finder(QObject):
    """One library and one question at a time."""

    loaded = Signal(str)
    """A library is in memory: a line about it."""
    answered = Signal(object)
    failed = Signal(str)
    proposed = Signal(object, object)
    """A hit and what of it is proposed."""

    def __init__(self, session: "Session", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.memory: Memory | None = None
        self._embedder: Embedder | None = None
        self._thread = Background(self, newest_only=True)
        self._thread.failed.connect(self._on_failed)
        session.closing.connect(self._thread.close)

    @property
    def busy(self) -> bool:
        return self._thread.busy

    def load(self, place: str) -> None:
        """Read a library into memory, and open its backbone, so that the first question does not wait for it."""
        self.memory = self._embedder = None

        def work() -> "tuple[Memory, Embedder | None]":
            with importing(*LIBRARIES):
                from lithoscope.retrieval.library import Library
                from lithoscope.retrieval.memory import Memory

                library = Library.open(place)
                embedder = _warm(library)
            return Memory.load(library), embedder

        self._thread.start(work, self._on_loaded)

    def _on_loaded(self, loaded: "tuple[Memory, Embedder | None]") -> None:
        memory, self._embedder = loaded
        self.memory = memory
        scans = len(memory.uuids)
        self.loaded.emit(f"{len(memory):,} patches of {scans} scan{'s' if scans != 1 else ''} · {memory.library.recipe.backbone}")

    def ask(self, question: Question) -> None:
        """Find what is like this. What the library has of the place already answers first, or else the plane in view alone."""
        memory, source = self.memory, self._source()
        if memory is None or source is None:
            return
        self._thread.start(lambda: self._glanced(memory, source, question), lambda answer: self._on_rough(answer, question))

    def _on_rough(self, answer: Answer | None, question: Question) -> None:
        if answer is not None:
            self.answered.emit(answer)
        memory, source = self.memory, self._source()
        if memory is not None and source is not None:
            self._thread.start(lambda: self._looked_at(memory, source, question), self.answered.emit)

    def _glanced(self, memory: "Memory", source: "Source", question: Question) -> Answer | None:
        """A first answer; None where the whole one is as quick."""
        from lithoscope.retrieval.asking import stored_query
        from lithoscope.retrieval.glance import glance
        from lithoscope.retrieval.search import Query, prepared

        ready: Prepared | None = None if question.mask is not None else stored_query(memory, source.uuid, question.box)
        if ready is None:
            recipe = memory.library.recipe
            plane = "zyx"[question.axis] if question.mask is not None or "zyx"[question.axis] in recipe.planes else recipe.planes[0]
            seen = glance(self._opened(memory), source, question.box, "zyx".index(plane), question.mask)
            if seen is None:
                return None
            ready = prepared(memory, Query({recipe.scales[0]: seen}, source.uuid, question.box))
        found = _found(memory, source, question, ready, quick=True)
        return Answer(question, found, ready, True, source.uuid, columns=tuple(memory.library.kinds))

    def _looked_at(self, memory: "Memory", source: "Source", question: Question) -> Answer:
        from lithoscope.retrieval.proposals import first_threshold, proposed
        from lithoscope.retrieval.search import Query, prepared

        embedder, recipe = self._opened(memory), memory.library.recipe
        raw = {s: embedder.query(source, question.box, s, question.mask, question.planes) for s in recipe.scales}
        query = Query(raw, source.uuid, question.box)
        ready = prepared(memory, query)
        axis = "zyx".index((question.planes or ("z",))[0])
        nearest = min(recipe.scales, key=lambda s: abs(s - 1))
        answer = _weighed(memory, source, question, ready, raw[nearest])
        own = proposed(embedder, memory.library.preparation, source, question.box, ready[nearest], axis=axis, scale=nearest)
        part = None if question.mask is None or own is None or question.mask.shape != own.likeness.shape else question.mask
        return Answer(question, answer, ready, own=source.uuid, threshold=first_threshold(own, part), columns=tuple(memory.library.kinds))

    def _opened(self, memory: "Memory") -> "Embedder":
        from lithoscope.retrieval.asking import embedder_for

        if self._embedder is None:
            self._embedder = embedder_for(memory.library, None, "cpu")
        return self._embedder

    def propose(self, hit: "Hit", answer: Answer) -> bool:
        """Find out which voxels of a place match, only in the open scan; whether there is a library and a scan to look in."""
        memory, source = self.memory, self._source()
        if memory is None or source is None:
            return False
        axis = "zyx".index((answer.question.planes or ("z",))[0])

        def work() -> "Proposal | None":
            from lithoscope.retrieval.proposals import proposed

            query = answer.query.get(hit.scale) or next(iter(answer.query.values()))
            embedder = self._opened(memory)
            return proposed(embedder, memory.library.preparation, source, hit.box, query, axis=axis, scale=hit.scale)

        self._thread.start(work, lambda found: self.proposed.emit(hit, found))
        return True

    def _source(self) -> "Source | None":
        from lithoscope.retrieval.sources import ScanSource

        scan = self._session.scan
        return None if scan is None else ScanSource(scan)

    def _on_failed(self, error: BaseException) -> None:
        self.failed.emit(sentence(error))


def _warm(library: "Library") -> "Embedder | None":
    """A library's backbone, opened and asked once; None where it is not here, which a question will tell."""
    from lithoscope.retrieval.asking import embedder_for

    with suppress(LithoscopeError, ImportError):
        found = embedder_for(library, None, "cpu")
        import torch

        with torch.inference_mode():
            found.backbone.network(torch.zeros(1, 1, 4 * found.backbone.patch, 4 * found.backbone.patch))
        return found
    return None


def _found(memory: "Memory", source: "Source", question: Question, ready: Prepared, *, quick: bool = False) -> "Found":
    from lithoscope.retrieval.search import Query, search

    rows = memory.where(question.where) if question.where.strip() else None
    vectors: Any = ready
    query = Query({}, source.uuid, question.box)
    more, less = question.more, question.less
    return search(memory, query, question.k, rows=rows, more=more, less=less, vectors=vectors, quick=quick)


def _weighed(memory: "Memory", source: "Source", question: Question, ready: Prepared, raw: dict[str, npt.NDArray[np.float32]]) -> "Found":
    """What was found; by the gate of a double Siamese network where the library was embedded with one."""
    from lithoscope.similarity.query import CANDIDATES, by_gate, double_of

    double = double_of(memory)
    if double is None:
        return _found(memory, source, question, ready)
    return by_gate(memory, _found(memory, source, replace(question, k=CANDIDATES), ready), raw, question.k, double)


def question_box(scan_shape: Sequence[int], axis: int, index: int, ranges: Sequence[tuple[float, float]], depth: int) -> Box:
    """The box of a rectangle drawn on a plane, `depth` voxels thick about that plane, within the scan."""
    parts = [(int(np.floor(a + 0.5)), int(np.floor(b + 0.5)) + 1) for a, b in ranges]
    first = index - depth // 2
    parts.insert(axis, (first, first + max(1, depth)))
    cut = [(min(max(0, a), n - 1), max(min(n, b), min(max(0, a), n - 1) + 1)) for (a, b), n in zip(parts, scan_shape, strict=True)]
    if any(b <= 0 or a >= n for (a, b), n in zip(parts, scan_shape, strict=True)):
        raise MissingError("the box lies outside the scan; draw it on the image")
    (a, b), (c, d), (e, f) = cut
    return Box((a, c, e), (b, d, f))


def library_place() -> Path:
    """Where the library is kept unless the person says otherwise."""
    import platformdirs

    return Path(platformdirs.user_data_dir("lithoscope", appauthor=False)) / "lab.library"

"""Short work in a thread of this process, for what must not hold up the window: opening, reading a plane, estimating.

Whole-volume work does not belong here but in the worker process (`worker_client`).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from lithoscope.errors import LithoscopeError

Work = Callable[[], Any]


class Background(QObject):
    """One piece of work at a time. With `newest_only` a wish that still waits is dropped for a newer one, as sliders need."""

    done = Signal(object)
    failed = Signal(object)

    _finished = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None, *, newest_only: bool = False) -> None:
        super().__init__(parent)
        self._newest_only = newest_only
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lithoscope")
        self._waiting: list[tuple[Work, Callable[[Any], None] | None]] = []
        self._running = False
        self._closed = False
        self._finished.connect(self._on_finished)

    @property
    def busy(self) -> bool:
        return self._running or bool(self._waiting)

    def start(self, work: Work, then: Callable[[Any], None] | None = None) -> None:
        """Do `work` in the thread, then `then` with its result in the thread of the window."""
        if self._closed:
            return
        if self._newest_only:
            self._waiting.clear()
        self._waiting.append((work, then))
        self._next()

    def close(self) -> None:
        """Take no more work and forget what waits."""
        self._closed = True
        self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        if self._running or not self._waiting:
            return
        work, then = self._waiting.pop(0)
        self._running = True

        def report(future: "Future[Any]") -> None:
            if future.cancelled():  # nobody waits for it any more
                return
            error = future.exception()
            try:
                self._finished.emit(None if error else future.result(), error, then)
            except RuntimeError:  # the Qt object went with its window
                return

        self._pool.submit(work).add_done_callback(report)

    def _on_finished(self, result: Any, error: BaseException | None, then: Callable[[Any], None] | None) -> None:
        self._running = False
        if self._closed:
            return
        try:
            if error is None:
                if then is not None and is_heard(then):
                    then(result)
                self.done.emit(result)
            else:
                self.failed.emit(error)
        finally:
            self._next()


def is_heard(then: Callable[..., Any]) -> bool:
    """Whether whoever is to be told is still there: not of a dock that was closed meanwhile."""
    owner = getattr(getattr(then, "func", then), "__self__", None)
    return not isinstance(owner, QObject) or bool(isalive(owner))


def sentence(error: BaseException) -> str:
    """What to tell the person of an error: our own message as it is, a bug with its kind."""
    if isinstance(error, LithoscopeError):
        return str(error)
    return f"something went wrong inside Lithoscope ({type(error).__name__}: {error}); please report it"

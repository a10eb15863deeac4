"""Work of the window's thread cut into pieces, one a turn of the event loop, so that the window answers in between."""

from collections.abc import Generator

from qtpy.QtCore import QObject, QTimer


class Turns(QObject):
    """Runs one generator at a time: each `yield` gives the window its turn."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Generator[None, None, None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._next)

    def start(self, steps: Generator[None, None, None]) -> None:
        """Do these steps; what was under way is done to its end first."""
        self.finish()
        self._steps = steps
        self._next()

    def finish(self) -> None:
        """Do all that is left now."""
        while self._steps is not None:
            self._next()

    def stop(self) -> None:
        """Leave off where it stands; the generator is closed."""
        self._timer.stop()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _next(self) -> None:
        steps = self._steps
        if steps is None:
            return
        try:
            next(steps)
        except StopIteration:
            self._steps = None
        except BaseException:
            self._steps = None
            raise
        else:
            self._timer.start(0)

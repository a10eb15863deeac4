"""Numbered grains on show: how many and how large, each in a table, their sizes as a plot, and both as files."""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.grain_table import GrainView
from lithoscope._napari.look import Colours, button, column, row, text
from lithoscope._napari.saving import ask_where
from lithoscope._napari.size_plot import KINDS, SizePlot
from lithoscope.measure.grains import GrainTable, load_grains

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope.volume.scan import Scan

ELSEWHERE = "The table of these grains was written elsewhere; separate them again to have it here."


class GrainsPanel(QWidget):
    """Hidden but for a result of numbered grains."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._name = ""
        self._seen: tuple[Path, int] | None = None
        """Where the table on show lies, and when it was written: another scan, or a result made anew, may have one of the same name."""
        self.table: GrainTable | None = None
        self._words = text()
        self._words.setAccessibleName("Summary of the grains")
        self.view = GrainView()
        self.kind = QComboBox()
        self.kind.setAccessibleName("What the plot counts")
        for key, words in KINDS.items():
            self.kind.addItem(words, key)
        self.plot = SizePlot()
        self.save = button("Save as CSV…", tip="Save the table, and the distribution of sizes beside it")
        self._parts = QWidget()
        self._parts.setLayout(column(self.view, row(text("Plot", wrap=False), self.kind, 1, self.save, spacing=4), self.plot, spacing=4))
        self.setLayout(column(self._words, self._parts, spacing=4))
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_failed)
        self._saving = Background(self)
        self._saving.failed.connect(self._on_failed)
        self.kind.currentIndexChanged.connect(self._plot)
        self.view.wanted.connect(self._on_wanted)
        self.save.clicked.connect(self._on_save)
        session.results_changed.connect(self.on_result)
        session.scan_changed.connect(self.on_result)
        session.closing.connect(self._work.close)
        session.closing.connect(self._saving.close)
        self.hide()

    def set_colours(self, colours: Colours) -> None:
        """Take up the theme's colours."""
        self.plot.set_colours(colours.background, colours.text, colours.accent)

    def on_result(self) -> None:
        """Another result is on show."""
        session = self._session
        scan, name = session.scan, session.shown
        numbered = scan is not None and bool(name) and not len(session.on_show.classes)
        if not numbered or scan is None:
            self._name, self._seen, self.table = "", None, None
            self.hide()
            return
        from lithoscope.labels.companions import table_place

        place = table_place(scan, name)
        self.show()
        seen = (place, place.stat().st_mtime_ns) if place.exists() else None
        if seen is not None and seen == self._seen and self.table is not None:
            return
        self._name, self._seen, self.table = name, seen, None
        self._parts.hide()
        self._words.setText(ELSEWHERE if seen is None else "reading the table …")
        if seen is not None:
            self._work.start(lambda: (seen, load_grains(place)), self._show)

    def _show(self, found: tuple[tuple[Path, int], GrainTable]) -> None:
        seen, table = found
        if seen != self._seen:
            return
        self.table = table
        about = table.summary()
        u = about["unit"]
        self._words.setText(
            f"{about['grains']:,} grains, {about['cut']:,} of them cut by the faces. Diameter by volume: d10 {about['d10']:.4g}, "
            f"d50 {about['d50']:.4g}, d90 {about['d90']:.4g} {u}. Sphericity {about['mean_sphericity']:.2f}, "
            f"{about['mean_contacts']:.1f} contacts a grain."
        )
        self.view.grains.show_table(table)
        self._plot()
        self._parts.show()

    def _plot(self, *_: object) -> None:
        self.plot.show_table(self.table, str(self.kind.currentData()))

    def _on_wanted(self, grain: int) -> None:
        if self.table is not None:
            z, y, x = (round(float(c)) for c in self.table.centre[grain])
            self._session.go_to((z, y, x))

    def _on_save(self) -> None:
        scan = self._session.scan
        if scan is not None and self.table is not None:
            asked = partial(self.save_to, scan=scan, name=self._name)
            ask_where(self, "Save the grains", scan.path.with_name(f"{scan.name} {self._name}.csv"), "Table (*.csv)", asked)

    def save_to(self, target: Path, *, scan: "Scan", name: str) -> None:
        """Write the table of a scan's grains to `target`, and the sizes beside it, whatever is on show by then."""
        from lithoscope.labels.companions import table_place
        from lithoscope.volume.store import storage_errors

        source = table_place(scan, name)

        def copy() -> Path:
            with storage_errors(target):
                shutil.copyfile(source, target)
                shutil.copyfile(source.with_name(f"{name}-sizes.csv"), target.with_name(f"{target.stem}-sizes.csv"))
            return target

        self._saving.start(copy, lambda written: self._session.said.emit(f"{written.name} and {written.stem}-sizes.csv written", False))

    def _on_failed(self, error: BaseException) -> None:
        self._session.said.emit(sentence(error), True)

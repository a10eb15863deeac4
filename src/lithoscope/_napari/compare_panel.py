"""All methods on this scan by one protocol: which, against what, and what came of it."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from lithoscope._napari import actions
from lithoscope._napari.look import button, bytes_text, column, row, seconds_text, text
from lithoscope._napari.saving import ask_where
from lithoscope._napari.worker_client import Job

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

ABOUT = "Every method learns from the same strokes and is scored on the same voxels that none has seen: held-out strokes, or a truth."
NAME = "comparison"
ROW = 24
HEAD = ("method", "mean IoU", "time", "memory")


class ComparePanel(QWidget):
    """Runs `compare` in the worker; shows the plane by each method; promotes one."""

    promoted = Signal(str)
    """A method's result became one of the scan's own."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._found: dict[str, Any] = {}
        self._methods = QListWidget()
        self._methods.setAccessibleName("Methods to compare")
        self._methods.setToolTip("Tick what is to be compared")
        self.truth = QComboBox()
        self.truth.setAccessibleName("What scores")
        self.truth.setToolTip("Strokes that are held back, or a result that is the truth")
        self.truth.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.seeds = QSpinBox()
        self.seeds.setRange(1, 10)
        self.seeds.setAccessibleName("Seeds")
        self.seeds.setToolTip("How often each method that draws at random is run")
        self.compare = button("Compare", "Compare the ticked methods")
        self.go_on = button("Go on", "Go on with the comparison that was cancelled")
        self.table = QTableWidget(0, len(HEAD))
        self.table.setAccessibleName("Methods, best first")
        self.table.setToolTip("Choose a method to see its result on the plane in view")
        self.table.setHorizontalHeaderLabels(list(HEAD))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        self.table.setShowGrid(False)
        across, down = self.table.horizontalHeader(), self.table.verticalHeader()
        assert across is not None
        assert down is not None
        down.hide()
        across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.promote = button("Promote", tip="Keep the chosen method's result under a name of its own, and show it")
        self.page = button(
            "Page…", "Write a page about the comparison", "One self-contained page with the table, the plane by every method, and records"
        )
        self._left = text(muted=True)
        self._after = QWidget()
        self._after.setLayout(column(self.table, row(self.promote, 1, self.page, spacing=4), self._left, spacing=4))
        self.setLayout(
            column(
                text(ABOUT, muted=True),
                self._methods,
                row(text("Scored by", wrap=False), self.truth),
                row(text("Seeds", wrap=False), self.seeds, 1, self.go_on, self.compare, spacing=4),
                self._after,
                spacing=4,
            )
        )
        self._after.hide()
        self.compare.clicked.connect(lambda: self._run(resume=False))
        self.go_on.clicked.connect(lambda: self._run(resume=True))
        self.table.itemSelectionChanged.connect(self._on_row)
        self.promote.clicked.connect(self._on_promote)
        self.page.clicked.connect(self._on_page)
        session.scan_changed.connect(self.on_scan)
        session.results_changed.connect(self._list_truths)
        self.on_scan()

    def on_scan(self) -> None:
        """Another scan: its comparison, if it has one."""
        from lithoscope.compare.comparison import METHODS

        if not self._methods.count():
            for name in METHODS:
                item = QListWidgetItem(name)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
                item.setCheckState(Qt.CheckState.Unchecked if name.startswith(("unet", "dino")) else Qt.CheckState.Checked)
                self._methods.addItem(item)
            self._methods.setFixedHeight(len(METHODS) * max(16, self._methods.sizeHintForRow(0)) + 2 * self._methods.frameWidth() + 2)
        self._found = {}
        self._list_truths()
        self._take_up()

    def chosen(self) -> list[str]:
        """The methods that are ticked."""
        items = [self._methods.item(i) for i in range(self._methods.count())]
        return [item.text() for item in items if item is not None and item.checkState() == Qt.CheckState.Checked]

    def _list_truths(self) -> None:
        kept = self.truth.currentData()
        self.truth.clear()
        self.truth.addItem("held-out strokes", None)
        for name in self._session.results():
            self.truth.addItem(name, name)
        self.truth.setCurrentIndex(max(0, self.truth.findData(kept)))

    def _run(self, *, resume: bool) -> None:
        scan = self._session.scan
        if scan is None:
            return
        if not self.chosen():
            self._session.said.emit("tick at least one method to compare", True)
            return
        arguments = {
            "scan": str(scan.path), "methods": self.chosen(), "truth": self.truth.currentData(), "seeds": self.seeds.value(),
            "name": NAME, "resume": resume, "overwrite": not resume, "image": self._session.images.chosen,
        }  # fmt: skip
        self._session.run("compare", arguments, f"compare methods on {scan.name}", self._on_compared)

    def _on_compared(self, job: Job) -> None:
        self._take_up()
        self._session.results_changed.emit()

    def _take_up(self) -> None:
        """Show the comparison that is kept, as far as it got."""
        scan = self._session.scan
        if scan is not None:
            from lithoscope.compare.comparison import comparisons, open_comparison

            with self._session.telling():
                self._found = open_comparison(scan, NAME) if NAME in comparisons(scan) else {}
        lines = self._found.get("methods", [])
        scored = [m for m in lines if m["mean_iou"] is not None]
        self.table.setRowCount(len(scored))
        for row_, m in enumerate(scored):
            spread = "" if m.get("mean_iou_sd") is None else f" ± {m['mean_iou_sd']:.3f}"
            for place, words in enumerate((m["name"], f"{m['mean_iou']:.3f}{spread}", _short(m["seconds"]), bytes_text(m["peak_bytes"]))):
                item = QTableWidgetItem(words)
                item.setToolTip(words)
                self.table.setItem(row_, place, item)
            self.table.setRowHeight(row_, ROW)
        header = self.table.horizontalHeader()
        assert header is not None
        self.table.setFixedHeight(len(scored) * ROW + header.sizeHint().height() + 2 * self.table.frameWidth() + 2)
        left = [f"{m['name']}: {m.get('missing') or m.get('error', 'failed')}" for m in lines if m["mean_iou"] is None]
        left += (self._found.get("truth") or {}).get("notes", [])
        self._left.setText("\n".join(left))
        self._left.setVisible(bool(left))
        self._after.setVisible(bool(lines))
        self.go_on.setVisible(bool(lines) and len(lines) < len(self.chosen()))
        self.promote.setEnabled(False)

    def _of_row(self) -> dict[str, Any] | None:
        scored = [m for m in self._found.get("methods", []) if m["mean_iou"] is not None]
        row_ = self.table.currentRow()
        return scored[row_] if 0 <= row_ < len(scored) and self.table.selectedItems() else None

    def _on_row(self) -> None:
        method = self._of_row()
        there = method is not None and method["result"] in self._session.results()
        self.promote.setEnabled(there)
        if method is not None and there:
            self._session.show_result(method["result"])

    def _on_promote(self) -> None:
        method = self._of_row()
        if method is None:
            return
        name = actions.free_result_name(self._session, method["name"].partition(":")[0])
        actions.rename_result(self._session, method["result"], name)
        self._session.show_result(name)
        self._session.said.emit(f"{method['name']} is kept as {name}", False)
        self.promoted.emit(name)

    def _on_page(self) -> None:
        scan = self._session.scan
        if scan is not None:
            proposal = scan.path.with_name(f"{scan.name} comparison.html")
            ask_where(self, "Page", proposal, "Web page (*.html)", partial(self._write_page, scan.path))

    def _write_page(self, scan: Path, out: Path) -> None:
        """Of the scan that it was asked for: another may have been opened while the dialog was."""
        arguments = {"scan": str(scan), "results": [], "out": str(out), "comparison": NAME, "overwrite": True}
        self._session.run("report", arguments, f"page {out.name}")


def _short(seconds: float) -> str:
    """A duration that leaves the table's room to the name of the method."""
    return "< 1 s" if seconds < 1 else seconds_text(seconds)

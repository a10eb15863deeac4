"""The tools of correcting as buttons: what they fill, where the brush may paint, and what is under the cursor."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QMenu, QPushButton, QToolButton, QWidget

from lithoscope._napari.look import button, column, row, text
from lithoscope._napari.under_cursor import UnderCursor
from lithoscope.labels.fence import Fence

if TYPE_CHECKING:
    from lithoscope._napari.session import Session

VOXELS = "voxels"


class CorrectingPanel(QWidget):
    """Folded away until it is wanted."""

    def __init__(self, session: "Session", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        tools = session.tools
        self._fold = QToolButton()
        self._fold.setText("Painting tools")
        self._fold.setAccessibleName("Show or hide the painting tools")
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.setCheckable(True)
        self._fold.setAutoRaise(True)
        self.holes = button("Fill holes", tip="Fill what the chosen class surrounds on this plane (H)")
        self.interpolate = button("Interpolate", tip="Fill the planes between the two nearest on which the chosen class was drawn (I)")
        self.back = button("◂ Copy", "Copy to the slice before", "Copy the chosen class to the slice before, and go there (Shift+N)")
        self.on = button("Copy ▸", "Copy to the next slice", "Copy the chosen class to the next slice, and go there (N)")
        self.lasso = button("Lasso", tip="Draw an outline on this plane; double-click fills it (L)")
        self.grow = button("Grow", tip="Click: paint what hangs together with that place and is as grey (G)")
        self.ball = button("3D brush", tip="Paint balls through the slices, in units of the scan (D)")
        self.grow.setCheckable(True)
        self.ball.setCheckable(True)
        self.tolerance = _number("Tolerance of growing, in grey values", 10.0, prefix="± ")
        self.in_3d = QCheckBox("3D")
        self.in_3d.setToolTip("Grow through the slices, at most 96 voxels from the click; else on this plane")
        self.in_3d.setAccessibleName("Grow in 3D")
        self.radius = _number("Radius of the 3D brush", 5.0)
        self.unit = QComboBox()
        self.unit.setAccessibleName("Unit of the radius")
        self.between = QCheckBox("Only grey")
        self.between.setToolTip("The brush and every tool paint only where the grey value lies between these two")
        self.low, self.high = _number("Lowest grey value to paint", 0.0), _number("Highest grey value to paint", 0.0)
        self.over = QCheckBox("Only over")
        self.over.setToolTip("The brush and every tool paint only over these classes")
        self.classes = QPushButton()
        self.classes.setAccessibleName("Classes to paint over")
        self.classes.setToolTip("Choose the classes that may be painted over")
        self._menu = QMenu(self.classes)
        self.classes.setMenu(self._menu)
        self._over: set[int] = set()
        self.cursor_line = text("Under the cursor: –", muted=True)
        self.cursor_line.setAccessibleName("Under the cursor")
        self._body = QWidget()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addLayout(row(self.holes, self.interpolate, self.back, self.on, spacing=4), 0, 0, 1, 4)
        grid.addWidget(self.lasso, 1, 0)
        grid.addWidget(self.grow, 1, 1)
        grid.addLayout(row(self.tolerance, self.in_3d, 1, spacing=4), 1, 2, 1, 2)
        grid.addWidget(self.ball, 2, 1)
        grid.addLayout(row(self.radius, self.unit, 1, spacing=4), 2, 2, 1, 2)
        grid.addWidget(self.between, 3, 0)
        grid.addLayout(row(self.low, text("to", wrap=False), self.high, 1, spacing=4), 3, 1, 1, 3)
        grid.addWidget(self.over, 4, 0)
        grid.addWidget(self.classes, 4, 1, 1, 3)
        self._body.setLayout(column(grid, self.cursor_line, spacing=4))
        self._body.hide()
        self.setLayout(column(self._fold, self._body, spacing=4))
        self._under = UnderCursor(session, self.cursor_line.setText)
        self._fencing = QTimer(self)
        self._fencing.setSingleShot(True)
        self._fencing.setInterval(0)
        self._fencing.timeout.connect(self._set_fence)
        self._fold.toggled.connect(self._on_fold)
        for pressed, act in (
            (self.holes, tools.fill_holes),
            (self.interpolate, tools.interpolate),
            (self.back, tools.copy_back),
            (self.on, tools.copy_on),
            (self.lasso, tools.lasso),
            (self.grow, tools.grow),
            (self.ball, tools.ball),
        ):
            pressed.clicked.connect(lambda _=False, act=act: act())
        tools.click_changed.connect(self._on_click_changed)
        self.tolerance.valueChanged.connect(lambda value: setattr(tools, "tolerance", value))
        self.in_3d.toggled.connect(lambda on: setattr(tools, "grow_in_3d", on))
        self.radius.valueChanged.connect(lambda value: setattr(tools, "radius", value))
        self.unit.currentTextChanged.connect(lambda unit: setattr(tools, "unit", None if unit == VOXELS else unit))
        for box in (self.between, self.over):
            box.toggled.connect(self._fencing.start)
        for end in (self.low, self.high):
            end.valueChanged.connect(self._fencing.start)
        session.scan_changed.connect(self.on_scan)
        session.facts_changed.connect(self._show_units)
        session.classes_changed.connect(self._show_classes)
        session.images.changed.connect(self._fencing.start)
        self.on_scan()

    def put_away(self) -> None:
        """Paint anywhere again, and follow the cursor no more."""
        self._session.tools.set_fence(None)
        self._under.watch(False)
        self._under.deleteLater()

    def on_scan(self) -> None:
        """Another scan: its grey values, units and classes; no fence."""
        scan = self._session.scan
        for box in (self.between, self.over):
            box.setChecked(False)
        self._over = set()
        if scan is not None:
            low, high = (float(v) for v in scan.window)
            whole = scan.dtype.kind in "iu"
            for end, value in ((self.low, low), (self.high, high), (self.tolerance, (high - low) / 20)):
                blocker = QSignalBlocker(end)
                end.setDecimals(0 if whole else 4)
                end.setSingleStep(1 if whole else (high - low) / 100 or 1)
                blocker.unblock()
                end.setValue(round(value) if whole else value)
        self._show_units()
        self._show_classes()
        self._fencing.start()

    def _show_units(self) -> None:
        scan = self._session.scan
        blocker = QSignalBlocker(self.unit)
        self.unit.clear()
        self.unit.addItem(VOXELS)
        if scan is not None and scan.voxel is not None:
            self.unit.addItem(scan.voxel.symbol)
        blocker.unblock()
        self._session.tools.unit = None

    def _show_classes(self) -> None:
        table = self._session.palette
        self._over &= {0, *table.ids}
        self._menu.clear()
        for id, name in ((0, "nothing" if not self._session.correcting else "outside"), *((c.id, c.name) for c in table)):
            action = self._menu.addAction(name)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(id in self._over)
            action.toggled.connect(lambda on, id=id: self._choose_over(id, on))
        self._name_over()

    def _choose_over(self, id: int, on: bool) -> None:
        (self._over.add if on else self._over.discard)(id)
        self._name_over()
        self.over.setChecked(bool(self._over))
        self._fencing.start()

    def _name_over(self) -> None:
        table = self._session.palette
        names = ["nothing" if not self._session.correcting else "outside"] if 0 in self._over else []
        names += [c.name for c in table if c.id in self._over]
        self.classes.setText(", ".join(names) or "choose classes")

    def _set_fence(self) -> None:
        scan = self._session.scan
        between = (self.low.value(), self.high.value()) if self.between.isChecked() else None
        over = frozenset(self._over) if self.over.isChecked() and self._over else None
        if scan is None or (between is None and over is None):
            self._session.tools.set_fence(None)
        else:
            self._session.tools.set_fence(Fence(scan.array(self._session.images.chosen), between, over))

    def _on_fold(self, opened: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self._body.setVisible(opened)
        self._under.watch(opened)

    def _on_click_changed(self, what: str) -> None:
        self.grow.setChecked(what == "grow")
        self.ball.setChecked(what == "ball")


def _number(name: str, value: float, *, prefix: str = "") -> QDoubleSpinBox:
    made = QDoubleSpinBox()
    made.setRange(-1e9, 1e9)
    made.setDecimals(1)
    made.setPrefix(prefix)
    made.setValue(value)
    made.setAccessibleName(name)
    made.setToolTip(name)
    made.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    made.setFixedWidth(62)
    made.setKeyboardTracking(False)
    return made

"""How the docks look: colours from napari's theme, and the few kinds of widget that they are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap, QStandardItemModel
from qtpy.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

NARROWEST = 360
"""The docks are usable at this width in pixels."""


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours of the window's theme, as #rrggbb."""

    background: str
    panel: str
    text: str
    accent: str
    warning: str

    @classmethod
    def of(cls, viewer: Any) -> "Colours":
        theme = get_theme(viewer.theme)
        named = {name: QColor(getattr(theme, name).as_hex()).name() for name in ("background", "foreground", "text", "current")}
        warning = "#ff8a80" if theme.type == "dark" else "#b3261e"
        return cls(named["background"], named["foreground"], named["text"], named["current"], warning)


def column(*parts: "QWidget | QHBoxLayout | QVBoxLayout", spacing: int = 6, margin: int = 0) -> QVBoxLayout:
    """Widgets and layouts below each other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)
    _fill(layout, parts)
    return layout


def row(*parts: "QWidget | QHBoxLayout | QVBoxLayout | int", spacing: int = 6) -> QHBoxLayout:
    """Widgets beside each other; a number is a stretch."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    _fill(layout, parts)
    return layout


def _fill(layout: "QHBoxLayout | QVBoxLayout", parts: Sequence[Any]) -> None:
    for part in parts:
        if isinstance(part, int):
            layout.addStretch(part)
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)


def text(words: str = "", *, muted: bool = False, bold: bool = False, wrap: bool = True) -> QLabel:
    """A label that wraps instead of widening the dock."""
    label = QLabel(words)
    label.setWordWrap(wrap)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if wrap:
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setProperty("muted", muted)
    label.setProperty("strong", bold)
    return label


def button(words: str, name: str = "", tip: str = "") -> QPushButton:
    """A plain button; `name` is what a screen reader says when the words alone do not tell."""
    made = QPushButton(words)
    made.setAccessibleName(name or words)
    made.setToolTip(tip or name)
    made.setAutoDefault(False)
    return made


def small_button(words: str, name: str) -> QPushButton:
    """A button of one sign."""
    made = button(words, name)
    made.setFixedWidth(26)
    return made


def main_button(words: str) -> QPushButton:
    """The one main button of a dock."""
    made = button(words)
    made.setObjectName("main")
    made.setMinimumHeight(30)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def disable(combo: QComboBox, place: int, why: str) -> None:
    """List an entry that cannot be chosen, and say why."""
    model = combo.model()
    item = model.item(place) if isinstance(model, QStandardItemModel) else None
    if item is not None:
        item.setEnabled(False)
        item.setToolTip(why)
        item.setText(f"{item.text()} – {why.partition(': ')[2] or why}")


def rule() -> QFrame:
    """A thin line between two parts."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    line.setObjectName("rule")
    return line


def style_sheet(colours: Colours) -> str:
    """What our widgets add to napari's own style."""
    text_colour, soft = QColor(colours.text), QColor(colours.background)
    muted = _between(text_colour, soft, 0.35).name()
    faint = _between(text_colour, soft, 0.8).name()
    accent = QColor(colours.accent)
    chosen = _between(accent, soft, 0.55).name()
    on_accent = "#ffffff" if accent.lightness() < 150 else "#1e1e21"
    return f"""
    QLabel[muted="true"] {{ color: {muted}; }}
    QLabel[strong="true"] {{ font-weight: 600; }}
    QLabel[bad="true"] {{ color: {colours.warning}; }}
    QPushButton#main {{ background-color: {colours.accent}; color: {on_accent}; font-weight: 600; padding: 5px 10px; }}
    QPushButton#main:hover {{ background-color: {accent.lighter(112).name()}; }}
    QPushButton#main:disabled {{ background-color: {colours.panel}; color: {muted}; }}
    QFrame#rule {{ background-color: {faint}; border: none; }}
    QFrame#hints {{ background-color: {colours.panel}; border-radius: 4px; }}
    QListWidget#places QWidget {{ background: transparent; }}
    QListWidget#places::item:selected {{ background-color: {chosen}; border-left: 3px solid {colours.accent}; }}
    QTableWidget {{ gridline-color: transparent; }}
    QTableWidget QHeaderView, QTableWidget QHeaderView::section {{
        background: transparent; border: none; color: {muted}; padding: 0px 3px;
    }}
    QProgressBar {{ background-color: {colours.panel}; border: none; border-radius: 3px; }}
    QProgressBar::chunk {{ background: {colours.accent}; border: none; border-radius: 3px; }}
    """


def swatch(colour: str, size: int = 14) -> QIcon:
    """A square of one colour."""
    picture = QPixmap(size, size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(QColor(0, 0, 0, 120))
    painter.drawRoundedRect(1, 1, size - 2, size - 2, 2, 2)
    painter.end()
    icon = QIcon(picture)
    icon.addPixmap(picture, QIcon.Mode.Selected)
    return icon


def _between(a: QColor, b: QColor, part: float) -> QColor:
    return QColor(*(round(x + (y - x) * part) for x, y in zip(a.getRgb()[:3], b.getRgb()[:3], strict=True)))


def mark_bad(label: QLabel, bad: bool) -> None:
    """Colour a label as an error, or not."""
    if bool(label.property("bad")) == bad:
        return  # a new style lays the whole dock out again
    label.setProperty("bad", bad)
    style = label.style()
    if style is not None:
        style.unpolish(label)
        style.polish(label)


def bytes_text(count: float) -> str:
    """A number of bytes in words: "3.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds_text(seconds: float) -> str:
    """A duration in words: "41 s", "3 min", "2.5 h"."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

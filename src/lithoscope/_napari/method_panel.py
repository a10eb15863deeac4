"""Choosing a method and its settings, with the histogram, the live preview and the button that runs it on the volume."""

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QWidget

import lithoscope.segmenters  # noqa: F401 - fills the registry
from lithoscope._napari import actions
from lithoscope._napari.background import Background, sentence
from lithoscope._napari.estimating import Estimator
from lithoscope._napari.forms import ParameterForm
from lithoscope._napari.look import Colours, column, disable, mark_bad, row, text
from lithoscope._napari.model_form import ModelForm
from lithoscope._napari.preview import Answer, Previewer
from lithoscope._napari.run_row import RunRow
from lithoscope._napari.session import Session
from lithoscope._napari.taught_panel import TaughtPanel
from lithoscope._napari.threshold_lines import ThresholdLines
from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, LithoscopeError
from lithoscope.parameters import configured, parameters
from lithoscope.segmenters.base import REGISTRY, lacking

BY_HAND = "threshold"
"""The method whose settings are the lines on the histogram."""


class MethodPanel(QWidget):
    """Method, settings, histogram, preview, Run."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._previewer: Previewer | None = None
        self._remembered: dict[str, dict[str, Any]] = {}
        self._name = ""
        self.method = QComboBox()
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.method.setMinimumContentsLength(14)
        self.method.setAccessibleName("Method")
        for name, kind in REGISTRY.items():
            self.method.addItem(kind.title, name)
            if words := lacking(kind):
                disable(self.method, self.method.count() - 1, words)
        self._summary = text(muted=True)
        self.form = ParameterForm()
        self.lines = ThresholdLines()
        self.plot = self.lines.plot
        self.live = QCheckBox("Live preview on the plane in view")
        self.live.setChecked(True)
        self.taught = TaughtPanel(session)
        self.models = ModelForm(session)
        self.runs = RunRow(session)
        self.output, self.run_button, self.try_button = self.runs.output, self.runs.run_button, self.runs.try_button
        self.resume_button, self._beneath = self.runs.resume_button, self.runs.beneath
        self.setLayout(
            column(
                row(text("Method", bold=True, wrap=False), self.method, spacing=8),
                self._summary,
                self.form,
                self.lines,
                self.live,
                self.taught,
                self.runs,
                self.models,
            )
        )
        self._work = Background(self, newest_only=True)
        self._work.failed.connect(self._on_preview_failed)
        self._estimates = Estimator(session, self)
        self._estimates.told.connect(self._on_estimate)
        self._estimates.failed.connect(self._on_estimate_failed)
        self.method.currentIndexChanged.connect(self._on_method)
        self.method.activated.connect(self._put_result_aside)
        self.form.changed.connect(self._on_settings)
        self.plot.moved.connect(self._on_lines)
        self.lines.set_by_button.connect(self._set_lines)
        self.live.toggled.connect(self.update_preview)
        self.runs.named.connect(self._check)
        self.runs.asked.connect(self.run)
        self.runs.asked_box.connect(self.try_on_a_box)
        self.runs.finished.connect(self._on_run_finished)
        self.taught.failed.connect(self._on_preview_failed)
        self.taught.learnt.connect(self._check)
        self.models.save.connect(self._on_save_model)
        session.painting.painted.connect(self._on_painted)
        session.images.changed.connect(self._on_image)
        session.plane_changed.connect(self._preview)
        session.results_changed.connect(self._on_results)
        session.classes_changed.connect(self.update_preview)
        self.method.setCurrentIndex(max(self.method.findData("otsu"), 0))
        self._on_method()

    def set_colours(self, colours: Colours) -> None:
        """Follow the window's theme."""
        self.plot.set_colours(colours.background, colours.text)

    def on_scan(self) -> None:
        """Another scan is open, or none."""
        self.runs.on_scan()
        self.taught.on_scan()
        self.models.close_forms()
        self._on_image()
        self._remembered.pop(BY_HAND, None)
        self._propose_name()
        self._on_method()

    def _on_image(self) -> None:
        """Another image of the scan is chosen: other grey values."""
        scan, images = self._session.scan, self._session.images
        self._previewer = None if scan is None else Previewer(scan, images.chosen)
        self.plot.show_histogram(None if scan is None else images.histogram)
        self._estimates.forget()
        self.update_preview()

    @property
    def name(self) -> str:
        """The chosen method's name."""
        return str(self.method.currentData())

    def values(self) -> dict[str, Any]:
        """The settings, checked."""
        return self.form.values()

    def choose(self, name: str, values: dict[str, Any] | None = None) -> None:
        """Choose a method and, if given, its settings."""
        if values is not None:
            self._remembered[name] = dict(values)
        place = self.method.findData(name)
        if place >= 0 and place != self.method.currentIndex():
            self.method.setCurrentIndex(place)
        elif values is not None:
            self._name = ""
            self._on_method()

    # --- choosing -----------------------------------------------------------------------------------------------------

    def _on_method(self, *_: Any) -> None:
        if self._name and self.form.error() == "":
            self._remembered[self._name] = self.form.values()
        name = self._name = self.name
        kind = REGISTRY[name]
        self._summary.setText(kind.summary)
        self.form.show_parameters(parameters(kind), self._remembered.get(name))
        by_hand = name == BY_HAND
        if by_hand and self._session.scan is not None and not self.values().get("bounds"):
            self.form.set_values({"bounds": self._first_bounds()})
        self.lines.by_hand(by_hand)
        self.lines.setVisible(not kind.needs_labels)
        self.taught.setVisible(kind.live)
        self.models.setVisible(kind.needs_labels)
        self.live.setVisible(kind.live or not kind.needs_labels)
        self.models.close_forms()
        if not kind.live:
            self.taught.leave()
        self._propose_name()
        self.update_preview()

    def _first_bounds(self) -> tuple[float, ...]:
        """Lines to begin with: those on show, or Otsu's for two classes."""
        if self.plot.thresholds:
            return self.plot.thresholds
        assert self._previewer is not None
        try:
            learnt = self._previewer.fitted("otsu", {"classes": 2}).learnt()
        except LithoscopeError:
            return ()
        return tuple(learnt["thresholds"])

    def _on_settings(self) -> None:
        self._put_result_aside()
        self.update_preview()

    def _put_result_aside(self, *_: Any) -> None:
        """The person tries something else: show the preview instead of the result, unless it is being corrected."""
        if self.live.isChecked() and self._session.shown and not self._session.correcting:
            self._session.show_result("")

    def _on_lines(self, thresholds: tuple[float, ...]) -> None:
        """A line was moved: a method that takes bounds has its own, and the lines of another become thresholds set by hand."""
        self._put_result_aside()
        if not self._takes_bounds():
            self._remembered[BY_HAND] = {"bounds": thresholds}
            self.method.setCurrentIndex(self.method.findData(BY_HAND))
        else:
            self.form.set_values({"bounds": thresholds})
            self.update_preview()

    def _takes_bounds(self) -> bool:
        return "bounds" in (p.name for p in parameters(REGISTRY[self.name]))

    def _set_lines(self, thresholds: tuple[float, ...]) -> None:
        self._put_result_aside()
        self.form.set_values({"bounds": thresholds})
        self.update_preview()

    def _propose_name(self) -> None:
        self.runs.propose(self.name)

    def _on_results(self) -> None:
        self._propose_name()
        self._check()
        self.update_preview()

    # --- preview ------------------------------------------------------------------------------------------------------

    def update_preview(self, *_: Any) -> None:
        """Say what is missing, and ask for what the method says of the plane in view."""
        self._check()
        self._preview()

    def _preview(self, *_: Any) -> None:
        """Ask for what the method says of the plane in view. What is missing does not depend on the plane."""
        previewer, plane = self._previewer, self._session.plane()
        if previewer is None:
            return
        try:
            values = self.form.values()
            configured(REGISTRY[self.name], values)
        except InputError as error:
            self.runs.say(str(error))
            return
        name, kind = self.name, REGISTRY[self.name]
        shows = self.live.isChecked() and plane is not None and self._free()
        if self._session.previewing:
            pass  # who previews has the layer
        elif not shows or (kind.needs_labels and (not kind.live or self.taught.missing())):
            self._session.hide_preview()
        if kind.needs_labels:
            if kind.live and not lacking(kind):
                self.taught.show_method(name, values, shows=shows)
            return
        if plane is None or not shows:
            self._work.start(lambda: previewer.fitted(name, values), partial(self._on_fitted, name, previewer))
        else:
            self._work.start(lambda: previewer.answer(name, values, plane), partial(self._on_answer, name, previewer))

    def _free(self) -> bool:
        """Whether neither a result nor somebody's preview has the place of ours."""
        return not self._session.shown and not self._session.previewing

    def _on_painted(self) -> None:
        if REGISTRY[self.name].live:
            self._put_result_aside()

    def _on_fitted(self, name: str, asked: Previewer, method: Any) -> None:
        if name == self.name and asked is self._previewer:  # else another scan or image was chosen meanwhile
            self._show_lines(method.learnt(), method.classes_)

    def _on_answer(self, name: str, asked: Previewer, answer: Answer) -> None:
        if name != self.name or asked is not self._previewer:
            return
        self._show_lines(answer.learnt, answer.classes)
        if self.live.isChecked() and self._session.plane() == answer.pixels.plane and self._free():
            pixels = answer.pixels
            self._session.show_preview(answer.labels, answer.classes, pixels.origin, factor=pixels.factor)

    def _show_lines(self, learnt: dict[str, Any], classes: ClassTable) -> None:
        keep = self._takes_bounds() and self.plot.dragging
        self.lines.show_lines(learnt.get("thresholds", []), classes, keep=keep)

    def _on_preview_failed(self, error: BaseException) -> None:
        self._session.hide_preview()
        self.runs.say(sentence(error), bad=True)

    # --- running ------------------------------------------------------------------------------------------------------

    def _check(self, *_: Any) -> None:
        """Say what is missing, or nothing; the estimate comes later."""
        kind = REGISTRY[self.name]
        problem = self.form.error() or lacking(kind) or (self.taught.missing() if kind.needs_labels else "")
        self.models.can_save(not problem)
        problem = problem or self.runs.problem()
        self.runs.allow(not problem)
        fitted = self.taught.live.fitted if kind.live else None
        if kind.needs_labels and not problem and (known := self._estimates.known(self.name, self.form.values())):
            self._on_estimate(known)  # at once, not a moment later: a line that changes twice moves everything beneath it twice
        elif kind.needs_labels:
            self.runs.say(problem or self.taught.taught_by())
        else:
            mark_bad(self._beneath, False)
            if problem:
                self.runs.say(problem)
        if problem or (kind.needs_labels and fitted is None):
            self._estimates.cancel()
        else:
            self._estimates.ask(self.name, self.form.values(), fitted)

    def _on_estimate(self, words: str) -> None:
        """What a run takes; beside it, what a taught method learns from."""
        self.runs.say(f"{self.taught.taught_by()} · {words}" if REGISTRY[self.name].needs_labels else words)

    def _on_estimate_failed(self, error: BaseException) -> None:
        self.runs.say(sentence(error), bad=True)

    def run(self) -> None:
        """Run the method on the whole volume, in the worker."""
        self.runs.start(self.name, self.form.values())

    def try_on_a_box(self) -> None:
        """Run the method on a box in the middle of the view, in the worker."""
        self.runs.start(self.name, self.form.values(), box=True)

    def _on_save_model(self, folder: Path, others: list[Path]) -> None:
        actions.save_model(self._session, self.name, self.form.values(), folder, others)

    def _on_run_finished(self) -> None:
        self._estimates.forget()
        self._check()

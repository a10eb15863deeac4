"""The Teach page of the Similar dock: a network is taught what is alike, and the library embedded with it; proposals are reviewed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QLineEdit, QWidget

from lithoscope._napari.forms import ParameterForm
from lithoscope._napari.look import Colours, button, column, main_button, mark_bad, row, rule, text
from lithoscope._napari.review_grid import ReviewGrid
from lithoscope._napari.taught_panel import two_digits
from lithoscope._napari.teach_curve import TeachCurve
from lithoscope._napari.teach_sources import FOLDER, TeachSources
from lithoscope.errors import LithoscopeError
from lithoscope.features.backbones import homes
from lithoscope.parameters import parameters
from lithoscope.similarity.settings import Lessons
from lithoscope.training import stopping

if TYPE_CHECKING:
    from lithoscope._napari.session import Session
    from lithoscope._napari.similar_finder import Finder
    from lithoscope._napari.worker_client import Job

Json = dict[str, Any]
REVIEW = "review what is proposed first"


class TeachPage(QWidget):
    """What is taught by, how, the curve while it is, what came of it, and the review of proposals."""

    embedded = Signal(str)
    """The library at this place was embedded anew."""

    def __init__(self, session: "Session", finder: "Finder", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._finder = session, finder
        self._job: Job | None = None
        self._answer: Json = {}
        self.sources = TeachSources(finder)
        self.form = ParameterForm()
        self.form.show_parameters(parameters(Lessons))
        self.rounds = QCheckBox("Propose labels, round by round")
        self.rounds.setToolTip(
            "For a folder of unlabelled images: after each round you review what is proposed; what you accept teaches the next one"
        )
        self.pool_edit = QLineEdit()
        self.pool_edit.setAccessibleName("Folder of unlabelled images")
        self.pool_edit.setPlaceholderText("folder of unlabelled images")
        self.name_edit = QLineEdit("taught")
        self.name_edit.setAccessibleName("Name of the taught network")
        self.teach_button = main_button("Teach")
        self.note = text(muted=True)
        self.note.setAccessibleName("What is missing, or came of it")
        self.stop_button = button("Stop and keep the best", tip="End the teaching now; it goes on with its best weights")
        self.curve = TeachCurve()
        self.words = text(muted=True)
        self.words.setAccessibleName("How the teaching goes")
        self.use_button = button("Use it in this library", "Embed the library anew with the taught network")
        self.review = ReviewGrid()
        self.setLayout(
            column(
                self.sources,
                self.form,
                self.rounds,
                self.pool_edit,
                row(text("Name", muted=True, wrap=False), self.name_edit, spacing=8),
                self.teach_button,
                self.note,
                rule(),
                row(self.stop_button, self.use_button, 1),
                self.words,
                self.curve,
                self.review,
            )
        )
        for part in (self.stop_button, self.use_button, self.curve, self.words, self.review):
            part.hide()
        self.sources.changed.connect(self.check)
        self.form.changed.connect(self._on_form)
        self.rounds.toggled.connect(self.check)
        self.pool_edit.editingFinished.connect(self.check)
        self.name_edit.textChanged.connect(self._on_name)
        self.teach_button.clicked.connect(self.teach)
        self.stop_button.clicked.connect(self.stop)
        self.use_button.clicked.connect(self.use)
        self.review.done.connect(self._on_reviewed)
        session.jobs.changed.connect(self._on_job)
        self._on_form()

    @property
    def folder(self) -> Path:
        """Where the network of this name lies."""
        return homes()[0] / str(self.name_edit.text()).strip()

    def set_colours(self, colours: Colours) -> None:
        """Take up the theme."""
        self.curve.set_colours(colours)

    # --- what is asked for ------------------------------------------------------------------------------------------

    def problem(self) -> str:
        """What is missing before anything can be taught, or nothing."""
        name = self.name_edit.text().strip()
        if not name or name in (".", "..") or Path(name).name != name:
            return "give the network a name without slashes"
        if self._job is not None:
            return "it is being taught; stop it, or wait"
        if not self.review.isHidden():
            return REVIEW
        if self.form.error():
            return self.form.error()
        try:
            if missing := self.sources.problem():
                return missing
            lessons = Lessons.of(self.form.values())
        except LithoscopeError as error:
            return str(error)
        if self.rounds.isChecked() and lessons.method == "siamese":
            return "labels are proposed by triplets or contrast; choose another method"
        if self.rounds.isChecked() and self.sources.key == FOLDER and not Path(self.pool_edit.text().strip() or "-").is_dir():
            return "choose the folder of unlabelled images"
        if (self.folder / "similarity.json").is_file():
            return "a network of this name is taught already; give another name"
        return ""

    def check(self, *_: Any) -> None:
        """Say what is missing."""
        problem = self.problem()
        self.pool_edit.setVisible(self.rounds.isChecked() and self.sources.key == FOLDER)
        begun = (self.folder / "training").is_dir() or (self.folder / "selftraining.json").is_file()
        self.teach_button.setText("Go on teaching" if begun and not problem else "Teach")
        self.teach_button.setEnabled(not problem)
        if self._job is None and not self._answer:
            self.say(problem or ("it was begun before, and goes on: keep its settings" if begun else ""))
        elif problem and self._job is None and problem != REVIEW and "taught already" not in problem:
            self.say(problem)

    def say(self, words: str, *, bad: bool = False) -> None:
        """One line below the button."""
        self.note.setText(words)
        self.note.setVisible(bool(words))
        mark_bad(self.note, bad)

    def _on_form(self) -> None:
        try:
            method = self.form.values().get("method")
        except LithoscopeError:
            method = None
        self.sources.show_siamese(method == "siamese")
        self.rounds.setVisible(method != "siamese")
        self.check()

    def _on_name(self) -> None:
        self._answer = {}
        self._reviewing(False)
        for part in (self.use_button, self.curve, self.words):
            part.hide()
        self.check()

    # --- teaching ---------------------------------------------------------------------------------------------------

    def teach(self) -> None:
        """Have the worker teach, or go on."""
        if self.problem():
            return
        self._answer = {}
        arguments: Json = {**self.sources.arguments(), "output": str(self.folder), "settings": self.form.values()}
        if self.rounds.isChecked() and self.rounds.isVisibleTo(self):
            arguments["unlabelled"] = self.pool_edit.text().strip() if self.sources.key == FOLDER else "rest"
        self._reviewing(False)
        self.use_button.hide()
        self._job = self._session.run("similarity_train", arguments, f"teach {self.name_edit.text().strip()}", self._on_taught)
        self.say("it is being taught in the background")
        self.check()

    def stop(self) -> None:
        """End the teaching with its best weights."""
        trainings = [self.folder / "training", *self.folder.glob("round-*/training")]
        if any([stopping.wish(training) for training in trainings]):  # noqa: C419 - all are told
            self.stop_button.setEnabled(False)
            self.words.setText("ending: the best so far is kept")

    def _on_job(self, job: "Job") -> None:
        if job is not self._job:
            return
        curves = job.details.get("curves")
        if curves:
            self.curve.count_in_wholes(None)
            self.curve.show_curves(curves)
        self.curve.setVisible(self.curve.isVisibleTo(self) or bool(curves))
        learning = job.state == "running" and job.message.startswith("learning")
        if learning:
            self.words.setText(job.message.removeprefix("learning: "))
        self.words.setVisible(self.words.isVisibleTo(self) or learning)
        self.stop_button.setVisible(learning)
        if not learning:
            self.stop_button.setEnabled(True)

    def _on_taught(self, job: "Job") -> None:
        self._job = None
        self.stop_button.hide()
        self.stop_button.setEnabled(True)
        if job.state != "done":
            self.check()
            self.say(
                "what was learnt so far is kept; Go on takes it up" if job.state == "cancelled" else job.message, bad=job.state == "failed"
            )
            return
        self.show_answer(job.result)

    def show_answer(self, answer: Json) -> None:
        """Show what came of it."""
        self._answer = answer
        if "rounds" in answer:
            self._show_rounds(answer)
        else:
            self.curve.count_in_wholes(None)
            self.curve.show_curves(answer["curves"])
            self.curve.show()
            self.words.setText(f"learnt for {answer['steps']} steps, best at {answer['best_step']}")
            self.words.show()
            self.say("\n".join([came_of(answer), *answer["notes"]]))
        usable = self._finder.memory is not None and bool(answer.get("model")) and answer.get("kept") != "frozen" and not answer.get("open")
        self.use_button.setVisible(usable)
        self.check()

    # --- self-training ----------------------------------------------------------------------------------------------

    def _show_rounds(self, answer: Json) -> None:
        lines = [f"round {r['round']}: held out {two_digits(r['score'])}, from {r['labels']} labels" for r in answer["rounds"]]
        held = [float(r["score"]) for r in answer["rounds"]]
        before = [float(answer["rounds"][0]["frozen"])] if answer["rounds"] else []
        self.curve.show_curves({"judged_at": [float(i) for i in range(len(held) + 1)], "held_out": [*before, *held], "step": [len(held)]})
        self.curve.count_in_wholes(len(held))
        self.curve.setVisible(bool(held))
        self.words.setText("\n".join(lines))
        self.words.setVisible(bool(lines))
        self.say(answer["done"] or f"review what is proposed after round {len(held)}")
        self._reviewing(bool(answer["open"]))
        if answer["open"]:
            self.review.show_proposals(answer["open"])
            self.review.tiles.setFocus()

    def _reviewing(self, on: bool) -> None:
        """The grid in place of the settings, which stay as they are while rounds go on."""
        self.review.setVisible(on)
        for part in (self.sources, self.form):
            part.setVisible(not on)

    def _on_reviewed(self, decisions: dict[str, bool]) -> None:
        arguments = {"folder": str(self.folder)}
        arguments |= {key: [i for i, yes in decisions.items() if yes is wanted] for key, wanted in (("accept", True), ("reject", False))}  # type: ignore[misc]
        self._session.run("similarity_review", arguments, "take up the review", self._on_review_kept)

    def _on_review_kept(self, job: "Job") -> None:
        if job.state == "done":
            self._reviewing(False)
            self._answer = {}
            self.check()
            if problem := self.problem():
                self.say(f"the review is kept; to go on: {problem}")
            else:
                self.teach()
        else:
            self.say(job.message, bad=True)

    # --- using ------------------------------------------------------------------------------------------------------

    def use(self) -> None:
        """Embed the library anew."""
        memory, model = self._finder.memory, self._answer.get("model")
        if memory is None or not model:
            return
        self.use_button.setEnabled(False)
        self._session.run("similarity_apply", {"model": model, "target": memory.library.uri}, "embed the library anew", self._on_used)

    def _on_used(self, job: "Job") -> None:
        self.use_button.setEnabled(True)
        if job.state == "done":
            self.use_button.hide()
            self.say(f"the library is seen by {self.name_edit.text().strip()} now; look for places on the page Find")
            self.embedded.emit(job.result["library"])
        elif job.state == "failed":
            self.say(job.message, bad=True)


def came_of(answer: Json) -> str:
    """What came of a teaching, in one line."""
    scores = answer["scores"]
    if answer["method"] == "siamese":
        told = ", ".join(f"{name.removeprefix('r2.')} R² {two_digits(value)}" for name, value in scores.items() if name.startswith("r2."))
        return f"of what is held out: {told}, ranking {two_digits(scores.get('ranking', float('nan')))}"
    if answer["kept"] == "frozen":
        return f"what is held out found its like at {two_digits(scores['frozen'])} before: the network stays as it was"
    told = f"what is held out finds its like at {two_digits(scores['taught'])}, before at {two_digits(scores['frozen'])}"
    if "taught_classes" in scores:
        whole, before = two_digits(scores["taught_classes"]), two_digits(scores["frozen_classes"])
        told += f"; classes that did not teach at {whole}, before at {before}"
    return told

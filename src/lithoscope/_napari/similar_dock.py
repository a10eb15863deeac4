"""The Similar dock: a place marked on the picture, the places most like it in all scans of a library, and what is done with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QFileDialog, QLineEdit, QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.dock import Dock
from lithoscope._napari.hit_list import HitList
from lithoscope._napari.library_row import LibraryRow
from lithoscope._napari.look import button, column, main_button, mark_bad, row, rule, text
from lithoscope._napari.marks_row import MarksRow
from lithoscope._napari.pages import Pages
from lithoscope._napari.proposal_panel import NO_PLANE, ProposalPanel
from lithoscope._napari.query_marks import QueryMarks
from lithoscope._napari.similar_finder import Answer, Finder, Question, library_place, question_box
from lithoscope._napari.teach_page import TeachPage
from lithoscope.volume.box import Box

if TYPE_CHECKING:
    from lithoscope.retrieval.proposals import Proposal
    from lithoscope.retrieval.search import Hit

WAYS = {
    "box": ("A box that I draw", "Draw a box", "drag a rectangle on the image around what is meant"),
    "token": ("The spot that I click", "Click a spot", "click the spot that is meant"),
    "stroke": ("What I painted here", "Find it", "paint what is meant with the chosen class, on the plane in view"),
}
FIRST = "mark a place, and see where else it looks like that"
NO_LIBRARY = "there is no library yet: add this scan to make one"
GROUPS = {"": "not grouped", "sample": "by same sample", "scan": "by scan"}


class SimilarDock(Dock):
    """Library, question, answers, and what is made of them."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._name = text(bold=True)
        self.library = LibraryRow(self.session, library_place())
        self.finder = Finder(self.session, self)
        self.marks = QueryMarks(self.session, self)
        self.way = QComboBox()
        self.way.setAccessibleName("What to look for")
        for key, (words, _, _) in WAYS.items():
            self.way.addItem(words, key)
        self.where = QLineEdit()
        self.where.setAccessibleName("Filter")
        self.where.setPlaceholderText("only where, such as porosity > 0.2")
        self.where.setToolTip("A filter in SQL over the columns of the library")
        self.ask_button = main_button(WAYS["box"][1])
        self.ask_button.setCheckable(True)
        self._line = text(FIRST, muted=True)
        self._line.setAccessibleName("What was found")
        self.group = QComboBox()
        self.group.setAccessibleName("How the places are grouped")
        self._vote = text(muted=True)
        self.hits = HitList()
        self.more_button = button("More like", "Look for more like the chosen places")
        self.less_button = button("Less like", "Look for less like the chosen places")
        self.propose_button = button("As labels…", "Propose voxels of the chosen places as labels")
        self.save_button = button("Save…", "Save the places as a table or a contact sheet")
        self.mark_row = MarksRow(self.session, self.finder, self.hits)
        self.proposals = ProposalPanel(self.session)
        self._below = QWidget()
        self._below.setLayout(
            column(
                row(self.group, 1, self.save_button),
                self._vote,
                self.hits,
                row(self.more_button, self.less_button, 1, self.propose_button, spacing=4),
                self.mark_row,
                self.proposals,
            )
        )
        self.teaching = TeachPage(self.session, self.finder)
        find = QWidget()
        find.setLayout(column(row(self.way, 1), self.where, self.ask_button, self._line, self._below))
        self.pages = Pages({"Find": find, "Teach": self.teaching})
        self.body.setLayout(column(self._name, self.library, rule(), self.pages))
        self._answer: Answer | None = None
        self._listed: list[Hit] = []
        self._examples: dict[str, list[int]] = {"more": [], "less": []}
        self._to_propose: list[Hit] = []
        self._jump: Hit | None = None
        self._dialog: QFileDialog | None = None
        self._slow = Background(self)
        self._slow.failed.connect(self._on_slow_failed)
        self.session.closing.connect(self._slow.close)
        self.library.chosen.connect(self.load)
        self.teaching.embedded.connect(self.load)
        self.mark_row.changed.connect(self.teaching.check)
        self.finder.loaded.connect(self._on_loaded)
        self.finder.answered.connect(self.show_answer)
        self.finder.failed.connect(self._on_failed)
        self.finder.proposed.connect(self._on_proposed)
        self.way.currentIndexChanged.connect(self._on_way)
        self.ask_button.clicked.connect(self._on_ask)
        self.where.returnPressed.connect(self._on_again)
        self.marks.drawn.connect(self.ask_box)
        self.marks.clicked.connect(self.ask_token)
        self.marks.ended.connect(self._on_picked)
        self.group.currentIndexChanged.connect(self._show_hits)
        self.hits.wanted.connect(self.go_to)
        self.hits.itemSelectionChanged.connect(self._on_selection)
        self.more_button.clicked.connect(self._on_more)
        self.less_button.clicked.connect(self._on_less)
        self.propose_button.clicked.connect(self._on_propose)
        self.proposals.next_wanted.connect(self._next_proposal)
        self.save_button.clicked.connect(self._on_save)
        self._below.hide()
        self._on_selection()
        self.finish()
        self.load(self.library.place)

    # --- library and question ---------------------------------------------------------------------------------------

    def on_scan(self) -> None:
        super().on_scan()
        scan = self.session.scan
        self.marks.hide()
        self.proposals.end()
        self._name.setText("" if scan is None else scan.name)
        if self._jump is not None and scan is not None and scan.uuid == self._jump.scan:
            hit, self._jump = self._jump, None
            self._arrive(hit)

    def put_away(self) -> None:
        super().put_away()
        self.marks.hide()
        self.proposals.end()

    def restyle(self) -> None:
        super().restyle()
        self.teaching.set_colours(self.colours)

    def load(self, place: str) -> None:
        """Take up a library, if there is one at this place."""
        self._clear()
        if "://" not in place and not Path(place).is_dir():
            self.finder.memory = None
            self.library.tell(NO_LIBRARY)
            self._ready()
            return
        self.library.tell("opening the library …")
        self.finder.load(place)
        self._ready()

    def _on_loaded(self, words: str) -> None:
        memory = self.finder.memory
        self.library.holds(words, memory.uuids if memory is not None else ())
        blocked = self.group.blockSignals(True)
        self.group.clear()
        for key, name in GROUPS.items():
            self.group.addItem(name, key)
        for column_ in memory.library.kinds if memory is not None else ():
            self.group.addItem(f"by {column_}", column_)
        self.group.blockSignals(blocked)
        self._ready()

    def _ready(self) -> None:
        """Say what is missing."""
        loaded = self.finder.memory is not None
        self.ask_button.setEnabled(loaded)
        if self._answer is None:
            self._tell(WAYS[self.way.currentData()][2] if loaded else FIRST)

    def _tell(self, words: str, bad: bool = False) -> None:
        self._line.setText(words)
        mark_bad(self._line, bad)

    def _on_failed(self, words: str) -> None:
        self.proposals.end()
        if self.finder.memory is None:
            self.library.tell(words, bad=True)
        else:
            self._tell(words, bad=True)
        self._ready()

    def _on_slow_failed(self, error: BaseException) -> None:
        self.session.said.emit(sentence(error), True)

    def _on_way(self) -> None:
        self.marks.pick("")
        self.ask_button.setText(WAYS[self.way.currentData()][1])
        self._answer = None
        self._ready()

    def _on_ask(self, on: bool) -> None:
        way = self.way.currentData()
        if way == "stroke":
            self.ask_button.setChecked(False)
            self.ask_stroke()
        elif on and self.session.plane() is not None:
            self.marks.pick(way)
            self.ask_button.setText("Draw nothing" if way == "box" else "Click nothing")
            self._tell(WAYS[way][2])
        else:
            self.ask_button.setChecked(False)
            self.marks.pick("")
            if self.session.plane() is None:
                self._tell("look at one plane (2D) to mark a place", bad=True)

    def _on_picked(self) -> None:
        self.ask_button.setChecked(False)
        self.ask_button.setText(WAYS[self.way.currentData()][1])

    def ask_box(self, axis: int, index: int, ranges: list[tuple[float, float]]) -> None:
        """Ask for a rectangle on a plane."""
        scan, memory = self.session.scan, self.finder.memory
        if scan is None or memory is None:
            return
        recipe = memory.library.recipe
        um = None if scan.voxel is None else scan.voxel.um[axis]
        with self.session.telling():
            depth = recipe.edge(1.0, um if recipe.patch_um is not None else None) if recipe.patch else 1
            depth = 1 if scan.shape[0] == 1 or scan.separate_slices else depth
            self._ask(Question(question_box(scan.shape, axis, index, ranges, depth), where=self.where.text(), axis=axis))

    def ask_token(self, axis: int, index: int, place: list[int]) -> None:
        """Ask for the token at a voxel."""
        scan, memory = self.session.scan, self.finder.memory
        if scan is None or memory is None:
            return
        self.marks.pick("")
        box = question_box(scan.shape, axis, index, [(p - 1.0, p + 1.0) for p in place], 1)
        self._ask(Question(box, np.ones(box.shape, bool), planes=("zyx"[axis],), where=self.where.text(), axis=axis))

    def ask_stroke(self) -> None:
        """Ask for what is painted with the chosen class on the plane in view."""
        scan, plane, store = self.session.scan, self.session.plane(), self.session.painting.strokes
        if scan is None or plane is None or store is None:
            self._tell("look at one plane (2D) with strokes on it", bad=True)
            return
        start = [plane.index if a == plane.axis else 0 for a in range(3)]
        stop = [plane.index + 1 if a == plane.axis else n for a, n in enumerate(scan.shape)]
        whole = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        painted = store.read(whole) == self.session.painting.chosen
        if not self.session.painting.chosen or not painted.any():
            self._tell("nothing is painted here with the chosen class; paint what is meant", bad=True)
            return
        spans = [np.flatnonzero(painted.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
        low, high = [int(s[0]) for s in spans], [int(s[-1]) + 1 for s in spans]
        inner = Box((low[0], low[1], low[2]), (high[0], high[1], high[2])).shift(whole.start)
        mask = painted[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        self._ask(Question(inner, mask, planes=("zyx"[plane.axis],), where=self.where.text(), axis=plane.axis))

    def _ask(self, question: Question) -> None:
        if not question.more and not question.less:
            self._examples = {"more": [], "less": []}
        self.proposals.end()
        self._tell("looking …")
        self.marks.show(query=question.box)
        self.finder.ask(question)

    def _on_again(self) -> None:
        """Ask the last question again, with the filter and the examples that are given now."""
        if self._answer is not None:
            q = self._answer.question
            more, less = (tuple(self._examples[key]) for key in ("more", "less"))
            self._ask(Question(q.box, q.mask, q.planes, self.where.text(), q.k, more, less, q.axis))

    # --- answers ----------------------------------------------------------------------------------------------------

    def show_answer(self, answer: Answer) -> None:
        """Show what was found."""
        chosen = [hit.row for hit in self.hits.chosen()] if self._answer is not None and self._answer.question is answer.question else []
        self._answer = answer
        self._listed = answer.found.hits
        self.mark_row.show_answer(answer)
        self._below.show()
        found = answer.found
        head = "nothing similar" if not found.similar else f"{len(found.hits)} places"
        notes = [note for note in found.notes if not note.startswith("nothing similar") and "places were asked for" not in note]
        if not found.similar:
            notes.insert(0, "the nearest are no more alike than places drawn at random")
        self._tell(" · ".join([head, *(["looking closer …"] if answer.rough else []), *notes]), bad=not found.similar)
        self._show_hits()
        for i in range(self.hits.count()):
            item = self.hits.item(i)
            if item is not None and any(hit is not None and hit.row in chosen for hit in [item.data(256)]):
                item.setSelected(True)

    def _show_hits(self) -> None:
        from lithoscope.retrieval.groups import grouped, vote

        if self._answer is None:
            return
        hits, by = self._answer.found.hits, self.group.currentData() or ""
        groups = grouped(hits, by, self._answer.own) if by else {"": hits}
        self.hits.show_groups(groups, {hit.row: rank for rank, hit in enumerate(hits, 1)})
        said = vote(hits, by) if by and by != "sample" else None
        self._vote.setText(f"{by}: {said.value}, by {said.share:.0%} of {said.voters} votes" if said is not None else "")
        self._vote.setVisible(said is not None)

    def _clear(self) -> None:
        self._answer, self._listed = None, []
        self.proposals.end()
        self.hits.clear()
        self._below.hide()
        self.marks.hide()

    def _on_selection(self) -> None:
        chosen = self.hits.chosen()
        here = self.session.scan is not None and any(hit.scan == self.session.scan.uuid for hit in chosen)
        for part in (self.more_button, self.less_button):
            part.setEnabled(bool(chosen))
        self.propose_button.setEnabled(here)
        self.propose_button.setToolTip("" if here else "Choose places of the open scan")

    def go_to(self, hit: "Hit") -> None:
        """Go to a place, opening its scan if need be."""
        scan = self.session.scan
        if scan is not None and scan.uuid == hit.scan:
            self._arrive(hit)
        elif hit.present and Path(hit.path).suffix == ".zarr":
            self._jump = hit
            self.session.open(hit.path)
        elif hit.present:
            self.session.said.emit(f"{hit.name} is an image, at {hit.path}; drop it into the window to see it", False)
        else:
            self.session.said.emit(f"{hit.name} no longer lies at {hit.path}; add it to the library again from where it is", True)

    def _arrive(self, hit: "Hit") -> None:
        z, y, x = ((a + b) // 2 for a, b in zip(hit.box.start, hit.box.stop, strict=True))
        self.session.go_to((z, y, x))
        answer, scan = self._answer, self.session.scan
        own = answer.question.box if answer is not None and scan is not None and answer.own == scan.uuid else None
        self.marks.show(query=own, hit=hit.box)

    def _on_more(self) -> None:
        self._take_examples("more", "less")

    def _on_less(self) -> None:
        self._take_examples("less", "more")

    def _take_examples(self, key: str, other: str) -> None:
        rows = [hit.row for hit in self.hits.chosen()]
        self._examples[other] = [row for row in self._examples[other] if row not in rows]
        self._examples[key] = list(dict.fromkeys([*self._examples[key], *rows]))
        self._on_again()

    # --- labels and files -------------------------------------------------------------------------------------------

    def _on_propose(self) -> None:
        scan = self.session.scan
        if self._answer is None or scan is None:
            return
        if self.session.plane() is None:
            self._tell(NO_PLANE, bad=True)
            return
        self._to_propose = [hit for hit in self.hits.chosen() if hit.scan == scan.uuid]
        self.proposals.begin(self._answer.threshold)
        self._next_proposal()

    def _next_proposal(self) -> None:
        answer = self._answer
        if answer is None or not self._to_propose or not self.finder.propose(self._to_propose.pop(0), answer):
            self.proposals.end()

    def _on_proposed(self, hit: "Hit", proposal: "Proposal | None") -> None:
        scan = self.session.scan
        if scan is None or scan.uuid != hit.scan or self.proposals not in self.session.previewing:  # it is not wanted any more
            return
        self._arrive(hit)
        self.proposals.offer(hit, proposal)

    def _on_save(self) -> None:
        dialog = QFileDialog(self, "Save the places", "", "Table (*.csv);;Contact sheet (*.png)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.setModal(False)
        hits, title = self._listed, self._name.text()  # another question may be asked meanwhile
        dialog.fileSelected.connect(lambda path: self._write(path, hits, title))
        self._dialog = dialog
        dialog.show()

    def save(self, path: str) -> None:
        """Save the places, best first however they are grouped; the person has agreed to replace a file."""
        self._write(path, self._listed, self._name.text())

    def _write(self, path: str, hits: "list[Hit]", title: str) -> None:
        target = Path(path)

        def work() -> Path:
            from lithoscope.retrieval.tables import hits_csv, hits_sheet

            if target.suffix.lower() == ".png":
                hits_sheet(hits, f"like a place of {title}").save(target)
            else:
                hits_csv(hits, target)
            return target

        self._slow.start(work, self._on_saved)

    def _on_saved(self, target: Path) -> None:
        self.session.said.emit(f"saved as {target}", False)
